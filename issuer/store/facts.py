"""Facts: what came. Brought in by a door, once each, and turned into state by operations in the order they came."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from issuer.store import sets
from issuer.store.inserts import insert_new
from issuer.store.states import Door, FactState
from issuer.store.tables import fact, lock
from issuer.store.unit import Unit

_NEW = select(fact).where(fact.c.state == FactState.NEW).order_by(fact.c.id).limit(bindparam("most"))
_KNOWN = select(fact.c.id).where(fact.c.door == bindparam("door"), fact.c.key == bindparam("key"))
_TOLD = select(fact.c.key, fact.c.payload).where(fact.c.door == bindparam("door"))
_CLEARED = select(func.count()).where(lock.c.cleared_at.is_not(None))
_APPLY = update(fact).where(fact.c.id == bindparam("fact"), fact.c.state == FactState.NEW)


@dataclass(frozen=True, kw_only=True)
class Fact:
    id: int
    door: str
    key: str
    kind: str
    payload: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class News:
    """A fact not stored yet. The key is the world's own name of it, so that a repetition is recognised."""

    key: str
    kind: str
    payload: dict[str, Any]


def bring(unit: Unit, door: Door, news: Iterable[News]) -> None:
    """Store facts in order; one that is known already is passed over."""
    rows = [_row(unit, door, item) for item in news]
    if rows:
        unit.connection.execute(insert_new(unit.connection, fact), rows)


def new(connection: Connection, limit: int = 1000) -> list[Fact]:
    """Facts that no operation has turned into state yet, in the order they came."""
    return [
        Fact(id=row.id, door=row.door, key=row.key, kind=row.kind, payload=row.payload)
        for row in connection.execute(_NEW, {"most": limit})
    ]


def known(connection: Connection, door: Door, key: str) -> bool:
    """Whether the world has told this already."""
    return connection.execute(_KNOWN, {"door": door, "key": key}).first() is not None


def told(connection: Connection, door: Door, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the world has told under these keys, where it has."""
    rows = connection.execute(sets.among(connection, _TOLD, fact.c.key), {"door": door, "among": list(keys)})
    return {row.key: row.payload for row in rows}


def clearings(connection: Connection) -> int:
    """How many locks were cleared so far: a fact whose cause stands is told again after each."""
    return connection.scalar(_CLEARED) or 0


def apply(unit: Unit, fact_id: int) -> bool:
    """Claim a fact for this unit of work; False if another process has applied it."""
    return unit.connection.execute(_APPLY, {"fact": fact_id, "state": FactState.APPLIED}).rowcount == 1


def _row(unit: Unit, door: Door, item: News) -> dict[str, Any]:
    return {
        "door": door,
        "key": item.key,
        "kind": item.kind,
        "payload": item.payload,
        "state": FactState.NEW,
        "at": unit.now,
    }
