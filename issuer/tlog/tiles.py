"""The static files of a tiled log (c2sp.org/tlog-tiles): where they lie, what they hold, which an append writes.

A tile at level L holds up to 256 hashes of complete subtrees over 256^L leaves each; an entry bundle holds the up to
256 entries under a tile of level 0. A file is written once: one that grows gets a new name until it is full.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from issuer.errors import InvalidInput, MalformedDocument
from issuer.tlog.merkle import HASH_SIZE, NodeReader, root_of_hashes

HEIGHT = 8
WIDTH = 256
MAX_ENTRY_SIZE = 0xFFFF
"""Bytes: an entry's length is an unsigned 16-bit number."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    level: int
    index: int
    width: int  # hashes in it, 1 to 256

    @property
    def path(self) -> str:
        return f"tile/{self.level}/{_name(self.index, self.width)}"

    @property
    def start(self) -> int:
        """The position of its first hash within the tile's level."""
        return self.index * WIDTH


TileReader = Callable[[Tile], Sequence[bytes]]
"""Gives the hashes of a tile."""


def entries_path(index: int, width: int) -> str:
    """Where an entry bundle lies (C2SP tlog-tiles, Log entries)."""
    return f"tile/entries/{_name(index, width)}"


def tile_at(level: int, index: int, size: int) -> Tile:
    """A tile as it is in a tree of `size` leaves."""
    return Tile(level=level, index=index, width=min(WIDTH, (size >> HEIGHT * level) - index * WIDTH))


def written(old_size: int, new_size: int) -> Iterator[Tile]:
    """The tiles that a log growing from one size to another writes, each level after the one below it."""
    level = 0
    while (old := old_size >> HEIGHT * level) != (new := new_size >> HEIGHT * level):
        for index in range(old // WIDTH, (new + WIDTH - 1) // WIDTH):
            yield tile_at(level, index, new_size)
        level += 1


def node_reader(read: TileReader, size: int) -> NodeReader:
    """Read the nodes of a tree of `size` leaves from its tiles, hashing the levels between those that tiles store."""

    def node(level: int, index: int) -> bytes:
        stored, above = divmod(level, HEIGHT)
        first = index << above
        tile = tile_at(stored, first // WIDTH, size)
        start = first - tile.start
        return root_of_hashes(read(tile)[start : start + (1 << above)])

    return node


def grow(read: TileReader, size: int, leaves: Sequence[bytes]) -> dict[Tile, list[bytes]]:
    """The tiles that appending these leaf hashes to a log of `size` writes; `read` gives the tiles that it had."""
    grown: dict[Tile, list[bytes]] = {}
    for tile in written(size, size + len(leaves)):
        known = max(tile.start, size >> HEIGHT * tile.level)
        hashes = list(read(tile_at(tile.level, tile.index, size))) if known > tile.start else []
        if tile.level == 0:
            hashes += leaves[known - size : tile.start + tile.width - size]
        else:
            full = (Tile(level=tile.level - 1, index=at, width=WIDTH) for at in range(known, tile.start + tile.width))
            hashes += (root_of_hashes(grown[below]) for below in full)
        grown[tile] = hashes
    return grown


def encode_hashes(hashes: Sequence[bytes]) -> bytes:
    return b"".join(hashes)


def decode_hashes(content: bytes, width: int) -> list[bytes]:
    """The hashes of a tile; raises MalformedDocument unless there are exactly `width`."""
    if len(content) != width * HASH_SIZE:
        raise MalformedDocument(f"a tile of {width} hashes is {width * HASH_SIZE} bytes long, not {len(content)}")
    return [content[at : at + HASH_SIZE] for at in range(0, len(content), HASH_SIZE)]


def checkpoint_path(size: int) -> str:
    """Where a past checkpoint of this size lies: beside the files of C2SP tlog-tiles, named in the same way."""
    return f"checkpoints/{_name(size, WIDTH)}"


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """An entry bundle: each entry after its length as an unsigned 16-bit big-endian number."""
    return b"".join(_length(entry) + entry for entry in entries)


def decode_entries(content: bytes, width: int) -> list[bytes]:
    """The entries of a bundle; raises MalformedDocument unless there are exactly `width` and nothing else."""
    entries, at = [], 0
    while at < len(content):
        start = at + 2
        at = start + int.from_bytes(content[at:start])
        entries.append(content[start:at])
    if at != len(content) or len(entries) != width:
        raise MalformedDocument(f"not a bundle of {width} entries")
    return entries


def _length(entry: bytes) -> bytes:
    if len(entry) > MAX_ENTRY_SIZE:
        raise InvalidInput(f"a log entry is at most {MAX_ENTRY_SIZE} bytes long, not {len(entry)}")
    return len(entry).to_bytes(2)


def _name(index: int, width: int) -> str:
    """An index in groups of three digits, all but the last after an x (C2SP tlog-tiles, Merkle Tree)."""
    name, rest = f"{index % 1000:03}", index // 1000
    while rest:
        name, rest = f"x{rest % 1000:03}/{name}", rest // 1000
    return name if width == WIDTH else f"{name}.p/{width}"
