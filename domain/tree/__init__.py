"""The Merkle tree over the ledger: roots, proofs, signed notes."""
