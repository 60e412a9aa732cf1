"""The trie of receipts: every path proves its value to the verifier's own reader, and no other value or place."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer import verify
from issuer.messages import trie
from issuer.verify import Untrue

VALUES = st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=200)


def test_the_roots_are_those_of_ethereum() -> None:
    """The empty list's root is in every block without transactions, of one value by hand: a leaf under RLP of 0."""
    leaf = verify.rlp_encode([b"\x20\x80", b"x" * 40])
    assert trie.path([b"x" * 40], 0) == [verify.rlp_encode([b"\x20\x80", b"x" * 40])]
    assert trie.root([b"x" * 40]) == verify._hash(leaf)


@given(VALUES, st.data())
def test_every_value_is_proven_at_its_place_and_nowhere_else(values: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(values) - 1))
    root, path = bytes.fromhex(trie.root(values)[2:]), trie.path(values, index)
    assert verify.trie_value(root, verify.rlp_encode(index), path) == values[index]
    other = data.draw(st.integers(0, len(values) + 5).filter(lambda found: found != index))
    with suppress(Untrue):  # a path may prove a neighbour too, which lies on its way, and then its own value
        assert verify.trie_value(root, verify.rlp_encode(other), path) == values[other]
    with pytest.raises(Untrue):
        verify.trie_value(bytes(32), verify.rlp_encode(index), path)


@given(VALUES, st.data())
def test_a_changed_node_proves_nothing(values: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(values) - 1))
    root, path = bytes.fromhex(trie.root(values)[2:]), trie.path(values, index)
    at = data.draw(st.integers(0, len(path) - 1))
    place = data.draw(st.integers(0, len(path[at]) - 1))
    path[at] = path[at][:place] + bytes([path[at][place] ^ 1]) + path[at][place + 1 :]
    with pytest.raises((Untrue, ValueError, IndexError)):
        verify.trie_value(root, verify.rlp_encode(index), path)


@given(st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=6), max_leaves=20))
def test_rlp_is_read_back(item: object) -> None:
    assert verify.rlp_decode(verify.rlp_encode(item)) == item
