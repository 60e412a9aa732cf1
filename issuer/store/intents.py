"""Intents: what must leave. Written by an operation in its unit of work, taken by a door once the log has sealed it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, exists, insert, or_, select, update

from issuer.store.states import Door, IntentState, Scope
from issuer.store.tables import audit_record, intent, lock, log_tree, recovery, unapplied
from issuer.store.unit import Unit

_HELD_BY = {"mint": Scope.MINTING, "payment": Scope.PAYOUTS}
"""Kinds of intents, and the scope whose locks they wait for."""

_UNLOCKED = ~exists().where(
    lock.c.cleared_at.is_(None),
    or_(*(and_(intent.c.kind == kind, lock.c.scope == scope) for kind, scope in _HELD_BY.items())),
)

FREE: ColumnElement[bool] = and_(
    _UNLOCKED, or_(intent.c.kind == "fence", ~or_(exists(recovery.c.only), exists(unapplied.c.place)))
)
"""No lock holds the intent: what was decided before a lock, and has not left, stays until it is cleared.

In recovery nothing leaves but what uses up the nonces of lost transactions.
"""

MOST = 100
"""Intents that are looked at together."""

_EMIT = insert(intent).returning(intent.c.id)
_GET = select(intent).where(intent.c.id == bindparam("intent"))
_MOVE = update(intent).where(intent.c.id == bindparam("intent"), intent.c.state == bindparam("old"))
_WAITS = (
    select(intent.c.id)
    .where(intent.c.kind == bindparam("of_kind"), intent.c.subject == bindparam("of_subject"))
    .where(intent.c.state == IntentState.OPEN)
)
_DONE = (
    update(intent)
    .where(intent.c.kind == bindparam("of_kind"), intent.c.subject == bindparam("of_subject"))
    .where(intent.c.state == IntentState.OPEN)
    .values(state=IntentState.DONE)
)
_DUE = (
    select(intent)
    .join(audit_record, audit_record.c.id == intent.c.record_id)
    .where(intent.c.door == bindparam("door"), intent.c.state == IntentState.OPEN, FREE)
    .where(audit_record.c.place < select(log_tree.c.published).scalar_subquery())
    .order_by(intent.c.id)
    .limit(MOST)
)


@dataclass(frozen=True, kw_only=True)
class Intent:
    id: int
    kind: str
    subject: str
    payload: dict[str, Any]


def emit(unit: Unit, door: Door, kind: str, subject: str, payload: dict[str, Any], record_id: int) -> int:
    """Write an intent that may leave once the audit record is sealed in the log; return its id."""
    values = {"door": door, "kind": kind, "subject": subject, "payload": payload, "record_id": record_id}
    return int(unit.connection.execute(_EMIT, values | {"state": IntentState.OPEN, "at": unit.now}).scalar_one())


def due(connection: Connection, door: Door, kinds: frozenset[str] | None = None) -> list[Intent]:
    """The oldest open intents of a door, of some kinds or of all, that no lock holds and the published log seals.

    No more than `MOST`: what a caller must not miss behind many others, it asks for by kind.
    """
    return _intents(connection.execute(_DUE if kinds is None else _due_of(kinds), {"door": door}).all())


def get(connection: Connection, intent_id: int) -> Intent:
    return _intents(connection.execute(_GET, {"intent": intent_id}).all())[0]


def move(unit: Unit, intent_id: int, old: IntentState, new: IntentState) -> bool:
    """Move an intent from one state to another; False if another process moved it first."""
    return unit.connection.execute(_MOVE, {"intent": intent_id, "old": old, "state": new}).rowcount == 1


def waits(connection: Connection, kind: str, subject: str) -> bool:
    """Whether something of that kind for a subject has not been taken up by its door."""
    return connection.execute(_WAITS, {"of_kind": kind, "of_subject": subject}).first() is not None


def held_by(kind: str) -> Scope | None:
    """The scope whose locks hold intents of a kind back."""
    return _HELD_BY.get(kind)


def done(unit: Unit, kind: str, subject: str) -> None:
    """Close what is open for a subject: the world shows that it was done, by bytes that this database does not know."""
    unit.connection.execute(_DONE, {"of_kind": kind, "of_subject": subject})


@cache
def _due_of(kinds: frozenset[str]) -> Select[Any]:
    return _DUE.where(intent.c.kind.in_(sorted(kinds)))


def _intents(rows: Sequence[Row[Any]]) -> list[Intent]:
    return [Intent(id=row.id, kind=row.kind, subject=row.subject, payload=row.payload) for row in rows]
