"""Bookings: each entry of the bank on our two accounts, turned into postings.

A bank fact on them always posts: what no order explains goes to suspense and locks minting and payouts. Whoever pays us
writes any id, and ours can be guessed: a credit belongs to an order only by what the bank itself says of it.
"""

from typing import Any

from sqlalchemy import Connection

from issuer import audit
from issuer.ledger import chart, journal
from issuer.money import fen_to_units, format_fen
from issuer.operations import batches, cash, deposits, locks, payouts, redemptions
from issuer.operations.deposits import Credit
from issuer.operations.payouts import Payout
from issuer.operations.policy import Policy
from issuer.store.facts import Fact
from issuer.store.states import PayoutKind, PayoutState, Scope
from issuer.store.unit import Unit

_INTERNAL = (PayoutKind.MINT, PayoutKind.UNFUND)
"""Transfers between our own accounts: both sides of them are told."""


def take(unit: Unit, policy: Policy, fact: Fact) -> None:
    """Post one booked entry, whatever it is.

    One of 0 fen moves nothing, and is nobody's; one that the books cannot hold is told.
    """
    entry = fact.payload
    if not entry["amount_fen"]:
        return  # no order could send nothing back
    where = _unpostable(unit.connection, policy, entry)
    if where is not None:
        _tell(unit, fact, where)
        return
    found = _order_of(unit.connection, entry)
    if found is not None and _is_its_debit(unit.connection, found, entry):
        _debit(unit, found, entry["amount_fen"], fact.key)
    elif found is not None and _is_its_counterpart(unit.connection, found, entry):
        _counterpart(unit, found, entry["amount_fen"], fact.key)
    elif found is not None and _is_its_return(unit.connection, found, entry):
        _return(unit, found, entry["amount_fen"], fact.key)
    elif found is not None and _is_its_reversal(found, entry):
        _unbook(unit, found, entry["amount_fen"], fact.key)
    elif _is_deposit(policy, found, entry):
        deposits.take(unit, policy, _credit(fact), doubt=_doubt(found))
    elif not (found is None and _is_recall(policy, entry) and deposits.recalled(unit, _credit(fact))):
        _suspend(unit, policy, fact)


def status(unit: Unit, fact: Fact) -> None:
    """The bank's answer to an order (pain.002)."""
    told = fact.payload
    found = payouts.find(unit.connection, told["message_id"])
    if found is None:
        reason = f"the bank answers {told['message_id']}, which is no order of ours"
        locks.engage(unit, Scope.PAYOUTS, "unknown-order", reason, "Ask the bank where it came from, then clear.")
    elif told["accepted"]:
        payouts.accept(unit, found)
    elif payouts.reject(unit, found, told["code"], told["reason"]):
        _free_cause(unit, found, payouts.refusal(told["code"], told["reason"]))


def _ours(policy: Policy) -> dict[str, str]:
    """The books' names of our accounts at the bank."""
    return {policy.collection_account: chart.COLLECTION, policy.reserve_account: chart.RESERVE}


def _unpostable(connection: Connection, policy: Policy, entry: dict[str, Any]) -> str | None:
    """Where an entry is that the books cannot hold, if it is one."""
    account = _ours(policy).get(entry["account"])
    if account is None:
        return f"{entry['account']}, which is none of our accounts,"
    # What leaves an account adds to the books only what it did not hold.
    held = journal.balance(connection, account) if entry["direction"] == "debit" else 0
    too_much = fen_to_units(entry["amount_fen"]) - held > journal.room(connection)
    return f"{account}, of more money than the books can hold," if too_much else None


def _order_of(connection: Connection, entry: dict[str, Any]) -> Payout | None:
    """The order that an entry belongs to; None for what somebody else has sent under its id, and for its recall.

    A credit must be the bank's reversal, or the order's sum from its other account; where a transfer between our own
    goes, the bank need not say from where.
    """
    found = payouts.find(connection, entry["end_to_end_id"])
    if found is None or (entry["direction"] == "debit") != entry["reversal"]:
        return found
    if entry["direction"] == "debit":
        return None
    other = found.creditor_account if entry["account"] == found.debtor_account else found.debtor_account
    whole = entry["amount_fen"] in (found.amount_fen, found.amount_fen + found.fee_fen)
    unsaid = _goes_there(found, entry) and not entry["counterparty_account"]
    return found if whole and (unsaid or entry["counterparty_account"] == other) else None


def _goes_there(found: Payout, entry: dict[str, Any]) -> bool:
    """Whether an entry is on the account that a transfer between our own goes to."""
    return found.kind in _INTERNAL and entry["account"] == found.creditor_account


def _is_its_debit(connection: Connection, found: Payout, entry: dict[str, Any]) -> bool:
    due = found.amount_fen + found.fee_fen - found.booked_fen
    whole = entry["amount_fen"] == due
    return (
        (found.state in payouts.UNPAID or (whole and _is_still_owed(connection, found)))
        and entry["direction"] == "debit"
        and entry["account"] == found.debtor_account
        and entry["amount_fen"] <= due
    )


def _is_still_owed(connection: Connection, found: Payout) -> bool:
    """Whether what the bank has refused to pay is still to be paid, and by no other order: then its booking pays it."""
    if found.state is not PayoutState.REJECTED or payouts.live(connection, found.kind, found.subject):
        return False
    if found.kind is PayoutKind.REDEEM:
        return redemptions.is_owed(connection, found)
    return batches.in_transit(connection, found) if found.kind in _INTERNAL else deposits.lies_here(connection, found)


def _is_its_counterpart(connection: Connection, found: Payout, entry: dict[str, Any]) -> bool:
    # Two notices tell of it, and which is read first says nothing.
    early = found.state in payouts.OPEN or _is_still_owed(connection, found)
    return (
        _goes_there(found, entry)
        and (early or found.state is PayoutState.PAID)
        and entry["direction"] == "credit"
        and entry["amount_fen"] == found.amount_fen
        and batches.in_transit(connection, found)
    )


def _is_its_return(connection: Connection, found: Payout, entry: dict[str, Any]) -> bool:
    return (
        found.state is PayoutState.PAID
        and entry["direction"] == "credit"
        and entry["account"] == found.debtor_account
        and entry["amount_fen"] <= found.booked_fen
        and (found.kind not in _INTERNAL or _is_taken_back(connection, found, entry))
        and (found.kind is not PayoutKind.RETURN or entry["reversal"])
    )


def _doubt(found: Payout | None) -> str | None:
    """Why a credit that is a deposit is not to be sent back by itself: it may be a payment of ours that came back.

    Whoever was sent something back knows the id and the sum, and may be nobody to us: it is no reason to lock payouts.
    Nor to send it once more, since what comes back so may go on coming back.
    """
    if found is None or found.kind is not PayoutKind.RETURN:
        return None
    return f"it may be {found.message_id}, which came back, or a new wire"


def _is_its_reversal(found: Payout, entry: dict[str, Any]) -> bool:
    """Whether the bank takes back what it has booked of an order, before all of it is."""
    return (
        found.state in payouts.OPEN
        and entry["direction"] == "credit"
        and entry["reversal"]
        and entry["account"] == found.debtor_account
        and entry["amount_fen"] <= found.booked_fen
    )


def _is_taken_back(connection: Connection, found: Payout, entry: dict[str, Any]) -> bool:
    """Whether the bank reverses a transfer between our accounts, all of it, before it has arrived."""
    whole = entry["amount_fen"] == found.booked_fen
    return bool(entry["reversal"] and whole and batches.in_transit(connection, found))


def _is_deposit(policy: Policy, found: Payout | None, entry: dict[str, Any]) -> bool:
    """Whatever id it carries; but not what the bank takes back, nor what comes from our own other account, or may."""
    return bool(
        entry["direction"] == "credit"
        and not (found is not None and _goes_there(found, entry))
        and entry["account"] == policy.collection_account
        and entry["counterparty_account"] != policy.reserve_account
        and not entry["reversal"]
    )


def _is_recall(policy: Policy, entry: dict[str, Any]) -> bool:
    return bool(entry["direction"] == "debit" and entry["account"] == policy.collection_account and entry["reversal"])


def _debit(unit: Unit, found: Payout, amount_fen: int, evidence: str) -> None:
    paid = payouts.book(unit, found, amount_fen, evidence)
    units = fen_to_units(amount_fen)
    if found.kind is PayoutKind.REDEEM:
        redemptions.booked(unit, found, amount_fen, paid=paid)
        return
    if found.kind not in _INTERNAL and found.state is PayoutState.REJECTED:
        deposits.sent_back_after_all(unit, found)
    source, target = _sides(found)
    cash.post(unit, journal.transfer("paid", found.subject, debit=target, credit=source, units=units))
    if paid and found.kind not in _INTERNAL:
        deposits.sent_back(unit, found)
    elif paid and found.state is PayoutState.ARRIVED:
        _arrived(unit, found)


def _sides(found: Payout) -> tuple[str, str]:
    """The account of the books that a payment leaves, and the one that it is posted against."""
    if found.kind is PayoutKind.REDEEM:
        return chart.RESERVE, chart.REDEMPTIONS
    source = chart.RESERVE if found.kind is PayoutKind.UNFUND else chart.COLLECTION
    if found.kind not in _INTERNAL:
        return source, chart.REFUNDS
    return source, chart.EARLY if found.state is PayoutState.ARRIVED else chart.TRANSIT


def _counterpart(unit: Unit, found: Payout, amount_fen: int, evidence: str) -> None:
    target = chart.RESERVE if found.kind is PayoutKind.MINT else chart.COLLECTION
    left = fen_to_units(min(found.booked_fen, amount_fen))
    parts = ((chart.TRANSIT, left), (chart.EARLY, fen_to_units(amount_fen) - left))
    arrived = [
        journal.transfer("arrived", found.subject, debit=target, credit=source, units=units)
        for source, units in parts
        if units
    ]
    cash.post(unit, *arrived)
    if found.state is PayoutState.PAID:
        _arrived(unit, found)
    else:
        payouts.arrive(unit, found, evidence)


def _arrived(unit: Unit, found: Payout) -> None:
    """Both sides of a transfer are booked."""
    if found.kind is PayoutKind.MINT:
        batches.funded(unit, found)
    else:
        batches.unfunded(unit, found)


def _return(unit: Unit, found: Payout, amount_fen: int, evidence: str) -> None:
    all_of_it = payouts.take_back(unit, found, amount_fen, evidence)
    if found.kind is PayoutKind.REDEEM:
        redemptions.came_back(unit, found, amount_fen, all_of_it=all_of_it)
        return
    units = fen_to_units(amount_fen)
    source, target = _sides(found)
    cash.post(unit, journal.transfer("came back", found.subject, debit=source, credit=target, units=units))
    if not all_of_it:
        return
    if found.kind not in _INTERNAL:
        deposits.not_sent_back(unit, found, "it came back")
    scope = Scope.MINTING if found.kind is PayoutKind.MINT else Scope.PAYOUTS
    locks.engage(unit, scope, "payment-returned", f"{found.message_id} came back", payouts.REMEDIES[found.kind])


def _unbook(unit: Unit, found: Payout, amount_fen: int, evidence: str) -> None:
    is_free = payouts.unbook(unit, found, amount_fen, evidence)
    source, target = _sides(found)
    units = fen_to_units(amount_fen)
    cash.post(unit, journal.transfer("taken back", found.subject, debit=source, credit=target, units=units))
    if is_free:
        _free_cause(unit, found, found.reason or "")


def _free_cause(unit: Unit, found: Payout, why: str) -> None:
    """A rejected order moved nothing; what it was for waits again."""
    if found.kind is PayoutKind.REDEEM:
        redemptions.not_paid(unit, found, why)
    elif found.kind in (PayoutKind.REFUND, PayoutKind.RETURN):
        deposits.not_sent_back(unit, found, why)


def _suspend(unit: Unit, policy: Policy, fact: Fact) -> None:
    entry = fact.payload
    account = _ours(policy)[entry["account"]]
    units = fen_to_units(entry["amount_fen"])
    sides = (account, chart.SUSPENSE) if entry["direction"] == "credit" else (chart.UNEXPLAINED_DEBITS, account)
    description = f"{entry['direction']} without an order of ours"
    cash.post(unit, journal.transfer(description, f"entry:{fact.key}", debit=sides[0], credit=sides[1], units=units))
    _tell(unit, fact, account)


def _tell(unit: Unit, fact: Fact, where: str) -> None:
    """Record an entry that no order explains, and lock until a person has looked."""
    entry = fact.payload
    after = {"account": entry["account"], "direction": entry["direction"], "amount": format_fen(entry["amount_fen"])}
    audit.append(unit, "entry.suspended", f"entry:{fact.key}", after=after)
    reason = f"the bank booked a {entry['direction']} on {where} that no order explains ({fact.key})"
    for scope in (Scope.MINTING, Scope.PAYOUTS):
        locks.engage(unit, scope, "unexplained-entry", reason, "Ask the bank what it is, settle it, clear the lock.")


def _credit(fact: Fact) -> Credit:
    entry = fact.payload
    return Credit(
        fact_id=fact.id,
        reference=fact.key,
        amount_fen=entry["amount_fen"],
        sender_account=entry["counterparty_account"],
        sender_name=entry["counterparty_name"],
    )
