"""Recovery: a database that is older than what was published, sent or minted lets nothing leave until it has caught up.

The row is set by a restore, or when the log folder or the chain turns out to be ahead, and goes when all is known.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, cast, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import REGCLASS

from issuer.store.inserts import insert_new
from issuer.store.states import FactState
from issuer.store.tables import (
    account,
    audit_record,
    cursor,
    customer,
    fact,
    lock,
    log_tree,
    mint_order,
    recovery,
    unapplied,
)
from issuer.store.unit import Unit

_NUMBERED = (audit_record, account, customer, lock, mint_order)

_FIND = select(recovery)
_BEHIND = select(func.count()).select_from(unapplied)
_CURSOR = select(cursor.c.number)
_SIZE = select(log_tree.c.size)
_STANDING = select(
    exists(recovery.c.only).label("is_on"),
    _SIZE.scalar_subquery().label("size"),
    exists(unapplied.c.place).label("behind"),
)
_NEW_REPORTS = select(fact.c.payload).where(fact.c.kind == "reported", fact.c.state == FactState.NEW)


@dataclass(frozen=True, kw_only=True)
class Recovery:
    cause: str
    since: int  # seconds since 1970 UTC
    known_until: int  # seconds since 1970 UTC: the last moment that the restored database knew
    scanned: int | None  # the last block searched for lost transactions
    fenced: bool
    waits: list[dict[str, Any]]  # what it waited for at its last step


def begin(unit: Unit, cause: str, known_until: int) -> bool:
    """Turn recovery on; False if it is on already."""
    values = {"only": 1, "cause": cause, "since": unit.now, "known_until": known_until, "fenced": False, "waits": []}
    statement = insert_new(unit.connection, recovery).values(**values).returning(recovery.c.only)
    return unit.connection.execute(statement).scalar() is not None


def find(connection: Connection) -> Recovery | None:
    """The recovery that is on, if one is."""
    row = connection.execute(_FIND).mappings().one_or_none()
    return None if row is None else Recovery(**{name: row[name] for name in Recovery.__annotations__})


def note(unit: Unit, **values: Any) -> None:
    """Keep how far it has come."""
    unit.connection.execute(update(recovery).values(**values))


def end(unit: Unit) -> bool:
    """Turn it off; False if another process did."""
    return unit.connection.execute(delete(recovery)).rowcount == 1


def behind(connection: Connection) -> int:
    """How many records of the log have effects that this database does not have yet."""
    return int(connection.execute(_BEHIND).scalar_one())


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What decides whether anything may leave, in one view."""

    is_on: bool
    size: int  # of the log, as far as this database knows
    behind: bool  # whether records of the log have effects that this database does not have yet
    anchored: int  # the size of the log that the chain anchors


def standing(connection: Connection) -> Standing:
    row = connection.execute(_STANDING).one()
    return Standing(is_on=row.is_on, size=row.size or 0, behind=row.behind, anchored=_anchored(connection))


def _anchored(connection: Connection) -> int:
    """The size of the log that the chain anchors, as far as facts that wait tell."""
    return max((payload["log_size"] for payload in connection.scalars(_NEW_REPORTS)), default=0)


def has_whole_log(connection: Connection) -> bool:
    """Whether no place that this database would give next was given before, as far as the chain tells."""
    return _anchored(connection) <= (connection.scalar(_SIZE) or 0)


def searched(connection: Connection) -> bool:
    """Whether every final block was searched for transactions that this database does not know."""
    found, final = find(connection), connection.scalar(_CURSOR)
    return found is not None and found.scanned is not None and found.scanned >= (final or 0)


def continue_numbers(unit: Unit) -> None:
    """Have PostgreSQL number new rows after those that were given their old numbers; SQLite does by itself."""
    if unit.connection.dialect.name != "postgresql":
        return
    for table in _NUMBERED:
        name = func.pg_get_serial_sequence(table.name, "id")
        seen = select(func.coalesce(func.max(table.c.id), 0)).scalar_subquery()
        # Numbers that other units have drawn and not committed yet are not seen.
        drawn = func.coalesce(func.pg_sequence_last_value(cast(name, REGCLASS)), 0)
        unit.connection.execute(select(func.setval(name, func.greatest(seen, drawn) + 1, False)))
