"""The integrator: gives records their places in the log, signs the checkpoint, and has it published.

- It takes records without a place, in the order of their ids, and never "those after the last": on PostgreSQL a lower
  id may be committed later than a higher one.
- There is one at a time: every step holds the row of the tree, or SQLite's write lock.
- What leaves waits for it: an intent is due once its record's place lies under the published size.
"""

from typing import Any

from sqlalchemy import BigInteger, Connection, Row, bindparam, cast, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from issuer.audit import trail
from issuer.audit.folder import LogFolder
from issuer.errors import BrokenInvariant
from issuer.store import recovery
from issuer.store.inserts import insert_new
from issuer.store.tables import audit_record, log_tree
from issuer.store.tables import checkpoint as checkpoint_table
from issuer.store.unit import Store, Unit
from issuer.tlog import checkpoint, merkle
from issuer.tlog.checkpoint import Checkpoint
from issuer.tlog.log import CHECKPOINT
from issuer.tlog.merkle import CompactRange
from issuer.tlog.note import Signer

_BATCH = 50_000
"""Records placed in one transaction; it bounds the memory and the time for which others wait."""

_WITHOUT_PLACE = select(exists().where(audit_record.c.place.is_(None)))
_TREE = select(log_tree)
_TREE_HELD = _TREE.with_for_update()
_GROW = update(log_tree)
_PUBLISH = update(log_tree)
_NEW_CHECKPOINT = insert(checkpoint_table)
_NOTE = select(checkpoint_table.c.note).where(checkpoint_table.c.size == bindparam("at_size"))
_ROOT = select(checkpoint_table.c.root).where(checkpoint_table.c.size == bindparam("at_size"))
_NEXT = (
    select(
        audit_record.c.id,
        (cast(bindparam("first"), BigInteger) + func.row_number().over(order_by=audit_record.c.id) - 1).label("place"),
    )
    .where(audit_record.c.place.is_(None))
    .order_by(audit_record.c.id)
    .limit(_BATCH)
    .subquery()
)
_PLACE = (
    update(audit_record)
    .where(audit_record.c.id == _NEXT.c.id)
    .values(place=_NEXT.c.place)
    .returning(audit_record.c.place, audit_record.c.body)
)


class Integrator:
    """Keeps the log folder at the state of the database."""

    def __init__(self, store: Store, folder: LogFolder, signer: Signer) -> None:
        self._store = store
        self._folder = folder
        self._signer = signer

    def run(self) -> int:
        """Seal and publish every record that is committed; the number of records published.

        Raises BrokenInvariant if database and log folder tell different stories; nothing is signed then.
        """
        if self._nothing_to_do():
            return 0
        while self._integrate() == _BATCH:
            pass
        with self._store.unit("publish log") as unit:
            return publish(unit, self._folder)

    def _integrate(self) -> int:
        with self._store.unit("integrate log") as unit:
            return integrate(unit, self._signer, self._folder.end())

    def _nothing_to_do(self) -> bool:
        """Whether every record has its place and the folder holds the very checkpoint that the database made last."""
        with self._store.read() as connection:
            if connection.scalar(_WITHOUT_PLACE):
                return False
            tree = connection.execute(_TREE).one_or_none()
            note = None if tree is None else _note(connection, tree.size)
        known = tree is None or tree.published == tree.size
        return known and note == self._folder.log.note(CHECKPOINT)


def integrate(unit: Unit, signer: Signer, published: Checkpoint) -> int:
    """Give places to records without one, extend the tree and sign its new root; the number of records placed.

    Raises BrokenInvariant unless the published checkpoint is one of this database's own: a database restored from an
    old copy must not sign a second history.
    """
    tree = hold_tree(unit)
    _require_own(unit.connection, published)
    if not recovery.has_whole_log(unit.connection):
        return 0  # the places that would be given were given before
    placed = _place(unit.connection, tree.size)
    if not placed:
        return 0
    compact = CompactRange.unpack(tree.size, tree.frontier)
    for _, body in placed:
        compact.append(merkle.leaf_hash(body))
    _store_checkpoint(unit, compact, signer)
    return len(placed)


def publish(unit: Unit, folder: LogFolder) -> int:
    """Bring the folder from its size to the database's; the number of records that the database knew unpublished.

    Raises BrokenInvariant if that would not extend what the folder holds.
    """
    tree = hold_tree(unit)
    note = _note(unit.connection, tree.size)
    if note is not None:
        folder.extend(note, lambda start, end: trail.bodies(unit.connection, start, end))
    unit.connection.execute(_PUBLISH, {"published": tree.size})
    return int(tree.size - tree.published)


def hold_tree(unit: Unit) -> Row[Any]:
    """The state of the tree, held until the unit ends."""
    if unit.connection.execute(_TREE).one_or_none() is None:
        empty = {"only": 1, "size": 0, "frontier": b"", "published": 0}
        unit.connection.execute(insert_new(unit.connection, log_tree), empty)
    return unit.connection.execute(_TREE_HELD).one()


def _require_own(connection: Connection, published: Checkpoint) -> None:
    if published.size and connection.scalar(_ROOT, {"at_size": published.size}) != _hex(published.root):
        raise BrokenInvariant(
            f"the log folder holds a checkpoint of size {published.size} that this database never made",
            "The database is older than the log folder, or another one: restore before anything else is done.",
        )


def _place(connection: Connection, size: int) -> list[tuple[int, bytes]]:
    """Place the records that have none, oldest id first; their places and bodies, in that order."""
    try:
        rows = connection.execute(_PLACE, {"first": size}).all()
    except IntegrityError as error:
        raise BrokenInvariant(f"a record has a place that the log of {size} records has not given") from error
    return sorted((row.place, row.body) for row in rows)


def _store_checkpoint(unit: Unit, tree: CompactRange, signer: Signer) -> None:
    root = tree.root()
    note = checkpoint.sign(tree.size, root, signer)
    row = {"size": tree.size, "root": _hex(root), "note": note, "at": unit.now}
    unit.connection.execute(_NEW_CHECKPOINT, row)
    unit.connection.execute(_GROW, {"size": tree.size, "frontier": tree.pack()})


def _note(connection: Connection, size: int) -> str | None:
    return connection.scalar(_NOTE, {"at_size": size})


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
