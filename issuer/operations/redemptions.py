"""Redemptions: a final burn is a debt to its holder, paid once, at par less the disclosed fee (R-22, R-23)."""

from typing import Any

from sqlalchemy import Connection, Row, insert, select

from issuer import audit
from issuer.audit import personal, trail
from issuer.audit.record import Record
from issuer.errors import BrokenInvariant, NotFound, Refused
from issuer.ledger import chart, journal
from issuer.money import fen_to_units, format_units, whole_fen
from issuer.operations import cash, customers, locks, payouts, powers, wallets
from issuer.operations.payouts import Payment, Payout
from issuer.operations.policy import Policy
from issuer.operations.transitions import move
from issuer.regime.business_days import redemption_deadline
from issuer.store import turn
from issuer.store.facts import Fact
from issuer.store.states import PayoutKind, RedemptionState, Scope
from issuer.store.tables import redemption
from issuer.store.unit import Unit

DEFAULT_INSTRUCTION = "0x" + "00" * 32
"""The reference that asks for payment to the account registered for the wallet's owner."""

NOT_ABOVE_THE_FEE = "it is not above the fee"
"""Why a redemption is held of which nothing would be left."""

_OWED = (RedemptionState.PAYABLE, RedemptionState.HELD, RedemptionState.RETURNED)
"""States of a redemption that no payment carries."""

_SEIZED = "it was seized: its case names who is paid"
_UNAPPROVED = "another operator's approval of its payee"
_DIRECTIONS = ("redemption.directed", "redemption.restored")


def burned(unit: Unit, policy: Policy, fact: Fact) -> None:
    """A final burn: what was outstanding is now payable, and the clock of one business day runs."""
    told = fact.payload
    customer_id = wallets.owner(unit.connection, told["account"])
    seized = told.get("case")
    reason = _SEIZED if seized else _obstacle(policy, customer_id, told["reference"], told["value"])
    state = RedemptionState.HELD if reason else RedemptionState.PAYABLE
    statement = insert(redemption).values(
        id=told["id"],
        holder=told["account"],
        value=told["value"],
        reference=told["reference"],
        transaction_hash=told["transaction"],
        customer_id=customer_id,
        state=state,
        reason=reason,
        deadline=redemption_deadline(told["timestamp"]),
        seized_under=seized,
        at=unit.now,
    )
    unit.connection.execute(statement)
    subject = f"redemption:{told['id']}"
    units = told["value"]
    entry = journal.transfer("redeemed", subject, debit=chart.OUTSTANDING, credit=chart.REDEMPTIONS, units=units)
    journal.post(unit, entry)
    after = {
        "holder": told["account"],
        "value": format_units(units),
        "reference": told["reference"],
        "state": state,
        "reason": reason,
    }
    audit.append(unit, "redemption.burned", subject, after=after, evidence=[told["transaction"]])


def instruct(unit: Unit, policy: Policy) -> int:
    """Have payable redemptions paid, oldest first; the number instructed.

    One that the fee has outgrown since its burn is held: an order of nothing or less could not be written.
    """
    if locks.locked(unit.connection, Scope.PAYOUTS):
        return 0
    statement = select(redemption).where(redemption.c.state == RedemptionState.PAYABLE).order_by(redemption.c.id)
    instructed = 0
    for row in unit.connection.execute(statement.limit(100)).all():
        if whole_fen(row.value) <= _fee_fen(policy, row):
            hold(unit, row.id, NOT_ABOVE_THE_FEE)
            continue
        if row.seized_under and not _is_approved(unit.connection, row.id):
            hold(unit, row.id, _UNAPPROVED)
            continue
        try:
            payee = payable(unit.connection, row)
        except (BrokenInvariant, NotFound) as error:
            remedy = "Find who changed the database, put the customer's own name and account back, clear the lock."
            locks.engage(unit, Scope.PAYOUTS, "altered-customer", error.what, remedy)
            return instructed
        pay(unit, policy, row, payee)
        instructed += 1
    return instructed


def hold(unit: Unit, redemption_id: int, reason: str) -> None:
    """Keep a payable redemption from being paid until a person releases it."""
    values = {"payee_by": _directions(unit.connection, redemption_id)[-1].actor} if reason == _UNAPPROVED else {}
    _hold(unit, redemption_id, RedemptionState.PAYABLE, reason, **values)


def _hold(unit: Unit, redemption_id: int, source: RedemptionState, reason: str, **values: str) -> None:
    move(unit, redemption, redemption_id, source, RedemptionState.HELD, reason=reason, **values)
    audit.append(unit, "redemption.held", f"redemption:{redemption_id}", after={"reason": reason})


def payable(connection: Connection, row: Row[Any]) -> dict[str, Any]:
    """The name and the bank account that a redemption is paid to, as the log commits to them.

    Raises BrokenInvariant if the database says other than the log, NotFound if nothing is said.
    """
    if not row.seized_under:
        return customers.payable(connection, row.customer_id)
    directed = _directions(connection, row.id)
    committed = (directed[-1].after or {})["creditor"] if directed else ""
    opening = personal.reveal(connection, committed)
    if opening.value != f"{row.payee_account} {row.payee_name}" or opening.commitment != committed:
        raise BrokenInvariant(f"the payee of redemption {row.id} is not the one that the log commits to")
    return {"bank_account": row.payee_account, "name": row.payee_name}


def pay(unit: Unit, policy: Policy, row: Row[Any], payee: dict[str, Any]) -> None:
    """Instruct the payment of one redemption to its owner's registered account, or as the case of a seizure orders."""
    fee_fen = _fee_fen(policy, row)
    move(unit, redemption, row.id, RedemptionState.PAYABLE, RedemptionState.INSTRUCTED)
    payouts.instruct(
        unit,
        Payment(
            kind=PayoutKind.REDEEM,
            subject=f"redemption:{row.id}",
            amount_fen=whole_fen(row.value) - fee_fen,
            debtor_account=policy.reserve_account,
            creditor_account=payee["bank_account"],
            creditor_name=payee["name"],
            par=row.value,
            fee_fen=fee_fen,
        ),
    )


def release(unit: Unit, policy: Policy, *, redemption_id: int) -> dict[str, Any]:
    """Have a held or returned redemption paid after its obstacle is gone. Raises NotFound, or Refused if it is not."""
    turn.wait(unit)
    row = get(unit.connection, redemption_id)
    if row["seized_under"]:
        raise Refused(f"redemption {redemption_id} was seized", "Pay it as its case orders: issuer redemption direct.")
    customer_id = wallets.owner(unit.connection, row["holder"])
    reason = _obstacle(policy, customer_id, DEFAULT_INSTRUCTION, row["value"])
    if row["state"] not in (RedemptionState.HELD, RedemptionState.RETURNED) or reason:
        raise Refused(f"redemption {redemption_id} is {row['state']}: {reason or 'nothing holds it'}")
    sources = (RedemptionState.HELD, RedemptionState.RETURNED)
    move(unit, redemption, redemption_id, sources, RedemptionState.PAYABLE, customer_id=customer_id, reason=None)
    audit.append(unit, "redemption.released", f"redemption:{redemption_id}", before={"reason": row["reason"]})
    return get(unit.connection, redemption_id)


def direct(unit: Unit, policy: Policy, *, redemption_id: int, account: str, name: str, case: str) -> dict[str, Any]:
    """Say who is paid for what was seized, as its case orders; another person must approve it.

    Raises NotFound, InvalidInput, or Refused if it was not seized under this case or is on its way to somebody.
    """
    turn.wait(unit)
    row = _seized(unit.connection, redemption_id)
    if row["seized_under"] != powers.case_id(case):
        raise Refused(f"redemption {redemption_id} was seized under another case", "Give the case of its seizure.")
    name = customers.check_payee(policy, name, account)
    after = {"case": case, "creditor": audit.commit_personal(unit, f"{account} {name}")}
    audit.append(unit, "redemption.directed", f"redemption:{redemption_id}", after=after)
    values = {"payee_account": account, "payee_name": name, "payee_by": unit.actor, "reason": _UNAPPROVED}
    move(unit, redemption, redemption_id, row["state"], RedemptionState.HELD, **values)
    return get(unit.connection, redemption_id)


def approve(unit: Unit, *, redemption_id: int) -> dict[str, Any]:
    """Have what was seized paid to its payee, as another person than the one who named it (R-34).

    Raises NotFound or Refused.
    """
    turn.wait(unit)
    row = _seized(unit.connection, redemption_id)
    if row["payee_by"] is None or row["reason"] != _UNAPPROVED:
        raise Refused(f"redemption {redemption_id} has no payee to approve", "Name one with issuer redemption direct.")
    if row["payee_by"].casefold() == unit.actor.casefold():
        raise Refused("a payee is not approved by the person who named it", "Let another operator approve it.")
    move(unit, redemption, redemption_id, row["state"], RedemptionState.PAYABLE, reason=None)
    audit.append(unit, "redemption.released", f"redemption:{redemption_id}", before={"reason": row["reason"]})
    return get(unit.connection, redemption_id)


def booked(unit: Unit, found: Payout, amount_fen: int, *, paid: bool) -> None:
    """The bank has debited the reserve for a redemption; what is below a fen stays with the issuer once it is paid."""
    entries = [_entry("paid", found, chart.REDEMPTIONS, chart.RESERVE, fen_to_units(amount_fen))]
    if paid and _dust(found):
        entries.append(_entry("below a fen", found, chart.REDEMPTIONS, chart.BUFFER, _dust(found)))
    cash.post(unit, *entries)
    if paid:
        sources = (RedemptionState.INSTRUCTED, *_OWED)
        move(unit, redemption, _id_of(found), sources, RedemptionState.PAID, reason=None)


def came_back(unit: Unit, found: Payout, amount_fen: int, *, all_of_it: bool) -> None:
    """The bank has booked a payment back: it is owed again, to an account that a person must correct."""
    entries = [_entry("came back", found, chart.RESERVE, chart.REDEMPTIONS, fen_to_units(amount_fen))]
    if all_of_it and _dust(found):
        entries.append(_entry("below a fen", found, chart.BUFFER, chart.REDEMPTIONS, _dust(found)))
    cash.post(unit, *entries)
    if all_of_it:
        reason = "the payment came back"
        move(unit, redemption, _id_of(found), RedemptionState.PAID, RedemptionState.RETURNED, reason=reason)


def not_paid(unit: Unit, found: Payout, why: str) -> None:
    """The bank has refused the order and moved nothing: a person must say that it may be tried again.

    By itself it would be refused again, and lock everybody's payouts each time.
    """
    _hold(unit, _id_of(found), RedemptionState.INSTRUCTED, f"the bank would not pay it: {why}")


def is_owed(connection: Connection, found: Payout) -> bool:
    """Whether no payment carries the redemption that an order was for."""
    return get(connection, _id_of(found))["state"] in _OWED


def get(connection: Connection, redemption_id: int) -> dict[str, Any]:
    """One redemption. Raises NotFound."""
    row = connection.execute(select(redemption).where(redemption.c.id == redemption_id)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no redemption {redemption_id}", "See `issuer redemption list`.")
    return dict(row)


def every(connection: Connection) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(select(redemption).order_by(redemption.c.id)).mappings()]


def _obstacle(policy: Policy, customer_id: int | None, reference: str, value: int) -> str | None:
    """Why a redemption cannot be paid by itself, if so."""
    if customer_id is None:
        return "the holder's wallet is not registered to a customer"
    if reference != DEFAULT_INSTRUCTION:
        return "its reference names no registered payout instruction"
    if whole_fen(value) <= policy.redemption_fee_fen:
        return NOT_ABOVE_THE_FEE
    return None


def _fee_fen(policy: Policy, row: Row[Any]) -> int:
    """The fee is a customer's, for a service that was asked for; what is seized is paid in full."""
    return 0 if row.seized_under else policy.redemption_fee_fen


def _seized(connection: Connection, redemption_id: int) -> dict[str, Any]:
    """A seized redemption that is not on its way to anybody. Raises NotFound or Refused."""
    row = get(connection, redemption_id)
    if not row["seized_under"]:
        raise Refused(f"redemption {redemption_id} was not seized", "It is paid to its holder's own account.")
    if row["state"] not in (RedemptionState.HELD, RedemptionState.RETURNED):
        raise Refused(f"redemption {redemption_id} is {row['state']}", "A payee is named while it is held or returned.")
    return row


def _directions(connection: Connection, redemption_id: int) -> list[Record]:
    """The records that commit to whom a seized redemption is paid, the first ones first."""
    return [record for record in _records(connection, redemption_id) if record.action in _DIRECTIONS]


def _is_approved(connection: Connection, redemption_id: int) -> bool:
    """Whether somebody has approved its payee since it was named, or entered again after a restore."""
    deciding = (*_DIRECTIONS, "redemption.released")
    decided = [record.action for record in _records(connection, redemption_id) if record.action in deciding]
    return decided[-1:] == ["redemption.released"]


def _records(connection: Connection, redemption_id: int) -> list[Record]:
    return [entry.record for entry in trail.trace(connection, [f"redemption:{redemption_id}"])]


def _dust(found: Payout) -> int:
    """What of the par is below a fen, in units: only a whole balance can carry it."""
    return found.par - fen_to_units(found.amount_fen + found.fee_fen)


def _entry(description: str, found: Payout, debit: str, credit: str, units: int) -> journal.Entry:
    return journal.transfer(description, found.subject, debit=debit, credit=credit, units=units)


def _id_of(found: Payout) -> int:
    return int(found.subject.removeprefix("redemption:"))
