"""Restoration: records that the log folder has and the database has lost are taken back, at their places.

The log goes on where it was published to, so that no place is ever given twice. The folder's own checkpoint says what
must come out: the database's tree with the folder's records appended has the root that was signed, or nothing is taken.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from issuer.audit.folder import LogFolder
from issuer.audit.integrator import hold_tree
from issuer.audit.record import Record, decode
from issuer.errors import BrokenInvariant, NotFound
from issuer.store import recovery, sets
from issuer.store.inserts import insert_new
from issuer.store.tables import audit_record, log_tree, unapplied
from issuer.store.tables import checkpoint as checkpoint_table
from issuer.store.unit import Store, Unit
from issuer.tlog import merkle, tiles
from issuer.tlog.checkpoint import Checkpoint
from issuer.tlog.merkle import CompactRange
from issuer.tlog.tiles import WIDTH

_CHUNK = 40 * WIDTH
"""Records taken back in one transaction."""

_SIZE = select(log_tree.c.size)
_WAITING = (
    select(audit_record.c.place, audit_record.c.id, audit_record.c.body)
    .join(unapplied, unapplied.c.place == audit_record.c.place)
    .where(unapplied.c.place > bindparam("after"))
    .order_by(unapplied.c.place)
    .limit(bindparam("limit"))
)
_APPLIED = delete(unapplied)


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A record of the log whose effect the database does not have."""

    place: int
    id: int
    record: Record


def take_back(store: Store, folder: LogFolder) -> int:
    """Take back every record that the folder has beyond the database; how many.

    Raises BrokenInvariant if the folder's log does not continue the database's: they are two different histories;
    NotFound if the folder lacks a file of what was published.
    """
    published = folder.end()
    with store.read() as connection:
        tree = _tree(connection)
    start = tree.size
    if published.size <= start:
        return 0
    _require_files(folder, published)
    _require_continuation(tree, folder, published)
    while tree.size < published.size:
        end = min(published.size, tree.size + _CHUNK)
        bodies = list(_bodies(folder, tree.size, end))
        with store.unit("take records back") as unit:
            if hold_tree(unit).size != tree.size:
                return tree.size - start  # another process takes them back
            _take(unit, tree.size, bodies)
            for body in bodies:
                tree.append(merkle.leaf_hash(body))
            _keep_checkpoints(unit, folder, end)
            _keep_tree(unit, tree)
            # What was sent after the records that the database knew may have been lost again.
            recovery.note(unit, fenced=False)
    return published.size - start


def waiting(connection: Connection, limit: int, *, after: int = -1) -> list[Lost]:
    """The first records beyond a place that wait to be applied again, in the order of the log."""
    rows = connection.execute(_WAITING, {"after": after, "limit": limit})
    return [Lost(place=row.place, id=row.id, record=decode(row.body)) for row in rows]


def applied(unit: Unit, places: Sequence[int]) -> bool:
    """Note that these records' effects are in the database now; False if one of them was there already."""
    statement = sets.among(unit.connection, _APPLIED, unapplied.c.place)
    return unit.connection.execute(statement, {"among": list(places)}).rowcount == len(places)


def _tree(connection: Connection) -> CompactRange:
    row = connection.execute(select(log_tree)).one_or_none()
    return CompactRange.unpack(0, b"") if row is None else CompactRange.unpack(row.size, row.frontier)


def _require_files(folder: LogFolder, published: Checkpoint) -> None:
    """Every file that the checkpoint covers: who goes on without one has a log that nobody can check any more."""
    try:
        for tile in tiles.written(0, published.size):
            folder.log.tile(tile)
            if tile.level == 0:
                folder.log.bundle(tile.index, tile.width)
    except NotFound as error:
        raise NotFound(
            f"{error.what}, and a checkpoint of {published.size} records was published",
            "Copy the log folder again: checkpoints/ and checkpoint first, then tile/.",
        ) from error


def _require_continuation(tree: CompactRange, folder: LogFolder, published: Checkpoint) -> None:
    """The records lead from the database's tree to every checkpoint that was published beyond it."""
    known = [folder.log.checkpoint(), *(folder.log.past(size) for size in folder.past_sizes() if size > tree.size)]
    roots = {found.size: found.root for found in known}
    copy = CompactRange.unpack(tree.size, tree.pack())
    for body in _bodies(folder, tree.size, published.size):
        copy.append(merkle.leaf_hash(body))
        if copy.size in roots and copy.root() != roots[copy.size]:
            raise BrokenInvariant(
                f"the log folder's {copy.size} records do not continue the {tree.size} of this database",
                "One of them belongs to another history: find the backup and the log folder that belong together.",
            )


def _bodies(folder: LogFolder, start: int, end: int) -> Iterator[bytes]:
    """The folder's records from one place up to another."""
    at = start // WIDTH
    while at * WIDTH < end:
        width = min(WIDTH, end - at * WIDTH)
        yield from islice(folder.log.bundle(at, width), max(0, start - at * WIDTH), None)
        at += 1


def _take(unit: Unit, start: int, bodies: Sequence[bytes]) -> None:
    """Give records their places: those that the database wrote and never placed, and those that it has lost."""
    known = _unplaced(unit.connection)
    placed, lost = [], []
    for place, body in enumerate(bodies, start):
        if known[body]:
            placed.append({"record": known[body].popleft(), "at": place})
        else:
            lost.append({"body": body, "subject": decode(body).subject, "place": place})
    if placed:
        statement = update(audit_record).where(audit_record.c.id == bindparam("record")).values(place=bindparam("at"))
        unit.connection.execute(statement, placed)
    if lost:
        unit.connection.execute(insert(audit_record), lost)
        unit.connection.execute(insert(unapplied), [{"place": row["place"]} for row in lost])


def _unplaced(connection: Connection) -> defaultdict[bytes, deque[int]]:
    found: defaultdict[bytes, deque[int]] = defaultdict(deque)
    statement = select(audit_record.c.id, audit_record.c.body).where(audit_record.c.place.is_(None))
    for row in connection.execute(statement.order_by(audit_record.c.id)):
        found[row.body].append(row.id)
    return found


def _keep_checkpoints(unit: Unit, folder: LogFolder, end: int) -> None:
    """Know every checkpoint again that was published up to a size: reports anchor them."""
    known = set(unit.connection.scalars(select(checkpoint_table.c.size)))
    for size in folder.past_sizes():
        note = folder.log.note(tiles.checkpoint_path(size))
        if size <= end and size not in known and note is not None:
            row = {"size": size, "root": "0x" + folder.log.past(size).root.hex(), "note": note, "at": unit.now}
            unit.connection.execute(insert_new(unit.connection, checkpoint_table).values(**row))
    latest = folder.log.checkpoint()
    if 0 < latest.size <= end and latest.size not in known:
        row = {
            "size": latest.size,
            "root": "0x" + latest.root.hex(),
            "note": folder.log.note("checkpoint"),
            "at": unit.now,
        }
        unit.connection.execute(insert_new(unit.connection, checkpoint_table).values(**row))


def _keep_tree(unit: Unit, tree: CompactRange) -> None:
    row = {"size": tree.size, "frontier": tree.pack(), "published": tree.size}
    unit.connection.execute(insert_new(unit.connection, log_tree).values(only=1, **row))
    unit.connection.execute(update(log_tree).values(**row))
