"""The Merkle tree of RFC 6962 section 2.1 over SHA-256: roots, inclusion proofs, consistency proofs.

- A hash is 32 bytes. A node is named by its level (0 for leaves) and its index within the level; only nodes over
  complete subtrees are ever read, because those never change once written.
- Proofs are computed from a node reader, so their cost grows with the height of the tree and not with its size.
- A proof is checked by the algorithms of RFC 9162 sections 2.1.3.2 and 2.1.4.2; what does not hold raises InvalidProof.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import ClassVar

from issuer.errors import IssuerError

HASH_SIZE = 32

EMPTY_ROOT = sha256(b"").digest()
"""The root of the tree without leaves (RFC 6962 section 2.1)."""

NodeReader = Callable[[int, int], bytes]
"""Gives the hash at (level, index): of the complete subtree over the 2^level leaves from index * 2^level on."""


class InvalidProof(IssuerError):  # noqa: N818 - named for what is found, as all errors here are
    """A proof does not prove what it is shown for."""

    code: ClassVar[str] = "invalid-proof"
    remedy: ClassVar[str] = "Do not rely on the log that gave this proof; keep both checkpoints and the proof."


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf (RFC 6962 section 2.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (RFC 6962 section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


def root(entries: Iterable[bytes]) -> bytes:
    """The root of the tree whose leaves are these entries (MTH of RFC 6962 section 2.1)."""
    return root_of_hashes([leaf_hash(entry) for entry in entries])


def root_of_hashes(hashes: Sequence[bytes]) -> bytes:
    """The root of the tree whose leaves have these hashes.

    Pairing neighbours level by level and carrying an odd last one up gives the split of RFC 6962 section 2.1 at the
    largest power of two.
    """
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:
        level = _parents(level)
    return level[0]


class CompactRange:
    """The O(log n) hashes that are enough to append to a tree of any size and to know its root.

    They are the roots of the complete subtrees that the leaves split into, left to right: one for each one-bit of the
    size.
    """

    def __init__(self, size: int = 0, nodes: Sequence[bytes] = ()) -> None:
        if len(nodes) != size.bit_count():
            raise InvalidProof(f"a tree of {size} leaves has a frontier of {size.bit_count()} hashes, not {len(nodes)}")
        _require_hashes(nodes)
        self.size = size
        self.nodes = list(nodes)

    @classmethod
    def unpack(cls, size: int, frontier: bytes) -> "CompactRange":
        """The range whose hashes were packed one after the other."""
        return cls(size, [frontier[at : at + HASH_SIZE] for at in range(0, len(frontier), HASH_SIZE)])

    @classmethod
    def read(cls, read: NodeReader, size: int) -> "CompactRange":
        """The range of the first `size` leaves of a stored tree."""
        levels = [level for level in reversed(range(size.bit_length())) if size >> level & 1]
        return cls(size, [read(level, (size >> level) - 1) for level in levels])

    def pack(self) -> bytes:
        return b"".join(self.nodes)

    def append(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        merges, node = self.size, leaf
        while merges & 1:
            node = node_hash(self.nodes.pop(), node)
            merges >>= 1
        self.nodes.append(node)
        self.size += 1

    def root(self) -> bytes:
        if not self.nodes:
            return EMPTY_ROOT
        *rest, found = self.nodes
        for node in reversed(rest):
            found = node_hash(node, found)
        return found


def inclusion_proof(read: NodeReader, index: int, size: int) -> list[bytes]:
    """The hashes that lead from leaf `index` to the root of the first `size` leaves (RFC 9162 section 2.1.3.1).

    Raises InvalidProof if there is no such leaf.
    """
    if not 0 <= index < size:
        raise InvalidProof(f"a tree of {size} leaves has no leaf {index}")
    start, end, path = 0, size, list[bytes]()
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_subtree(read, middle, end))
            end = middle
        else:
            path.append(_subtree(read, start, middle))
            start = middle
    return path[::-1]


def consistency_proof(read: NodeReader, old_size: int, new_size: int) -> list[bytes]:
    """The hashes that show the first `old_size` leaves unchanged in the tree of `new_size` (RFC 9162 section 2.1.4.1).

    Empty when the old tree is empty or the same. Raises InvalidProof if the old tree is the larger one.
    """
    _refuse_shrinking(old_size, new_size)
    if old_size in (0, new_size):
        return []
    start, end, path = 0, new_size, list[bytes]()
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(_subtree(read, middle, end))
            end = middle
        else:
            path.append(_subtree(read, start, middle))
            start = middle
    if start:
        path.append(_subtree(read, start, end))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Raise InvalidProof unless the leaf hash stands at `index` under the root of `size` leaves (RFC 9162 2.1.3.2)."""
    _require_hashes([leaf, root, *proof])
    if not 0 <= index < size:
        raise InvalidProof(f"a tree of {size} leaves has no leaf {index}")
    at, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise InvalidProof("the inclusion proof is too long")
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            at, last = _climb(at, last)
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise InvalidProof("the inclusion proof is too short")
    if found != root:
        raise InvalidProof(f"leaf {index} is not under the root of {size} leaves")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise InvalidProof unless the tree of `new_size` begins with all of the tree of `old_size` (RFC 9162 2.1.4.2)."""
    _require_hashes([old_root, new_root, *proof])
    _refuse_shrinking(old_size, new_size)
    if old_size in (0, new_size):
        _verify_trivial(old_size, old_root, new_size, new_root, proof)
        return
    if not proof:
        raise InvalidProof(f"a consistency proof from {old_size} to {new_size} leaves cannot be empty")
    # A complete old tree is a node of the new one, so its root is where the climb starts and is left out of the proof.
    path = [old_root, *proof] if old_size.bit_count() == 1 else list(proof)
    old_found, new_found = _climb_both(path, old_size, new_size)
    if old_found != old_root:
        raise InvalidProof(f"the consistency proof does not lead to the root of {old_size} leaves")
    if new_found != new_root:
        raise InvalidProof(f"the consistency proof does not lead to the root of {new_size} leaves")


def _parents(level: list[bytes]) -> list[bytes]:
    paired = len(level) & ~1
    parents = [node_hash(level[at], level[at + 1]) for at in range(0, paired, 2)]
    return parents + level[paired:]


def _split(size: int) -> int:
    """The largest power of two below the size."""
    return 1 << ((size - 1).bit_length() - 1)


def _subtree(read: NodeReader, start: int, end: int) -> bytes:
    """The hash over leaves start to end, where start is a multiple of the power of two that the length rounds up to."""
    size = end - start
    if size.bit_count() == 1:
        level = size.bit_length() - 1
        return read(level, start >> level)
    middle = start + _split(size)
    return node_hash(_subtree(read, start, middle), _subtree(read, middle, end))


def _climb(at: int, last: int) -> tuple[int, int]:
    """Pass the levels where the node is alone at the right edge and is carried up unchanged."""
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last


def _climb_both(path: Sequence[bytes], old_size: int, new_size: int) -> tuple[bytes, bytes]:
    """The old and the new root that a consistency path leads to (RFC 9162 section 2.1.4.2, steps 3 to 6)."""
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise InvalidProof("the consistency proof is too long")
        if at & 1 or at == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            at, last = _climb(at, last)
        else:
            new = node_hash(new, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise InvalidProof("the consistency proof is too short")
    return old, new


def _verify_trivial(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    if proof:
        raise InvalidProof(f"a consistency proof from {old_size} to {new_size} leaves must be empty")
    expected = EMPTY_ROOT if old_size == 0 else new_root
    if old_root != expected or (new_size == 0 and new_root != EMPTY_ROOT):
        raise InvalidProof(f"two roots are claimed for one tree of {old_size} leaves")


def _refuse_shrinking(old_size: int, new_size: int) -> None:
    if not 0 <= old_size <= new_size:
        raise InvalidProof(f"a tree of {new_size} leaves cannot extend one of {old_size}")


def _require_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(value) != HASH_SIZE for value in hashes):
        raise InvalidProof(f"a hash of this tree is {HASH_SIZE} bytes long")
