"""The log folder: the log outside the database, in the layout of c2sp.org/tlog-tiles, behind any static file server.

    checkpoint              the latest signed checkpoint
    tile/LEVEL/N            hashes of the tree
    tile/entries/N          the records themselves
    checkpoints/SIZE        every checkpoint that was published

Every file appears whole and synced. A checkpoint is written after everything it covers, so a reader never sees one
that promises more than there is, and after a crash the same files are written again.

A copy made while the log grew may have an older `checkpoint` than its largest past one: the log ends with the latter.
"""

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from issuer import crash, files
from issuer.errors import BrokenInvariant, Unreachable
from issuer.tlog import checkpoint, merkle, tiles
from issuer.tlog.checkpoint import Checkpoint
from issuer.tlog.log import CHECKPOINT, Log
from issuer.tlog.merkle import CompactRange
from issuer.tlog.note import Verifier
from issuer.tlog.tiles import WIDTH

_SPAN = WIDTH * WIDTH
"""Records written at once when the folder has fallen far behind; it bounds the memory this takes."""

_NAME = re.compile(r"(x?)([0-9]{3})", re.ASCII)

_BEHIND = 1_000_000
"""Records by which the `checkpoint` of a copy is behind at most; it bounds how many folders are listed."""

Records = Callable[[int, int], Sequence[bytes]]
"""Gives the records from one place up to another."""


class LogFolder:
    """The one place the log is published to. Only a checkpoint that extends the last one is taken."""

    def __init__(self, path: Path, verifier: Verifier) -> None:
        self._path = path
        self._verifier = verifier
        self.log = Log(self._read, verifier)

    def past_sizes(self) -> list[int]:
        """The sizes of every checkpoint that was published, ascending."""
        root = self._path / "checkpoints"
        names = (file.relative_to(root).as_posix() for file in root.rglob("[0-9][0-9][0-9]"))
        return sorted(int(name.replace("x", "").replace("/", "")) for name in names)

    def end(self) -> Checkpoint:
        """The last checkpoint that was published, also in a copy made while the log grew.

        Raises as the log does, also for a past checkpoint that is not signed by its key.
        """
        return self._later(self.log.checkpoint())[-1]

    def extend(self, note: str, records: Records) -> int:
        """Publish the log up to this checkpoint; the number of records that were not there before.

        Raises BrokenInvariant, and leaves the old checkpoint standing, unless the new one is of this log, not smaller
        than any that was published, and the records lead from the root that is published to the root that is signed;
        Unreachable if the folder cannot be read or written.
        """
        with _writing():
            return self._extend(note, records)

    def _extend(self, note: str, records: Records) -> int:
        new, old = checkpoint.verify(note, self._verifier), self.log.checkpoint()
        later = self._later(old)
        if new.size < later[-1].size or (new.size == later[-1].size and new.root != later[-1].root):
            raise _fork(later[-1], new)
        if old.size and not (self._path / tiles.checkpoint_path(old.size)).exists():
            # A power cut may keep the one of its two files and not the other.
            self._write_checkpoint(old.size, (self._path / CHECKPOINT).read_bytes())
        if new.size > old.size:
            self._write_records([*later, new], records)
            self._write_checkpoint(new.size, note.encode())
        else:
            # Who wrote it may have died before its names were on disk.
            for file in self._checkpoint_files(new.size):
                files.sync(file.parent)
        return new.size - old.size

    def _write_checkpoint(self, size: int, note: bytes) -> None:
        with crash.around("log.checkpoint"):
            files.replace_all(dict.fromkeys(self._checkpoint_files(size), note))

    def _checkpoint_files(self, size: int) -> tuple[Path, Path]:
        return self._path / tiles.checkpoint_path(size), self._path / CHECKPOINT

    def _later(self, latest: Checkpoint) -> list[Checkpoint]:
        """A checkpoint and all past ones beyond it, ascending."""
        return [latest, *(self.log.past(size) for size in sorted(_beyond(self._path / "checkpoints", latest.size)))]

    def _write_records(self, known: Sequence[Checkpoint], records: Records) -> None:
        """Write all that the last checkpoint covers, from the first bundle that the first one did not fill."""
        old, new = known[0], known[-1]
        at = old.size // WIDTH * WIDTH
        tree = CompactRange.read(self.log.nodes(old.size), at)
        _check(tree, old)
        while at < new.size:
            end = min(new.size, (at // _SPAN + 1) * _SPAN)
            entries = records(at, end)
            leaves = [merkle.leaf_hash(entry) for entry in entries]
            for leaf in leaves:
                tree.append(leaf)
                _check(tree, *known)
            if tree.size != end:
                raise BrokenInvariant(f"the database has {len(entries)} of the log's records {at} to {end}")
            self._write(at, entries, leaves)
            at = end

    def _write(self, start: int, entries: Sequence[bytes], leaves: Sequence[bytes]) -> None:
        """Write the bundles and the tiles of these records, all at once: a disk takes half the time for that."""
        bundles = (entries[at : at + WIDTH] for at in range(0, len(entries), WIDTH))
        named = {
            tiles.entries_path(index, len(bundle)): tiles.encode_entries(bundle)
            for index, bundle in enumerate(bundles, start // WIDTH)
        }
        grown = tiles.grow(self.log.tile, start, leaves)
        named |= {tile.path: tiles.encode_hashes(hashes) for tile, hashes in grown.items()}
        bodies = {self._path / name: body for name, body in named.items()}
        with crash.around("log.records"):
            files.replace_all(bodies)
        self._prune(bodies)

    def _prune(self, written: Iterable[Path]) -> None:
        """Remove the partial files of what is full now; kept, they would grow with the square of the log."""
        for partial in (path.with_name(f"{path.name}.p") for path in written):
            if partial.exists():
                # C2SP tlog-tiles allows it once the full file is there.
                with crash.around("log.prune"):
                    shutil.rmtree(partial)

    def _read(self, path: str) -> bytes | None:
        try:
            return (self._path / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None


def _beyond(folder: Path, size: int, above: int = 0) -> Iterator[int]:
    """The sizes under a folder of past checkpoints that are larger; `above` is the number in the names above it."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        name = _NAME.fullmatch(entry.name)
        number = above * 1000 + int(name[2]) if name else 0
        if name and not name[1] and number > size:
            yield number
        elif name and name[1] and _may_hold(number, size):
            yield from _beyond(entry, size, number)


def _may_hold(number: int, size: int) -> bool:
    scales = (1000**deeper for deeper in range(1, 7))
    return any(number * scale <= size + _BEHIND and (number + 1) * scale > size for scale in scales)


@contextmanager
def _writing() -> Iterator[None]:
    """A disk that is full or gone says nothing about the log."""
    try:
        yield
    except OSError as error:
        raise Unreachable(f"the log folder cannot be written: {error}") from error


def _check(tree: CompactRange, *known: Checkpoint) -> None:
    for found in known:
        if tree.size == found.size and tree.root() != found.root:
            raise BrokenInvariant(
                f"the database's first {tree.size} records do not have the root that was signed for them",
                "Keep database and log folder as they are, and run `issuer audit verify`.",
            )


def _fork(old: Checkpoint, new: Checkpoint) -> BrokenInvariant:
    return BrokenInvariant(
        f"a checkpoint of size {new.size} does not extend the published one of size {old.size}",
        "The database is older than the log folder, or another one: restore before anything else is done.",
    )
