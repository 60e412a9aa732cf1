"""The trail: records read back from the database."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from issuer.audit.record import Record, decode
from issuer.store.tables import audit_record

_PAGE = 10_000
_LAST = select(func.max(audit_record.c.id))
_BODIES = (
    select(audit_record.c.body)
    .where(audit_record.c.place >= bindparam("start"), audit_record.c.place < bindparam("end"))
    .order_by(audit_record.c.place)
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    id: int
    place: int | None  # its index in the log; None until the integrator has given it one
    record: Record


def trace(connection: Connection, subjects: Sequence[str]) -> list[Entry]:
    """Everything recorded about these subjects, in the order it was written."""
    statement = select(audit_record).where(audit_record.c.subject.in_(subjects)).order_by(audit_record.c.id)
    return _entries(connection, statement)


def latest(connection: Connection, limit: int, *, after: int = 0) -> list[Entry]:
    """The last records written, of those after an id, newest first."""
    newest = select(audit_record).where(audit_record.c.id > after).order_by(audit_record.c.id.desc())
    return _entries(connection, newest.limit(limit))


def last(connection: Connection) -> int:
    """The id of the last record written; 0 before the first."""
    return connection.scalar(_LAST) or 0


def bodies(connection: Connection, start: int, end: int) -> list[bytes]:
    """The bytes of the records with places from start up to end, in that order; those that are missing are left out."""
    return list(connection.scalars(_BODIES, {"start": start, "end": end}))


def placed(connection: Connection) -> Iterator[tuple[int, bytes]]:
    """Every record that has a place, with it, in that order, a page at a time."""
    place, body = audit_record.c.place, audit_record.c.body
    at = -1
    while rows := connection.execute(select(place, body).where(place > at).order_by(place).limit(_PAGE)).all():
        for row in rows:
            at = row.place
            yield at, row.body


def _entries(connection: Connection, statement: Select[Any]) -> list[Entry]:
    return [Entry(id=row.id, place=row.place, record=decode(row.body)) for row in connection.execute(statement)]
