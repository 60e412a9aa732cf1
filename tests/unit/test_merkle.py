"""The tree against the published vectors of Certificate Transparency, a second, naive implementation, and pymerkle.

The vectors are the eight leaves, their roots and proofs that the reference implementations of RFC 6962 share
(github.com/transparency-dev/merkle, proof/verify_test.go).
"""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree  # type: ignore[import-untyped]

from issuer.tlog import merkle
from issuer.tlog.merkle import CompactRange, InvalidProof

LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    bytes.fromhex(root)
    for root in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
A, B, C, D, E, F, G, H = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
)
INCLUSION = [
    (0, 1, []),
    (0, 8, [A, B, C]),
    (5, 8, [D, E, F]),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (1, 5, ["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", B, D]),
]
CONSISTENCY = [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [G, E, F]), (2, 5, [B, D]), (6, 7, [G, H, F])]


def entries(count: int) -> list[bytes]:
    return [index.to_bytes(4) for index in range(count)]


class Memory:
    """The leaves in memory, read node by node."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = [merkle.leaf_hash(leaf) for leaf in leaves]

    def __call__(self, level: int, index: int) -> bytes:
        found = self.leaves[index << level : (index + 1) << level]
        assert len(found) == 1 << level, "only complete subtrees are read"
        return merkle.root_of_hashes(found)


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """MTH, word for word as RFC 6962 section 2.1 defines it."""
    if len(leaves) < 2:
        return sha256(b"\x00" + leaves[0]).digest() if leaves else sha256().digest()
    k = naive_split(len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = naive_split(len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_proof(m: int, leaves: Sequence[bytes], *, known: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2."""
    if m == len(leaves):
        return [] if known else [naive_root(leaves)]
    k = naive_split(len(leaves))
    if m <= k:
        return [*naive_proof(m, leaves[:k], known=known), naive_root(leaves[k:])]
    return [*naive_proof(m - k, leaves[k:], known=False), naive_root(leaves[:k])]


def naive_split(size: int) -> int:
    k = 1
    while k * 2 < size:
        k *= 2
    return k


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    assert merkle.root(LEAVES[:size]) == ROOTS[size]
    assert CompactRange.read(Memory(LEAVES), size).root() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_published_inclusion_proofs(index: int, size: int, path: list[str]) -> None:
    proof = [bytes.fromhex(node) for node in path]
    assert merkle.inclusion_proof(Memory(LEAVES), index, size) == proof
    merkle.verify_inclusion(merkle.leaf_hash(LEAVES[index]), index, size, ROOTS[size], proof)


@pytest.mark.parametrize(("old", "new", "path"), CONSISTENCY)
def test_published_consistency_proofs(old: int, new: int, path: list[str]) -> None:
    proof = [bytes.fromhex(node) for node in path]
    assert merkle.consistency_proof(Memory(LEAVES), old, new) == proof
    merkle.verify_consistency(old, ROOTS[old], new, ROOTS[new], proof)


@given(st.lists(st.binary(max_size=40), max_size=70))
def test_a_compact_range_has_the_naive_root_at_every_size(leaves: list[bytes]) -> None:
    tree = CompactRange()
    for size, leaf in enumerate(leaves):
        assert tree.root() == naive_root(leaves[:size])
        tree.append(merkle.leaf_hash(leaf))
        tree = CompactRange.unpack(tree.size, tree.pack())
    assert tree.root() == merkle.root(leaves) == naive_root(leaves)


@given(st.integers(1, 150), st.data())
def test_inclusion_proofs_are_the_naive_ones_and_hold(size: int, data: st.DataObject) -> None:
    leaves = entries(size)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(Memory(leaves), index, size)
    assert proof == naive_path(index, leaves)
    merkle.verify_inclusion(merkle.leaf_hash(leaves[index]), index, size, naive_root(leaves), proof)


@given(st.integers(1, 150), st.data())
def test_consistency_proofs_are_the_naive_ones_and_hold(size: int, data: st.DataObject) -> None:
    leaves = entries(size)
    old = data.draw(st.integers(1, size))
    proof = merkle.consistency_proof(Memory(leaves), old, size)
    assert proof == naive_proof(old, leaves)
    merkle.verify_consistency(old, naive_root(leaves[:old]), size, naive_root(leaves), proof)


@given(st.integers(1, 150), st.data())
def test_pymerkle_finds_the_same_roots_and_paths(size: int, data: st.DataObject) -> None:
    """Its places count from one, its paths hold the proven hash too, its consistency proofs have another form."""
    leaves, oracle = entries(size), InmemoryTree(algorithm="sha256")
    for leaf in leaves:
        oracle.append_entry(leaf)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    root, old_root = merkle.root(leaves), CompactRange.read(Memory(leaves), old).root()
    assert (oracle.get_root(), oracle.get_root(old)) == (root, old_root)
    path = merkle.inclusion_proof(Memory(leaves), index, size)
    assert sorted(oracle.prove_inclusion(index + 1, size).path) == sorted([*path, merkle.leaf_hash(leaves[index])])
    oracle.prove_consistency(old, size).verify(old_root, root, prior_size=old, later_size=size)


@given(st.integers(2, 40), st.data())
def test_a_changed_inclusion_proof_does_not_hold(size: int, data: st.DataObject) -> None:
    leaves = entries(size)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(Memory(leaves), index, size)
    leaf, root = merkle.leaf_hash(leaves[index]), naive_root(leaves)
    for changed in changes(proof, root):
        with pytest.raises(InvalidProof):
            merkle.verify_inclusion(leaf, index, size, root, changed)
    for other in {*range(size + 2)} - {index}:
        with pytest.raises(InvalidProof):
            merkle.verify_inclusion(leaf, other, size, root, proof)
    for wrong in (merkle.leaf_hash(b"other"), root, b"", leaf[:31]):
        with pytest.raises(InvalidProof):
            merkle.verify_inclusion(wrong, index, size, root, proof)


@given(st.integers(2, 40), st.data())
def test_a_changed_consistency_proof_does_not_hold(size: int, data: st.DataObject) -> None:
    leaves = entries(size)
    old = data.draw(st.integers(1, size - 1))
    proof = merkle.consistency_proof(Memory(leaves), old, size)
    old_root, root = naive_root(leaves[:old]), naive_root(leaves)
    for changed in [*changes(proof, root), []]:
        with pytest.raises(InvalidProof):
            merkle.verify_consistency(old, old_root, size, root, changed)
    for wrong in (naive_root([*leaves[: old - 1], b"edited"]), root, b"", merkle.EMPTY_ROOT):
        with pytest.raises(InvalidProof):
            merkle.verify_consistency(old, wrong, size, root, proof)
        if wrong != root:
            with pytest.raises(InvalidProof):
                merkle.verify_consistency(old, old_root, size, wrong, proof)


def changes(proof: list[bytes], root: bytes) -> list[list[bytes]]:
    """A proof with one node missing, doubled, added or with one bit turned."""
    turned = [[*proof[:at], bytes([node[0] ^ 8]) + node[1:], *proof[at + 1 :]] for at, node in enumerate(proof)]
    return [proof[:-1], proof[1:], [*proof, root], [root, *proof], [*proof, b""], [proof[0], *proof], *turned]


@pytest.mark.parametrize(
    ("old", "old_root", "new", "new_root", "proof"),
    [
        (0, ROOTS[1], 0, ROOTS[0], []),
        (0, ROOTS[1], 0, ROOTS[1], []),
        (0, ROOTS[1], 1, ROOTS[1], []),
        (0, ROOTS[0], 1, ROOTS[1], [ROOTS[1]]),
        (1, ROOTS[1], 1, ROOTS[2], []),
        (1, ROOTS[1], 1, ROOTS[1], [ROOTS[1]]),
        (2, ROOTS[2], 1, ROOTS[1], []),
        (-1, ROOTS[0], 1, ROOTS[1], []),
    ],
)
def test_false_claims_about_equal_and_empty_trees(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: list[bytes]
) -> None:
    with pytest.raises(InvalidProof):
        merkle.verify_consistency(old, old_root, new, new_root, proof)


def test_every_tree_extends_the_empty_one_and_itself() -> None:
    merkle.verify_consistency(0, merkle.EMPTY_ROOT, 0, merkle.EMPTY_ROOT, [])
    merkle.verify_consistency(0, merkle.EMPTY_ROOT, 8, ROOTS[8], [])
    merkle.verify_consistency(8, ROOTS[8], 8, ROOTS[8], [])


def test_a_proof_for_what_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidProof, match="no leaf 8"):
        merkle.inclusion_proof(Memory(LEAVES), 8, 8)
    with pytest.raises(InvalidProof, match="cannot extend"):
        merkle.consistency_proof(Memory(LEAVES), 8, 7)


@pytest.mark.parametrize(
    ("size", "frontier"), [(3, b"\0" * 32), (1, b""), (1, b"\0" * 31), (2, b"\0" * 33), (0, b"\0")]
)
def test_a_frontier_of_another_size_is_refused(size: int, frontier: bytes) -> None:
    with pytest.raises(InvalidProof):
        CompactRange.unpack(size, frontier)
