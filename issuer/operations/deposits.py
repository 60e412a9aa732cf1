"""Deposits: money that came to the collection account, and whose it is (R-29).

A credit from a customer's registered account, in the customer's name, is the customer's money; any other is nobody's
and goes back to where it came from, once by itself: what the bank did not send, a person has sent again.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, insert, select

from issuer import audit
from issuer.errors import NotFound, Refused
from issuer.ledger import chart, journal
from issuer.money import fen_to_units, format_fen
from issuer.operations import cash, customers, locks, mints, payouts, wallets
from issuer.operations import recalled as recalled_
from issuer.operations.payouts import Payment, Payout
from issuer.operations.policy import Policy
from issuer.operations.transitions import move
from issuer.store import turn
from issuer.store.states import DepositState, PayoutKind, Scope
from issuer.store.tables import deposit
from issuer.store.unit import Unit

RETURNABLE = and_(deposit.c.state == DepositState.SUSPENSE, deposit.c.sender_account != "", deposit.c.sender_name != "")
"""What lies in suspense and can be sent back: an order must name an account and its holder."""

_HERE = (DepositState.CREDITED, DepositState.SUSPENSE, DepositState.HELD)
"""States of a deposit whose money has not gone back."""

_INSERT = insert(deposit)


@dataclass(frozen=True, kw_only=True)
class Credit:
    """A booked credit on the collection account, as the bank's notice tells it."""

    fact_id: int
    reference: str  # the bank's own, unique
    amount_fen: int
    sender_account: str
    sender_name: str


def take(unit: Unit, policy: Policy, credit: Credit, *, doubt: str | None = None) -> None:
    """Post a credit to the customer it belongs to, or to suspense; mint it if the customer asked for that once.

    What is in doubt is nobody's, and held.
    """
    owner = customers.by_account(unit.connection, credit.sender_account)
    reason = doubt or _mismatch(owner, credit)
    state = DepositState.SUSPENSE if reason else DepositState.CREDITED
    if doubt is not None:
        state = DepositState.HELD
    customer_id = owner["id"] if owner and not reason else None
    _insert(unit, credit, state, customer_id, reason)
    account = chart.SUSPENSE if customer_id is None else chart.customer(customer_id)
    units = fen_to_units(credit.amount_fen)
    subject = f"deposit:{credit.reference}"
    cash.post(unit, journal.transfer(f"deposit {state}", subject, debit=chart.COLLECTION, credit=account, units=units))
    sender = audit.commit_personal(unit, f"{credit.sender_account} {credit.sender_name}")
    after = {"amount": format_fen(credit.amount_fen), "state": state, "customer": customer_id, "sender": sender}
    audit.append(unit, "deposit.taken", subject, after=after, evidence=[credit.reference])
    if customer_id is not None:
        _follow_standing_instruction(unit, policy, customer_id, units)


def recalled(unit: Unit, back: Credit) -> bool:
    """The bank has taken a credit back. False if no deposit like it is free, so that the issuer is short of it.

    Of one that is not, it is noted: when the bank refuses to send it back, or its mint is withdrawn, it has gone.
    """
    found = _like(unit.connection, back)
    row = next((row for row in found if row["state"] in _HERE and _is_free(unit.connection, row)), None)
    if row is None:
        for other in found[:1]:
            recalled_.note(unit, other, back.reference)
        return False
    subject, units = f"deposit:{row['reference']}", fen_to_units(row["amount_fen"])
    move(unit, deposit, row["id"], row["state"], DepositState.RETURNED, reason=recalled_.TAKEN_BACK)
    cash.post(unit, journal.transfer("taken back", subject, debit=_owner(row), credit=chart.COLLECTION, units=units))
    after = {"amount": format_fen(row["amount_fen"]), "state": DepositState.RETURNED}
    audit.append(
        unit, "deposit.recalled", subject, before={"state": row["state"]}, after=after, evidence=[back.reference]
    )
    _withdraw_standing_order(unit, row, recalled_.TAKEN_BACK)
    return True


def refund(unit: Unit, policy: Policy, *, deposit_id: int) -> dict[str, Any]:
    """Send a customer's deposit back to the registered account, if that much of it is not minted or bound to an order;
    or nobody's once more to its sender, if it is held.

    Raises NotFound, Locked, or Refused.
    """
    turn.wait(unit)
    locks.require_open(unit.connection, Scope.PAYOUTS)
    row = get(unit.connection, deposit_id)
    if row["state"] == DepositState.HELD:
        send_back(unit, policy, row, PayoutKind.RETURN, chart.SUSPENSE)
        return get(unit.connection, deposit_id)
    if row["state"] != DepositState.CREDITED:
        raise Refused(f"deposit {deposit_id} is {row['state']}", "Only a credited or held deposit can be refunded.")
    if recalled_.is_noted(row):
        raise Refused(f"the bank has taken deposit {deposit_id} back", "Nothing of it is left to refund.")
    free = journal.balance(unit.connection, chart.customer(row["customer_id"]))
    if free < fen_to_units(row["amount_fen"]):
        what = f"the customer has less than {format_fen(row['amount_fen'])} that is not minted or bound to an order"
        raise Refused(what, "Cancel the mint order that holds the money, or redeem the tokens.")
    send_back(unit, policy, row, PayoutKind.REFUND, chart.customer(row["customer_id"]))
    return get(unit.connection, deposit_id)


def return_to_senders(unit: Unit, policy: Policy) -> int:
    """Send back what lies in suspense, if the bank has told where it came from; the number of payouts instructed."""
    if locks.locked(unit.connection, Scope.PAYOUTS):
        return 0
    rows = unit.connection.execute(select(deposit).where(RETURNABLE).order_by(deposit.c.id)).mappings().all()
    for row in rows:
        send_back(unit, policy, dict(row), PayoutKind.RETURN, chart.SUSPENSE)
    return len(rows)


def sent_back(unit: Unit, found: Payout) -> None:
    """The bank has debited a refund or a return."""
    row = _of(unit.connection, found)
    move(unit, deposit, row["id"], DepositState.RETURNING, DepositState.RETURNED)


def sent_back_after_all(unit: Unit, found: Payout) -> None:
    """The bank has refused a refund or a return, and has now debited it: the money is on its way again first."""
    row = _of(unit.connection, found)
    _take_out(unit, row, owner_of(row, found.kind))


def lies_here(connection: Connection, found: Payout) -> bool:
    """Whether the deposit of a refused refund or return is where it was before, and its money free."""
    row = _of(connection, found)
    return row["state"] in _HERE and _is_free(connection, row)


def not_sent_back(unit: Unit, found: Payout, why: str) -> None:
    """The bank has refused a refund or a return, or booked it back: the money is the customer's again, or nobody's.

    Nobody's is not sent by itself again: it would be refused again, and lock everybody's payouts each time. It is not
    here if the bank has taken the wire back meanwhile: the books look for it already, and it is no one's any more.
    """
    row = _of(unit.connection, found)
    if recalled_.is_noted(row):
        recalled_.close(unit, row, chart.REFUNDS)
        return
    refunded = found.kind is PayoutKind.REFUND
    owner = owner_of(row, found.kind)
    state = DepositState.CREDITED if refunded else DepositState.HELD
    reason = None if refunded else f"the bank did not send it back: {why}"
    units = fen_to_units(found.amount_fen)
    entry = journal.transfer("not sent back", found.subject, debit=chart.REFUNDS, credit=owner, units=units)
    journal.post(unit, entry)
    move(unit, deposit, row["id"], (DepositState.RETURNING, DepositState.RETURNED), state, reason=reason)


def owner_of(row: dict[str, Any], kind: PayoutKind) -> str:
    """The account of the books that a refund or a return of a deposit is paid out of."""
    return chart.customer(row["customer_id"]) if kind is PayoutKind.REFUND else chart.SUSPENSE


def get(connection: Connection, deposit_id: int) -> dict[str, Any]:
    """One deposit. Raises NotFound."""
    row = connection.execute(select(deposit).where(deposit.c.id == deposit_id)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no deposit {deposit_id}", "See `issuer deposit list`.")
    return dict(row)


def every(connection: Connection) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(select(deposit).order_by(deposit.c.id)).mappings()]


def _mismatch(owner: dict[str, Any] | None, credit: Credit) -> str | None:
    if not (credit.sender_account and credit.sender_name):
        return "the bank tells no account and name to send it back to"
    if owner is None:
        return "the sending account is not registered to a customer"
    if not customers.same_name(owner["name"], credit.sender_name):
        return "the sender's name is not the customer's"
    return None


def _insert(unit: Unit, credit: Credit, state: DepositState, customer_id: int | None, reason: str | None) -> None:
    values = {
        "fact_id": credit.fact_id,
        "reference": credit.reference,
        "amount_fen": credit.amount_fen,
        "sender_account": credit.sender_account,
        "sender_name": credit.sender_name,
        "customer_id": customer_id,
        "state": state,
        "reason": reason,
        "at": unit.now,
    }
    unit.connection.execute(_INSERT, values)


def _follow_standing_instruction(unit: Unit, policy: Policy, customer_id: int, units: int) -> None:
    address = wallets.standing(unit.connection, customer_id)
    if address is not None:
        mints.request(unit, policy, customer_id=customer_id, wallet=address, value=units)


def _withdraw_standing_order(unit: Unit, row: dict[str, Any], reason: str) -> None:
    """A deposit goes back: what was ordered by itself when it came is ordered no more."""
    if row["customer_id"] is not None:
        told = {"customer_id": row["customer_id"], "value": fen_to_units(row["amount_fen"]), "ordered_at": row["at"]}
        mints.withdraw(unit, **told, reason=reason)


def send_back(unit: Unit, policy: Policy, row: dict[str, Any], kind: PayoutKind, owner: str) -> None:
    """Instruct the payment of a deposit back to where it came from, out of its owner's account."""
    _take_out(unit, row, owner)
    payouts.instruct(
        unit,
        Payment(
            kind=kind,
            subject=f"deposit:{row['reference']}",
            amount_fen=row["amount_fen"],
            debtor_account=policy.collection_account,
            creditor_account=row["sender_account"],
            creditor_name=row["sender_name"],
            par=fen_to_units(row["amount_fen"]),
        ),
    )
    _withdraw_standing_order(unit, row, "its money was refunded")


def _take_out(unit: Unit, row: dict[str, Any], owner: str) -> None:
    """A deposit's money is its owner's no more, and on its way back."""
    subject, units = f"deposit:{row['reference']}", fen_to_units(row["amount_fen"])
    reason = None if row["state"] == DepositState.HELD else row["reason"]
    move(unit, deposit, row["id"], row["state"], DepositState.RETURNING, reason=reason)
    journal.post(unit, journal.transfer("sent back", subject, debit=owner, credit=chart.REFUNDS, units=units))


def _like(connection: Connection, back: Credit) -> list[dict[str, Any]]:
    """The deposits from the same account and of the same amount that are not gone, newest first: any may be the one.

    Only those in the same name if there are any: another name's wire is not the customer's.
    """
    statement = select(deposit).where(
        deposit.c.sender_account == back.sender_account,
        deposit.c.amount_fen == back.amount_fen,
        deposit.c.state.in_((*_HERE, DepositState.RETURNING)),
    )
    found = [dict(row) for row in connection.execute(statement.order_by(deposit.c.id.desc())).mappings()]
    found = [row for row in found if not recalled_.is_noted(row)]
    return [row for row in found if customers.same_name(row["sender_name"], back.sender_name)] or found


def _is_free(connection: Connection, row: dict[str, Any]) -> bool:
    """Whether a deposit's money is not minted, bound to an order, or on its way."""
    return journal.balance(connection, _owner(row)) >= fen_to_units(row["amount_fen"])


def _owner(row: dict[str, Any]) -> str:
    return chart.SUSPENSE if row["customer_id"] is None else chart.customer(row["customer_id"])


def _of(connection: Connection, found: Payout) -> dict[str, Any]:
    reference = found.subject.removeprefix("deposit:")
    return dict(connection.execute(select(deposit).where(deposit.c.reference == reference)).mappings().one())
