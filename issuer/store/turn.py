"""The turn: one unit of work decides at a time, in whatever process it runs.

A decision rests on more than the rows that it changes: on a sum, on the order of facts, on a lock that is not there.
On SQLite every unit waits for the one before it, and so nothing moves under a decision; on PostgreSQL the turn does
the same for the units that decide. Those that only add rows (a request, a fact, a record) need none, and the doors
claim their own rows.

It is an advisory lock of PostgreSQL that ends with its transaction: a process that dies, or is cut off, leaves it.
"""

from sqlalchemy import text

from issuer.store.unit import Unit

_NUMBER = 0x6F63_6E68  # any number that all processes agree on


def take(unit: Unit) -> bool:
    """Claim the turn until the unit ends; False if another process has it. To be called before anything is read."""
    return _call(unit, "pg_try_advisory_xact_lock") is not False


def wait(unit: Unit) -> None:
    """Claim the turn until the unit ends, after whoever has it. To be called before anything is read."""
    _call(unit, "pg_advisory_xact_lock")


def _call(unit: Unit, function: str) -> bool | None:
    if unit.connection.dialect.name != "postgresql":
        return None
    answer = unit.connection.scalar(text(f"SELECT {function}(:number)"), {"number": _NUMBER})
    return answer if isinstance(answer, bool) else None
