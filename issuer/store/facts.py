"""Facts: what came. Brought in by a door, once each, and turned into state by operations in the order they came."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from issuer.store.inserts import insert_new
from issuer.store.states import Door, FactState
from issuer.store.tables import fact
from issuer.store.unit import Unit


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
    statement = select(fact).where(fact.c.state == FactState.NEW).order_by(fact.c.id).limit(limit)
    return [
        Fact(id=row.id, door=row.door, key=row.key, kind=row.kind, payload=row.payload)
        for row in connection.execute(statement)
    ]


def known(connection: Connection, door: Door, key: str) -> bool:
    """Whether the world has told this already."""
    statement = select(fact.c.id).where(fact.c.door == door, fact.c.key == key)
    return connection.execute(statement).first() is not None


def apply(unit: Unit, fact_id: int) -> bool:
    """Claim a fact for this unit of work; False if another process has applied it."""
    statement = update(fact).where(fact.c.id == fact_id, fact.c.state == FactState.NEW).values(state=FactState.APPLIED)
    return unit.connection.execute(statement).rowcount == 1


def _row(unit: Unit, door: Door, item: News) -> dict[str, Any]:
    return {
        "door": door,
        "key": item.key,
        "kind": item.kind,
        "payload": item.payload,
        "state": FactState.NEW,
        "at": unit.now,
    }
