"""Tiles against the examples of c2sp.org/tlog-tiles and against the tree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import InvalidInput, MalformedDocument
from issuer.tlog import merkle, tiles
from issuer.tlog.tiles import Tile


class Folder:
    """Tiles in memory, written as a log grows and read back by path."""

    def __init__(self) -> None:
        self.files: dict[str, list[bytes]] = {}
        self.leaves: list[bytes] = []

    def grow(self, size: int) -> None:
        old = len(self.leaves)
        leaves = [merkle.leaf_hash(index.to_bytes(4)) for index in range(old, size)]
        for tile, hashes in tiles.grow(self.read, old, leaves).items():
            assert tile.path not in self.files, "a file is written once"
            assert len(hashes) == tile.width
            self.files[tile.path] = hashes
        self.leaves += leaves

    def read(self, tile: Tile) -> list[bytes]:
        return self.files[tile.path]


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(level=0, index=0, width=256), "tile/0/000"),
        (Tile(level=0, index=273, width=112), "tile/0/273.p/112"),
        (Tile(level=1, index=1234067, width=256), "tile/1/x001/x234/067"),
        (Tile(level=63, index=1000, width=1), "tile/63/x001/000.p/1"),
    ],
)
def test_published_paths(tile: Tile, path: str) -> None:
    assert tile.path == path


def test_published_entry_paths() -> None:
    assert tiles.entries_path(1234067, 8) == "tile/entries/x001/x234/067.p/8"
    assert tiles.entries_path(0, 256) == "tile/entries/000"


def test_the_published_tree_of_seventy_thousand() -> None:
    found = list(tiles.written(0, 70_000))
    full = [tile for tile in found if tile.width == 256]
    partial = [(tile.level, tile.width) for tile in found if tile.width != 256]
    assert [sum(tile.level == level for tile in full) for level in range(3)] == [273, 1, 0]
    assert partial == [(0, 112), (1, 17), (2, 1)]


def test_the_published_tree_of_one_full_tile() -> None:
    assert [tile.path for tile in tiles.written(0, 256)] == ["tile/0/000", "tile/1/000.p/1"]


def test_only_what_grew_is_written() -> None:
    assert [tile.path for tile in tiles.written(255, 256)] == ["tile/0/000", "tile/1/000.p/1"]
    assert [tile.path for tile in tiles.written(256, 257)] == ["tile/0/001.p/1"]
    assert list(tiles.written(300, 300)) == []


@given(st.lists(st.integers(0, 700), min_size=1, max_size=4), st.data())
def test_any_growth_leaves_tiles_that_prove_every_record(steps: list[int], data: st.DataObject) -> None:
    folder = Folder()
    for step in steps:
        folder.grow(len(folder.leaves) + step)
    size = len(folder.leaves)
    node = tiles.node_reader(folder.read, size)
    root = merkle.root_of_hashes(folder.leaves)
    assert merkle.CompactRange.read(node, size).root() == root
    if size:
        index = data.draw(st.integers(0, size - 1))
        proof = merkle.inclusion_proof(node, index, size)
        merkle.verify_inclusion(folder.leaves[index], index, size, root, proof)
        old = data.draw(st.integers(0, size))
        old_root = merkle.root_of_hashes(folder.leaves[:old])
        merkle.verify_consistency(old, old_root, size, root, merkle.consistency_proof(node, old, size))


def test_tiles_of_three_levels_prove_a_record() -> None:
    folder = Folder()
    folder.grow(70_000)
    node = tiles.node_reader(folder.read, 70_000)
    root = merkle.root_of_hashes(folder.leaves)
    proof = merkle.inclusion_proof(node, 65_535, 70_000)
    merkle.verify_inclusion(folder.leaves[65_535], 65_535, 70_000, root, proof)


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundles_read_back(entries: list[bytes]) -> None:
    assert tiles.decode_entries(tiles.encode_entries(entries), len(entries)) == entries


def test_the_longest_entry_fits_and_a_longer_one_is_refused() -> None:
    longest = b"x" * 65_535
    assert tiles.decode_entries(tiles.encode_entries([longest]), 1) == [longest]
    with pytest.raises(InvalidInput, match="65535"):
        tiles.encode_entries([longest + b"x"])


@pytest.mark.parametrize("content", [b"", b"\0", b"\0\2x", b"\0\1xy", b"\0\1x\0\1y", b"\0\1x\0"])
def test_a_broken_bundle_is_refused(content: bytes) -> None:
    with pytest.raises(MalformedDocument):
        tiles.decode_entries(content, 1)


def test_a_tile_of_another_width_is_refused() -> None:
    assert tiles.decode_hashes(b"\1" * 64, 2) == [b"\1" * 32, b"\1" * 32]
    with pytest.raises(MalformedDocument):
        tiles.decode_hashes(b"\1" * 63, 2)
