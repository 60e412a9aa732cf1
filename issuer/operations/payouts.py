"""One machine for every payment out: instructed once, then the bank's facts move it, each with a record.

Silence is never a reason to instruct again: only a rejection or a booked return frees a cause for another payout,
and the database allows one live payout for one cause.
"""

import hashlib
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, RowMapping, bindparam, insert, select

from issuer import audit
from issuer.money import format_fen, format_units
from issuer.operations import locks
from issuer.operations.transitions import move
from issuer.store import intents
from issuer.store.states import Door, PayoutKind, PayoutState, Scope
from issuer.store.tables import payout
from issuer.store.unit import Unit

DUPLICATE = "DU01"
"""ISO 20022 status reason: the message id was used before."""

OPEN = (PayoutState.INSTRUCTED, PayoutState.ACCEPTED)
"""States of a payout that the bank may still refuse."""

UNPAID = (*OPEN, PayoutState.ARRIVED)
"""States of a payout of which not all has been told to have left."""

_BOOKABLE = (*UNPAID, PayoutState.REJECTED)

_INTERNAL_REMEDY = "Correct the cause with the bank; once the lock is cleared it is instructed again."

REMEDIES = {
    PayoutKind.MINT: _INTERNAL_REMEDY,
    PayoutKind.UNFUND: _INTERNAL_REMEDY,
    PayoutKind.REDEEM: "Settle it with the bank, clear; then issuer redemption release, or direct if it was seized.",
    PayoutKind.REFUND: "Settle it with the customer, clear; then issuer deposit refund: the money is the customer's.",
    PayoutKind.RETURN: "Clear; then issuer deposit refund to try again, or have the bank take the wire back.",
}
"""What to do about a payment that the bank has refused, or that came back."""

_OVER = (PayoutState.REJECTED, PayoutState.RETURNED)

_NAMED = select(payout).where(payout.c.message_id == bindparam("message"))
_FOR_CAUSE = select(payout.c.id).where(payout.c.subject == bindparam("subject"), payout.c.kind == bindparam("kind"))
_ALIVE = _FOR_CAUSE.where(payout.c.state.not_in(_OVER))


@dataclass(frozen=True, kw_only=True)
class Payment:
    """What is to be paid, and why."""

    kind: PayoutKind
    subject: str  # its cause, such as ``redemption:100000000000``
    amount_fen: int
    debtor_account: str
    creditor_account: str
    creditor_name: str
    par: int  # units discharged
    fee_fen: int = 0


@dataclass(frozen=True, kw_only=True)
class Payout(Payment):
    """One instruction of a payment, as the issuer knows it."""

    id: int
    message_id: str
    state: PayoutState
    booked_fen: int
    reason: str | None
    at: int


def instruct(unit: Unit, payment: Payment) -> int:
    """Order a payment from the bank; the file leaves when the record is sealed in the log. Returns the payout's id."""
    message_id = _message_id(unit.connection, payment)
    values = {**asdict(payment), "message_id": message_id, "state": PayoutState.INSTRUCTED, "booked_fen": 0}
    statement = insert(payout).values(**values, at=unit.now).returning(payout.c.id)
    payout_id = int(unit.connection.execute(statement).scalar_one())
    creditor = audit.commit_personal(unit, f"{payment.creditor_account} {payment.creditor_name}")
    after = {
        "message_id": message_id,
        "kind": payment.kind,
        "amount": format_fen(payment.amount_fen),
        "fee": format_fen(payment.fee_fen),
        "par": format_units(payment.par),
        "creditor": creditor,
    }
    record = audit.append(unit, "payout.instructed", payment.subject, after=after)
    intents.emit(unit, Door.BANK, "payment", payment.subject, {"payout_id": payout_id}, record)
    return payout_id


def accept(unit: Unit, found: Payout) -> None:
    """The bank has taken the order (pain.002); its booking may have been told first."""
    if found.state is PayoutState.INSTRUCTED:
        move(unit, payout, found.id, PayoutState.INSTRUCTED, PayoutState.ACCEPTED)
        audit.append(unit, "payout.accepted", found.subject, after={"message_id": found.message_id})
    elif found.state is PayoutState.REJECTED:
        audit.append(unit, "payout.accepted-late", found.subject, after={"message_id": found.message_id})
        _contradicts(unit, found, f"the bank accepts {found.message_id}, which it has refused before")


def _contradicts(unit: Unit, found: Payout, what: str) -> None:
    """The bank takes a refusal back: what it was for must not be ordered a second time meanwhile."""
    remedy = "Have the bank book it or cancel it before what it was for is ordered again, then clear."
    for scope in (Scope.MINTING, Scope.PAYOUTS) if found.kind is PayoutKind.MINT else (Scope.PAYOUTS,):
        locks.engage(unit, scope, "late-acceptance", what, remedy)


def reject(unit: Unit, found: Payout, code: str, reason: str) -> bool:
    """The bank has refused the order (pain.002). True if it moved nothing, so that its cause is free again.

    A repeated message id is no such refusal: the first instruction stands, and a person must look.
    """
    if code == DUPLICATE:
        text = f"the bank says it already knows {found.message_id}"
        locks.engage(unit, Scope.PAYOUTS, "duplicate-message", text, "Compare with the bank's statement, then clear.")
        return False
    text = refusal(code, reason)
    if found.state not in OPEN or found.booked_fen:
        what = f"the bank refuses {found.message_id} ({text}), which it has booked or refused before"
        locks.engage(unit, Scope.PAYOUTS, "late-refusal", what, "Compare with the bank's statement, then clear.")
        if found.state in OPEN:
            # It holds once the bank has taken back what it had booked: see `unbook`.
            move(unit, payout, found.id, OPEN, found.state, reason=text)
            after = {"message_id": found.message_id, "reason": text}
            audit.append(unit, "payout.refused-late", found.subject, after=after)
        return False
    _refuse(unit, found, text)
    return True


def _refuse(unit: Unit, found: Payout, text: str) -> None:
    move(unit, payout, found.id, OPEN, PayoutState.REJECTED, reason=text)
    audit.append(unit, "payout.rejected", found.subject, after={"message_id": found.message_id, "reason": text})
    scope = Scope.MINTING if found.kind is PayoutKind.MINT else Scope.PAYOUTS
    what = f"the bank refused {found.message_id}: {text}"
    locks.engage(unit, scope, "payout-rejected", what, REMEDIES[found.kind])


def refusal(code: str, reason: str) -> str:
    """The bank's reason in one text."""
    return f"{code}: {reason}"


def book(unit: Unit, found: Payout, amount_fen: int, evidence: str) -> bool:
    """The bank has debited the order or a part of it; True once all of it, fee included, has left.

    One that it has refused before is paid nevertheless, and a person must know.
    """
    booked = found.booked_fen + amount_fen
    paid = booked == found.amount_fen + found.fee_fen
    state = PayoutState.PAID if paid else found.state
    move(unit, payout, found.id, _BOOKABLE, state, booked_fen=booked)
    if found.state is PayoutState.REJECTED:
        _contradicts(unit, found, f"the bank has booked {found.message_id}, which it has refused before")
    after = {"message_id": found.message_id, "amount": format_fen(booked if paid else amount_fen)}
    if paid:
        audit.append(unit, "payout.paid", found.subject, after=after, evidence=[evidence])
    else:
        audit.append(unit, "payout.partly-paid", found.subject, after=after, evidence=[evidence])
    return paid


def unbook(unit: Unit, found: Payout, amount_fen: int, evidence: str) -> bool:
    """The bank takes back what it has booked of an order that is not paid; True if its cause is free again.

    It is, if nothing of it is left and the bank has refused the order before.
    """
    left = found.booked_fen - amount_fen
    move(unit, payout, found.id, OPEN, found.state, booked_fen=left)
    after = {"message_id": found.message_id, "amount": format_fen(amount_fen)}
    audit.append(unit, "payout.taken-back", found.subject, after=after, evidence=[evidence])
    if left or found.reason is None:
        return False
    _refuse(unit, found, found.reason)
    return True


def arrive(unit: Unit, found: Payout, evidence: str) -> None:
    """The bank has booked a transfer between our accounts where it goes; where it leaves is told later.

    It has a record, so that after a restore it comes about in its own place, and not before the bank's answer.
    """
    move(unit, payout, found.id, _BOOKABLE, PayoutState.ARRIVED)
    if found.state is PayoutState.REJECTED:
        _contradicts(unit, found, f"the bank has booked {found.message_id}, which it has refused before")
    after = {"message_id": found.message_id, "amount": format_fen(found.amount_fen)}
    audit.append(unit, "payout.arrived", found.subject, after=after, evidence=[evidence])


def take_back(unit: Unit, found: Payout, amount_fen: int, evidence: str) -> bool:
    """The bank has booked a paid order, or a part of it, back; True once all of it has come back.

    Before that it cannot be ordered again, and a person must see to the rest. The fee is a part of it: while the issuer
    keeps it, the reserve lacks what the same redemption is to be paid from a second time.
    """
    left = found.booked_fen - amount_fen
    state = PayoutState.RETURNED if left == 0 else PayoutState.PAID
    move(unit, payout, found.id, PayoutState.PAID, state, booked_fen=left)
    after = {"message_id": found.message_id, "amount": format_fen(amount_fen)}
    if left == 0:
        audit.append(unit, "payout.returned", found.subject, after=after, evidence=[evidence])
    else:
        audit.append(unit, "payout.partly-returned", found.subject, after=after, evidence=[evidence])
        text = f"a part of {found.message_id} came back: {format_fen(amount_fen)}, and {format_fen(left)} is missing"
        remedy = "Have the bank book the rest back under the same id, the fee too, so that it can be paid again; clear."
        locks.engage(unit, Scope.PAYOUTS, "payment-partly-returned", text, remedy)
    return left == 0


def find(connection: Connection, message_id: str | None) -> Payout | None:
    """The payout that a bank message names."""
    row = connection.execute(_NAMED, {"message": message_id}).mappings().one_or_none()
    return None if row is None else _payout(row)


def get(connection: Connection, payout_id: int) -> Payout:
    return _payout(connection.execute(select(payout).where(payout.c.id == payout_id)).mappings().one())


def live(connection: Connection, kind: PayoutKind, subject: str) -> bool:
    """Whether a cause has an instruction that was neither rejected nor returned."""
    return connection.execute(_ALIVE, {"subject": subject, "kind": kind}).first() is not None


def every(connection: Connection) -> list[Payout]:
    return [_payout(row) for row in connection.execute(select(payout).order_by(payout.c.id)).mappings()]


def _message_id(connection: Connection, payment: Payment) -> str:
    """Fixed by the cause and by how many earlier instructions of it failed, so a lost database says it again alike.

    At most 35 characters (ISO 20022 Max35Text).
    """
    earlier = connection.execute(_FOR_CAUSE, {"subject": payment.subject, "kind": payment.kind}).all()
    cause = hashlib.sha256(payment.subject.encode()).hexdigest()[:20]
    return f"{payment.kind}-{cause}-{len(earlier) + 1}"


def _payout(row: RowMapping) -> Payout:
    return Payout(**{**row, "kind": PayoutKind(row["kind"]), "state": PayoutState(row["state"])})
