"""The ledger: the one table that is the truth, and how it is written and read."""
