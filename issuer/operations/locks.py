"""Named locks: what stops minting or payouts, why, since when, and what lifts it."""

from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from issuer import audit
from issuer.errors import Locked, NotFound
from issuer.store.inserts import insert_new
from issuer.store.states import Scope
from issuer.store.tables import lock
from issuer.store.unit import Unit

_LIVE = select(lock).where(lock.c.cleared_at.is_(None)).order_by(lock.c.id)
_OF_SCOPE = _LIVE.where(lock.c.scope == bindparam("scope")).limit(1)


def engage(unit: Unit, scope: Scope, code: str, reason: str, remedy: str) -> None:
    """Lock a scope for a cause; a cause that locks it already is not recorded twice."""
    values = {"scope": scope, "code": code, "reason": reason, "remedy": remedy, "since": unit.now}
    statement = insert_new(unit.connection, lock).values(**values).returning(lock.c.id)
    lock_id = unit.connection.execute(statement).scalar()
    if lock_id is not None:
        audit.append(unit, "lock.engaged", f"lock:{lock_id}", after={"scope": scope, "code": code, "reason": reason})


def find(connection: Connection, scope: Scope, code: str) -> int | None:
    """The id of the lock that a cause has on a scope now."""
    return next((row.id for row in connection.execute(_LIVE) if (row.scope, row.code) == (scope, code)), None)


def clear(unit: Unit, lock_id: int) -> dict[str, Any]:
    """Lift a lock, in the name of the person who has looked at its cause. Raises NotFound."""
    statement = (
        update(lock)
        .where(lock.c.id == lock_id, lock.c.cleared_at.is_(None))
        .values(cleared_at=unit.now)
        .returning(lock.c.scope, lock.c.code)
    )
    row = unit.connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound(f"there is no live lock {lock_id}", "See `issuer lock list`.")
    audit.append(unit, "lock.cleared", f"lock:{lock_id}", after={"scope": row.scope, "code": row.code})
    return {"lock": lock_id, "scope": row.scope, "code": row.code, "cleared": True}


def live(connection: Connection) -> list[dict[str, Any]]:
    """The locks in force, oldest first."""
    return [
        {
            "id": row.id,
            "scope": row.scope,
            "code": row.code,
            "reason": row.reason,
            "remedy": row.remedy,
            "since": row.since,
        }
        for row in connection.execute(_LIVE)
    ]


def locked(connection: Connection, scope: Scope) -> bool:
    return connection.execute(_OF_SCOPE, {"scope": scope}).first() is not None


def require_open(connection: Connection, scope: Scope) -> None:
    """Raise Locked, naming the first cause, if the scope is locked."""
    row = connection.execute(_OF_SCOPE, {"scope": scope}).first()
    if row is not None:
        raise Locked(f"{scope} is locked: {row.reason}", row.remedy)
