"""RFC 6962 proofs: this entry is in that tree; the later tree extends the earlier one.

Made from a `NodeSource`, verified with nothing but sizes, hashes and roots. The algorithms of the
verifiers are those of RFC 9162, 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from domain.errors import ProofInvalid, RequestInvalid
from domain.tree.merkle import EMPTY_ROOT, node_hash

# (level, index) -> root of the perfect subtree over leaves index << level to (index + 1) << level
NodeSource = Callable[[int, int], bytes]
HASH_BYTES: Final = 32


def root_at(size: int, node: NodeSource) -> bytes:
    """The root of the tree's first `size` leaves, 32 bytes; SHA-256 of nothing for size 0."""
    return EMPTY_ROOT if size == 0 else _range_root(0, size, node)


def check_within(position: int, size: int) -> None:
    """Refuse a position that is not within the first `size` leaves. Raises RequestInvalid."""
    if not 0 <= position < size:
        raise RequestInvalid(
            f"position {position} is not in a tree of size {size}. "
            f"Ask for a position from 0 to {size - 1}, or for a larger size."
        )


def inclusion_proof(position: int, size: int, node: NodeSource) -> tuple[bytes, ...]:
    """The hashes (32 bytes each, leaf to root) that lead from leaf `position` to the root.

    Raises:
        RequestInvalid: `position` is not within the first `size` leaves.
    """
    check_within(position, size)
    first, end = 0, size
    ranges = []
    while end - first > 1:
        split = first + _left_width(end - first)
        if position < split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((first, split))
            first = split
    return tuple(_range_root(*bounds, node) for bounds in reversed(ranges))


def consistency_proof(earlier: int, later: int, node: NodeSource) -> tuple[bytes, ...]:
    """The hashes that show the tree of `later` leaves to begin with the tree of `earlier` leaves.

    Raises:
        RequestInvalid: not 1 <= earlier <= later. From size 0 there is nothing to prove: every
            tree extends the empty one.
    """
    if not 1 <= earlier <= later:
        raise RequestInvalid(
            f"no consistency proof leads from size {earlier} to size {later}. "
            "Ask with 1 <= from <= to."
        )
    first, end = 0, later
    ranges = []
    while earlier != end:
        split = first + _left_width(end - first)
        if earlier <= split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((first, split))
            first = split
    if first > 0:  # otherwise the verifier has it already: it is the earlier root
        ranges.append((first, end))
    return tuple(_range_root(*bounds, node) for bounds in reversed(ranges))


def verify_inclusion(
    leaf: bytes, position: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Accept that the leaf hash `leaf` stands at `position` in the tree (`size`, `root`), or raise.

    Raises:
        ProofInvalid: sizes, lengths or hashes do not fit; the message says which.
    """
    if not 0 <= position < size:
        raise ProofInvalid(f"position {position} is outside a tree of size {size}; nothing shown.")
    _check_hashes((leaf, root, *proof))
    node = leaf
    for each, is_left in _siblings(position, size - 1, proof, len(proof)):
        node = node_hash(each, node) if is_left else node_hash(node, each)
    if node != root:
        raise ProofInvalid(
            f"position {position} of {size}: the proof leads to the root {node.hex()}, "
            f"not to {root.hex()}. The entry is not the one in that tree."
        )


def verify_consistency(
    earlier: int, later: int, earlier_root: bytes, later_root: bytes, proof: Sequence[bytes]
) -> None:
    """Accept that the tree (`later`, `later_root`) extends (`earlier`, `earlier_root`), or raise.

    Raises:
        ProofInvalid: sizes, lengths or hashes do not fit, or `earlier` is 0: what extends the empty
            tree says nothing about anything.
    """
    if earlier == 0:
        raise ProofInvalid("a consistency proof from size 0 shows nothing. Start from 1 or more.")
    if not 0 < earlier <= later:
        raise ProofInvalid(f"a tree of size {later} cannot extend one of size {earlier}.")
    _check_hashes((earlier_root, later_root, *proof))
    if earlier == later:
        if proof:
            raise _too_many(len(proof))
        if earlier_root != later_root:
            raise _not_extended(earlier, later, earlier_root, "earlier", later_root)
        return
    old, new = _both_roots(earlier, later, earlier_root, proof)
    if old != earlier_root:
        raise _not_extended(earlier, later, old, "earlier", earlier_root)
    if new != later_root:
        raise _not_extended(earlier, later, new, "later", later_root)


def perfect_subtrees(first: int, end: int) -> Iterator[tuple[int, int]]:
    """(level, index) of the perfect subtrees that make up the leaves [first, end), left to right.

    `first` must be a multiple of the largest of them, as in every subtree of RFC 6962.

    >>> list(perfect_subtrees(0, 7))
    [(2, 0), (1, 2), (0, 6)]
    """
    while first < end:
        level = (end - first).bit_length() - 1
        yield level, first >> level
        first += 1 << level


def _both_roots(
    earlier: int, later: int, earlier_root: bytes, proof: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """The roots that `proof` leads to, of the earlier and of the later tree (earlier < later)."""
    path = list(proof)
    if earlier & (earlier - 1) == 0:  # a perfect tree: its root is the first node
        path.insert(0, earlier_root)
    if not path:
        raise _too_few(0)
    index, last = earlier - 1, later - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    old = new = path[0]
    for each, is_left in _siblings(index, last, path[1:], len(proof)):
        if is_left:
            old, new = node_hash(each, old), node_hash(each, new)
        else:
            new = node_hash(new, each)
    return old, new


def _siblings(
    index: int, last: int, hashes: Sequence[bytes], length: int
) -> Iterator[tuple[bytes, bool]]:
    """Each of `hashes`, and whether it stands left of what leads from `index` to the root.

    `index` and `last` are a node and the last node of one level, `length` is that of the proof.
    Raises ProofInvalid when the way to the root is shorter or longer than `hashes`.
    """
    for each in hashes:
        if last == 0:
            raise _too_many(length)
        is_left = bool(index & 1) or index == last
        yield each, is_left
        while is_left and index and not index & 1:
            index, last = index >> 1, last >> 1
        index, last = index >> 1, last >> 1
    if last:
        raise _too_few(length)


def _range_root(first: int, end: int, node: NodeSource) -> bytes:
    roots = [node(level, index) for level, index in perfect_subtrees(first, end)]
    found = roots.pop()
    while roots:
        found = node_hash(roots.pop(), found)
    return found


def _left_width(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << (size - 1).bit_length() - 1


def _check_hashes(hashes: Sequence[bytes]) -> None:
    for each in hashes:
        if len(each) != HASH_BYTES:
            raise ProofInvalid(f"a hash of {len(each)} bytes; every hash has {HASH_BYTES}.")


def _too_many(count: int) -> ProofInvalid:
    return ProofInvalid(f"a proof of {count} hashes is longer than the tree is high.")


def _too_few(count: int) -> ProofInvalid:
    return ProofInvalid(f"a proof of {count} hashes ends before the root.")


def _not_extended(
    earlier: int, later: int, found: bytes, which: str, expected: bytes
) -> ProofInvalid:
    return ProofInvalid(
        f"from size {earlier} to {later}: the proof leads to {found.hex()}, and the {which} root "
        f"is {expected.hex()}. The later tree does not extend the earlier one."
    )
