"""The turn: one unit of work decides at a time, in whatever process it runs.

A decision rests on more than the rows that it changes: on a sum, on the order of facts, on a lock that is not there.
On SQLite every unit waits for the one before it, and so nothing moves under a decision; on PostgreSQL the turn does
the same for the units that decide. Those that only add rows (a request, a fact, a record) need none, and the doors
claim their own rows.

It is the row that binds the database to its token, claimed until the transaction ends: a process that dies, or is cut
off, leaves it. Who finds it claimed skips it and goes on with something else. Before there is a token there is nothing
to decide.
"""

from sqlalchemy import select

from issuer.store.tables import setting
from issuer.store.unit import Unit

ROW = "binding"

_TURN = select(setting.c.name).where(setting.c.name == ROW)
_FREE = _TURN.with_for_update(skip_locked=True)
_NEXT = _TURN.with_for_update()


def take(unit: Unit) -> bool:
    """Claim the turn until the unit ends; False if another process has it. To be called before anything is read."""
    return not _shared(unit) or unit.connection.scalar(_FREE) is not None


def wait(unit: Unit) -> None:
    """Claim the turn until the unit ends, after whoever has it. To be called before anything is read."""
    if _shared(unit):
        unit.connection.scalar(_NEXT)


def _shared(unit: Unit) -> bool:
    return unit.connection.dialect.name == "postgresql"
