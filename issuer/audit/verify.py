"""Verification of the log folder: by itself, against what is anchored elsewhere, and against the database.

Each statement has a number, so that a verdict can be compared, searched and quoted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from sqlalchemy import Connection, func, select

from issuer.audit import trail
from issuer.audit.folder import LogFolder
from issuer.errors import IssuerError
from issuer.store.tables import audit_record, log_tree
from issuer.store.tables import checkpoint as checkpoint_table
from issuer.tlog import merkle
from issuer.tlog.checkpoint import Checkpoint
from issuer.tlog.log import Log
from issuer.tlog.merkle import CompactRange
from issuer.tlog.tiles import WIDTH, Tile


class Statement(IntEnum):
    """What a verdict asserts. One walk through the records checks 3 to 6, so the first false one is the first met."""

    SIGNED = 1  # every checkpoint in the folder is signed by the log's key
    WHOLE = 2  # the latest checkpoint is as large as any that is anchored or known to the database
    RECORDS = 3  # every record is there, and has the hash that the tree's leaf has
    TILES = 4  # every hash above the leaves is the one its records give
    ROOTS = 5  # the records lead to the root of every checkpoint ever published
    ANCHORED = 6  # the records lead to every anchored root
    STORED = 7  # the database holds these records, at these places, and no others


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """What somebody else remembers of the log, such as the reserve feed on chain."""

    size: int
    root: bytes


@dataclass(frozen=True, kw_only=True)
class Failure:
    statement: Statement  # the first one found false
    what: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    size: int  # records that the latest checkpoint covers
    root: str  # 0x-hex
    checkpoints: int  # published so far
    anchored: int  # records under the last anchor; those after it are signed only
    pending: int  # records in the database that are not published yet
    failure: Failure | None  # None: every statement that could be checked holds

    @property
    def holds(self) -> bool:
        return self.failure is None


class _Untrue(Exception):  # noqa: N818 - carries a failure to the verdict, and never further
    def __init__(self, statement: Statement, what: str) -> None:
        super().__init__(what)
        self.failure = Failure(statement=statement, what=what)


def verify(folder: LogFolder, *, anchors: Sequence[Anchor] = (), connection: Connection | None = None) -> Verdict:
    """Check every statement about the folder; the last one only with a connection to the issuer's database."""
    failure, latest, past, pending = None, folder.log.empty, list[Checkpoint](), 0
    try:
        latest, past = _signed(folder)
        _require_whole(folder.log, latest, anchors, connection)
        _walk(folder.log, latest.size, _roots(latest, past, anchors, connection))
        pending = 0 if connection is None else _compare(folder.log, latest.size, connection)
    except _Untrue as untrue:
        failure = untrue.failure
    return Verdict(
        size=latest.size,
        root="0x" + latest.root.hex(),
        checkpoints=len(past),
        anchored=max((anchor.size for anchor in anchors), default=0),
        pending=pending,
        failure=failure,
    )


def _signed(folder: LogFolder) -> tuple[Checkpoint, list[Checkpoint]]:
    """The latest checkpoint, and all past ones; in a copy made while the log grew, one of these is the latest."""
    try:
        # The past ones come first: a log that grows meanwhile has a `checkpoint` at least as large as they are.
        past = [folder.log.past(size) for size in folder.past_sizes()]
        return max((folder.log.checkpoint(), *past), key=lambda found: found.size), past
    except IssuerError as error:
        raise _Untrue(Statement.SIGNED, error.what) from error


def _require_whole(log: Log, latest: Checkpoint, anchors: Sequence[Anchor], connection: Connection | None) -> None:
    known = 0 if connection is None else connection.scalar(select(log_tree.c.published)) or 0
    # The database may know what was published after the folder was read.
    grown = max(latest.size, log.checkpoint().size)
    for size, end, where in (
        (max((anchor.size for anchor in anchors), default=0), latest.size, "is anchored"),
        (known, grown, "is known to the database"),
    ):
        if size > end:
            raise _Untrue(Statement.WHOLE, f"a log of {size} records {where}, but this one ends after {end}")


class _Roots:
    """The roots that the records must lead to, each with the statement it proves."""

    def __init__(self) -> None:
        self._expected: dict[int, list[tuple[bytes, Statement, str]]] = {}

    def expect(self, known: Iterable[tuple[int, bytes]], statement: Statement, where: str) -> None:
        for size, root in known:
            self._expected.setdefault(size, []).append((root, statement, where))

    def check(self, tree: CompactRange) -> None:
        for root, statement, where in self._expected.get(tree.size, ()):
            if root != tree.root():
                raise _Untrue(statement, f"the first {tree.size} records do not have the root that {where}")


def _roots(
    latest: Checkpoint, past: Sequence[Checkpoint], anchors: Sequence[Anchor], connection: Connection | None
) -> _Roots:
    roots = _Roots()
    roots.expect(((found.size, found.root) for found in (latest, *past)), Statement.ROOTS, "was signed for them")
    roots.expect(((anchor.size, anchor.root) for anchor in anchors), Statement.ANCHORED, "is anchored for them")
    if connection is not None:
        stored = connection.execute(select(checkpoint_table.c.size, checkpoint_table.c.root))
        known = [(row.size, bytes.fromhex(row.root.removeprefix("0x"))) for row in stored]
        roots.expect(known, Statement.STORED, "the database signed for them")
    return roots


def _walk(log: Log, size: int, roots: _Roots) -> None:
    """Go through all records once, hashing each, and compare every tile and every expected root on the way."""
    tree, levels = CompactRange(), _Levels(log)
    roots.check(tree)
    for start in range(0, size, WIDTH):
        leaves = [merkle.leaf_hash(entry) for entry in _bundle(log, start, min(WIDTH, size - start))]
        levels.add(0, leaves)
        for leaf in leaves:
            tree.append(leaf)
            roots.check(tree)
    levels.finish()


def _bundle(log: Log, start: int, width: int) -> list[bytes]:
    try:
        return log.bundle(start // WIDTH, width)
    except IssuerError as error:
        raise _Untrue(Statement.RECORDS, f"records {start} to {start + width}: {error.what}") from error


class _Levels:
    """The hashes at each level of tiles, computed from the records, compared whenever a tile is complete."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._open: list[list[bytes]] = []  # the rightmost tile of each level
        self._full: list[int] = []  # how many full tiles lie left of it

    def add(self, level: int, hashes: Sequence[bytes]) -> None:
        if level == len(self._open):
            self._open.append([])
            self._full.append(0)
        self._open[level] += hashes
        if len(self._open[level]) == WIDTH:
            self._compare(level)
            root = merkle.root_of_hashes(self._open[level])
            self._open[level] = []
            self._full[level] += 1
            self.add(level + 1, [root])

    def finish(self) -> None:
        for level, hashes in enumerate(self._open):
            if hashes:
                self._compare(level)

    def _compare(self, level: int) -> None:
        computed = self._open[level]
        tile = Tile(level=level, index=self._full[level], width=len(computed))
        statement = Statement.TILES if level else Statement.RECORDS
        try:
            stored = self._log.tile(tile)
        except IssuerError as error:
            raise _Untrue(statement, error.what) from error
        for at, (found, expected) in enumerate(zip(stored, computed, strict=True)):
            if found != expected:
                raise _Untrue(statement, _mismatch(tile, at))


def _mismatch(tile: Tile, at: int) -> str:
    if tile.level:
        return f"hash {at} of {tile.path} is not that of the records under it"
    return f"record {tile.start + at} does not have the hash that {tile.path} holds for it"


def _compare(log: Log, size: int, connection: Connection) -> int:
    """Hold every placed record of the database against the folder; the number that the folder does not have yet."""
    entries, count = log.entries(size), 0
    for place, body in trail.placed(connection):
        if place != count:
            break
        if place < size and body != next(entries):
            raise _Untrue(Statement.STORED, f"record {place} in the database is not the one in the log")
        count += 1
    if count < size:
        raise _Untrue(Statement.STORED, f"record {count} of the log is missing in the database")
    return (connection.scalar(select(func.count()).select_from(audit_record)) or 0) - size
