"""End-of-day statements: the bank's own sum of an account, kept to be compared with the books (R-18)."""

from typing import Any

from sqlalchemy import Connection, insert, select

from issuer import audit
from issuer.money import format_fen
from issuer.operations import locks
from issuer.store import facts
from issuer.store.facts import Fact
from issuer.store.states import Door, Scope
from issuer.store.tables import statement
from issuer.store.unit import Unit


def take(unit: Unit, fact: Fact) -> None:
    """Keep a statement; one that does not follow from the last or does not add up locks minting."""
    told = fact.payload
    problem = _problem(unit.connection, told)
    values = {name: told[name] for name in ("account", "sequence", "opening_fen", "closing_fen", "until")}
    unit.connection.execute(insert(statement).values(**values, fact_id=fact.id))
    after = {"account": told["account"], "sequence": told["sequence"], "closing": format_fen(told["closing_fen"])}
    audit.append(unit, "statement.taken", f"statement:{told['account']}:{told['sequence']}", after=after)
    if problem:
        reason = f"statement {told['sequence']} of {told['account']}: {problem}"
        locks.engage(unit, Scope.MINTING, "statement", reason, "Ask the bank for the right one, then clear the lock.")


def last(connection: Connection, account: str) -> dict[str, Any] | None:
    """The latest statement of an account."""
    query = select(statement).where(statement.c.account == account).order_by(statement.c.sequence.desc()).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def _problem(connection: Connection, told: dict[str, Any]) -> str | None:
    previous = last(connection, told["account"])
    if previous is not None and told["opening_fen"] != previous["closing_fen"]:
        return "its opening balance is not the last one's closing balance"
    noticed = facts.told(connection, Door.BANK, list(told["entries"]))
    for key, change in told["entries"].items():
        if key not in noticed:
            return f"the entry {key} was never noticed"
        if change != _change(noticed[key]):
            return (
                f"the entry {key} is {format_fen(change)} in it, and {format_fen(_change(noticed[key]))} in its notice"
            )
    return None


def _change(entry: dict[str, Any]) -> int:
    """What an entry changes the account's balance by, in fen."""
    amount = int(entry["amount_fen"])
    return amount if entry["direction"] == "credit" else -amount
