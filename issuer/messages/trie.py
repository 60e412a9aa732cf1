"""The Merkle-Patricia trie of a block's receipts, and the paths that prove one of them (Yellow Paper, appendix D).

Values are keyed by RLP of their position. A path is every node from the root to the value, each as its RLP.
"""

from collections.abc import Sequence
from typing import Any

import rlp  # type: ignore[import-untyped]

from issuer.messages.abi import keccak

_BRANCHES = 16
_HASHED = 32
"""Bytes: a child of this size or more is named by its hash, a smaller one stands in its parent."""

Node = list[Any]
Items = Sequence[tuple[tuple[int, ...], bytes]]
"""Values with the half-bytes of their keys."""


def root(values: Sequence[bytes]) -> str:
    """The root of the trie of a list, 0x-hex."""
    return keccak(rlp.encode(_node(_keyed(values))))


def path(values: Sequence[bytes], index: int) -> list[bytes]:
    """The nodes that lead from the root to the value at an index. Raises IndexError if there is none."""
    if not 0 <= index < len(values):
        raise IndexError(index)
    key, items, found = _nibbles(rlp.encode(index)), _keyed(values), list[bytes]()
    while True:
        node = _node(items)
        found.append(rlp.encode(node))
        if len(node) == _BRANCHES + 1:
            if not key:
                return found
            items = [(rest[1:], value) for rest, value in items if rest and rest[0] == key[0]]
            key = key[1:]
        else:
            shared = _shared(items)
            if len(items) == 1:
                return found
            items = [(rest[shared:], value) for rest, value in items]
            key = key[shared:]


def _keyed(values: Sequence[bytes]) -> list[tuple[tuple[int, ...], bytes]]:
    return [(_nibbles(rlp.encode(index)), value) for index, value in enumerate(values)]


def _node(items: Items) -> Node:
    """The node over these values: a leaf, an extension, or a branch."""
    if len(items) == 1:
        rest, value = items[0]
        return [_compact(rest, leaf=True), value]
    shared = _shared(items)
    if shared:
        inner = [(rest[shared:], value) for rest, value in items]
        return [_compact(items[0][0][:shared], leaf=False), _reference(_node(inner))]
    children = [[(rest[1:], value) for rest, value in items if rest and rest[0] == at] for at in range(_BRANCHES)]
    here = [value for rest, value in items if not rest]
    return [*(_reference(_node(child)) if child else b"" for child in children), here[0] if here else b""]


def _shared(items: Items) -> int:
    """How many half-bytes all keys begin with alike."""
    first, *others = (rest for rest, _ in items)
    length = 0
    while length < len(first) and all(rest[length : length + 1] == first[length : length + 1] for rest in others):
        length += 1
    return length


def _reference(node: Node) -> Any:
    encoded = rlp.encode(node)
    return bytes.fromhex(keccak(encoded)[2:]) if len(encoded) >= _HASHED else node


def _compact(nibbles: Sequence[int], *, leaf: bool) -> bytes:
    """Half-bytes as bytes, after a flag that says whether it is a leaf and whether their number is odd."""
    flag = 2 * leaf + len(nibbles) % 2
    whole = [flag, *nibbles] if len(nibbles) % 2 else [flag, 0, *nibbles]
    return bytes(high << 4 | low for high, low in zip(whole[::2], whole[1::2], strict=True))


def _nibbles(key: bytes) -> tuple[int, ...]:
    return tuple(part for byte in key for part in (byte >> 4, byte & 15))
