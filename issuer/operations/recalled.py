"""Wires that the bank took back when their money was not free: noted, until the money is free again and explains it.

Until then the books have that money twice, once as what left without an order of ours.
"""

from typing import Any

from sqlalchemy import RowMapping, select

from issuer import audit
from issuer.ledger import chart, journal
from issuer.money import fen_to_units, format_fen
from issuer.operations.transitions import move
from issuer.store.states import DepositState
from issuer.store.tables import deposit
from issuer.store.unit import Unit

TAKEN_BACK = "the bank took it back"


def is_noted(row: dict[str, Any] | RowMapping) -> bool:
    """Whether the bank has taken the deposit back, and its money is not free yet."""
    return row["taken_back"] is not None


def note(unit: Unit, row: dict[str, Any] | RowMapping, reference: str) -> None:
    """Keep in mind that the bank took this deposit back by an entry."""
    reason = f"{TAKEN_BACK} while its money was bound or on its way back"
    move(unit, deposit, row["id"], row["state"], row["state"], reason=reason, taken_back=reference)


def close(unit: Unit, row: dict[str, Any] | RowMapping, owner: str) -> None:
    """The money is free again, and has gone: what left without an order of ours is explained."""
    subject, units = f"deposit:{row['reference']}", fen_to_units(row["amount_fen"])
    explained = journal.transfer(
        "taken back before", subject, debit=owner, credit=chart.UNEXPLAINED_DEBITS, units=units
    )
    journal.post(unit, explained)
    move(unit, deposit, row["id"], row["state"], DepositState.RETURNED, reason=TAKEN_BACK, taken_back=None)
    after = {"amount": format_fen(row["amount_fen"]), "state": DepositState.RETURNED}
    before, evidence = {"state": row["state"]}, [row["taken_back"]]
    audit.append(unit, "deposit.recalled", subject, before=before, after=after, evidence=evidence)


def settle(unit: Unit, customer_id: int) -> None:
    """A customer's money is free again: it is not what the bank has taken back of it."""
    credited = select(deposit).where(deposit.c.customer_id == customer_id, deposit.c.state == DepositState.CREDITED)
    noted = credited.where(deposit.c.taken_back.is_not(None)).order_by(deposit.c.id)
    owner = chart.customer(customer_id)
    for row in unit.connection.execute(noted).mappings().all():
        if journal.balance(unit.connection, owner) >= fen_to_units(row["amount_fen"]):
            close(unit, row, owner)
