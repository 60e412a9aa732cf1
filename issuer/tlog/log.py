"""A published log as anyone reads it: through a function that gives the bytes of its files, wherever they lie."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

from issuer.errors import MalformedDocument, NotFound
from issuer.tlog import checkpoint, merkle, tiles
from issuer.tlog.checkpoint import Checkpoint
from issuer.tlog.merkle import NodeReader
from issuer.tlog.note import Verifier
from issuer.tlog.tiles import WIDTH, Tile

CHECKPOINT = "checkpoint"

FileReader = Callable[[str], bytes | None]
"""Gives the content of the file at a path of the log, or None if there is none."""


class Log:
    """A log in the form of c2sp.org/tlog-tiles.

    Its proofs rest on its latest checkpoint. Raises MalformedDocument, NotFound or UnverifiedNote for a log that is
    broken, has no such part, or is not signed by its key.
    """

    def __init__(self, read: FileReader, verifier: Verifier) -> None:
        self._file = read
        self._verifier = verifier

    def checkpoint(self) -> Checkpoint:
        """The latest checkpoint; that of the empty tree if nothing has been published."""
        note = self.note(CHECKPOINT)
        return self.empty if note is None else checkpoint.verify(note, self._verifier)

    @property
    def empty(self) -> Checkpoint:
        """Where every log begins."""
        return Checkpoint(origin=self._verifier.name, size=0, root=merkle.EMPTY_ROOT)

    def past(self, size: int) -> Checkpoint:
        """The checkpoint that was published at this size."""
        path = tiles.checkpoint_path(size)
        note = self.note(path)
        if note is None:
            raise NotFound(f"the log has no file {path}")
        found = checkpoint.verify(note, self._verifier)
        if found.size != size:
            raise MalformedDocument(f"the checkpoint at {path} is of size {found.size}")
        return found

    def note(self, path: str) -> str | None:
        """A signed note of the log, not verified; None if there is none."""
        content = self._file(path)
        try:
            return None if content is None else content.decode()
        except UnicodeDecodeError as error:
            raise MalformedDocument(f"the file {path} of the log is not UTF-8") from error

    def entries(self, size: int) -> Iterator[bytes]:
        """The entries of a log of this size, first to last."""
        for index in range((size + WIDTH - 1) // WIDTH):
            yield from self.bundle(index, min(WIDTH, size - index * WIDTH))

    def bundle(self, index: int, width: int) -> list[bytes]:
        """The first `width` entries of a bundle."""
        content, found = self._content(lambda width: tiles.entries_path(index, width), width)
        return tiles.decode_entries(content, found)[:width]

    def tile(self, tile: Tile) -> list[bytes]:
        content, found = self._content(lambda width: replace(tile, width=width).path, tile.width)
        return tiles.decode_hashes(content, found)[: tile.width]

    def nodes(self, size: int) -> NodeReader:
        """The nodes of the tree of this size, reading each tile once."""
        return tiles.node_reader(cache(self.tile), size)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The proof that a record lies in the log of this size. Raises InvalidProof if it does not."""
        return merkle.inclusion_proof(self._nodes_for(size), index, size)

    def consistency(self, old_size: int, new_size: int) -> list[bytes]:
        """The proof that the log of one size extends that of another. Raises InvalidProof if it cannot."""
        return merkle.consistency_proof(self._nodes_for(new_size), old_size, new_size)

    def _nodes_for(self, size: int) -> NodeReader:
        published = self.checkpoint().size
        if size > published:
            raise merkle.InvalidProof(f"the log has {published} records, not {size}", "Ask again once it is published.")
        return self.nodes(published)

    def _content(self, path: Callable[[int], str], width: int) -> tuple[bytes, int]:
        """A file and its width: a partial one may be gone once the full one is there (C2SP tlog-tiles)."""
        for found in (width, WIDTH):
            content = self._file(path(found))
            if content is not None:
                return content, found
        raise NotFound(f"the log has no file {path(width)}")
