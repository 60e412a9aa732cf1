"""Payment orders: pain.001 in, booked at most once, pain.002 out.

An order is known for ever by its message id. While it stands (booked and not returned) nothing else may carry its
end-to-end id, and no other REDEEM may pay its redemption.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from issuer.errors import MalformedDocument, NotFound
from issuer.messages import iso20022, pain
from issuer.messages.pain import LONGEST_TEXT, OrderKind, PaymentOrder, PaymentState, PaymentStatus
from issuer.mockbank import books
from issuer.mockbank.books import Payment, Role
from issuer.mockbank.database import next_number
from issuer.money import UNITS_PER_FEN, format_fen

SCHEMA = """
CREATE TABLE IF NOT EXISTS payment_order (
    message_id TEXT PRIMARY KEY,
    end_to_end_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount_fen INTEGER NOT NULL,
    redemption_id INTEGER,
    par_units INTEGER,
    state TEXT NOT NULL,
    reference TEXT
) STRICT;
-- What stands may not stand twice, whatever the checks before it say.
CREATE UNIQUE INDEX IF NOT EXISTS order_standing ON payment_order (end_to_end_id) WHERE state = 'booked';
CREATE UNIQUE INDEX IF NOT EXISTS redemption_paid ON payment_order (redemption_id) WHERE state = 'booked';
"""

BOOKED = "booked"  # -> returned
RETURNED = "returned"  # the money came back and the booking is reversed
REJECTED = "rejected"  # nothing moved


class Reason:
    """ISO 20022 external status reason codes (ExternalStatusReason1Code) that the bank rejects with."""

    DUPLICATE_MESSAGE = "DU01"
    DUPLICATE_END_TO_END = "DU04"
    DUPLICATE_PAYMENT = "AM05"  # the redemption is paid
    NOT_ALLOWED_AMOUNT = "AM02"  # more goes back than ever came
    INSUFFICIENT_FUNDS = "AM04"
    CLOSED_ACCOUNT = "AC04"
    FORBIDDEN = "AG01"  # this kind of order does not run between these accounts
    INVALID_FILE = "FF01"


@dataclass(frozen=True, kw_only=True)
class Rejection:
    code: str
    text: str


_ROUTES: dict[OrderKind, tuple[Role, frozenset[Role]]] = {
    OrderKind.MINT: (Role.COLLECTION, frozenset({Role.RESERVE})),
    OrderKind.UNFUND: (Role.RESERVE, frozenset({Role.COLLECTION})),
    OrderKind.REDEEM: (Role.RESERVE, frozenset({Role.CUSTOMER, Role.COLLECTION})),
    OrderKind.REFUND: (Role.COLLECTION, frozenset({Role.CUSTOMER})),
    OrderKind.RETURN: (Role.COLLECTION, frozenset({Role.CUSTOMER})),
    OrderKind.BUFFER: (Role.OPERATING, frozenset({Role.RESERVE})),
    OrderKind.SWEEP: (Role.RESERVE, frozenset({Role.OPERATING})),
}


def execute(connection: sqlite3.Connection, file_id: str, document: bytes, at: int) -> tuple[PaymentStatus, str | None]:
    """Act on the order in the file that names `file_id`: the answer, and the booking's reference if it was booked."""
    answer_id = f"ST{next_number(connection, 'status'):010d}"
    try:
        order = pain.read_order(document)
    except MalformedDocument as error:
        rejection = Rejection(code=Reason.INVALID_FILE, text=iso20022.printable(error.what, LONGEST_TEXT))
        return _rejected(answer_id, at, file_id, None, rejection), None
    rejection_ = _duplicate_message(connection, order, file_id)
    if rejection_ is not None:
        return _rejected(answer_id, at, order.message_id, order.end_to_end_id, rejection_), None
    return _decide(connection, answer_id, order, at)


def give_back(connection: sqlite3.Connection, *, redemption_id: int | None, end_to_end_id: str | None, at: int) -> str:
    """Reverse a payout whose money came back, fee included; the reversal's reference.

    Raises NotFound when no such payout stands, Refused when its creditor or the operating account lacks the money.
    """
    row = _standing_payout(connection, redemption_id, end_to_end_id)
    payment = books.payment_of(connection, row["reference"])
    reference = books.book(connection, payment, at, reversal=True)
    connection.execute("UPDATE payment_order SET state = ? WHERE message_id = ?", (RETURNED, row["message_id"]))
    return reference


def paid_units(connection: sqlite3.Connection) -> int:
    """Par discharged over all redemptions, net of returned payouts."""
    statement = "SELECT COALESCE(SUM(par_units), 0) AS paid FROM payment_order WHERE state = ?"
    return int(connection.execute(statement, (BOOKED,)).fetchone()["paid"])


def credited_units(connection: sqlite3.Connection) -> int:
    """What ever moved into the reserve for mints, net of what went back for failed orders."""
    statement = """
        SELECT COALESCE(SUM(CASE kind WHEN 'MINT' THEN amount_fen WHEN 'UNFUND' THEN -amount_fen END), 0) AS credited
        FROM payment_order WHERE state = ?
    """
    return int(connection.execute(statement, (BOOKED,)).fetchone()["credited"]) * UNITS_PER_FEN


def _decide(
    connection: sqlite3.Connection, answer_id: str, order: PaymentOrder, at: int
) -> tuple[PaymentStatus, str | None]:
    rejection = next(filter(None, (check(connection, order) for check in _CHECKS)), None)
    if rejection is not None:
        _record(connection, order, REJECTED, None)
        return _rejected(answer_id, at, order.message_id, order.end_to_end_id, rejection), None
    reference = books.book(connection, _payment(connection, order), at)
    _record(connection, order, BOOKED, reference)
    settled = PaymentStatus(
        message_id=answer_id,
        created=at,
        original_message_id=order.message_id,
        end_to_end_id=order.end_to_end_id,
        state=PaymentState.SETTLED,
    )
    return settled, reference


def _rejected(
    answer_id: str, at: int, message_id: str, end_to_end_id: str | None, rejection: Rejection
) -> PaymentStatus:
    return PaymentStatus(
        message_id=answer_id,
        created=at,
        original_message_id=message_id,
        end_to_end_id=end_to_end_id,
        state=PaymentState.REJECTED,
        code=rejection.code,
        text=rejection.text,
    )


def _duplicate_message(connection: sqlite3.Connection, order: PaymentOrder, file_id: str) -> Rejection | None:
    statement = "SELECT 1 FROM payment_order WHERE message_id = ?"
    if connection.execute(statement, (order.message_id,)).fetchone():
        return Rejection(code=Reason.DUPLICATE_MESSAGE, text="this message id was used before")
    if order.message_id != file_id:
        return Rejection(code=Reason.INVALID_FILE, text=f"the file is named after {file_id} and carries another id")
    return None


def _check_route(connection: sqlite3.Connection, order: PaymentOrder) -> Rejection | None:
    debtor_role, creditor_roles = _ROUTES[order.kind]
    debtor, creditor = books.find(connection, order.debtor_account), books.find(connection, order.creditor_account)
    if debtor is None or debtor.role is not debtor_role:
        return Rejection(code=Reason.FORBIDDEN, text=f"{order.kind} is paid from the {debtor_role} account only")
    role = creditor.role if creditor else Role.CUSTOMER
    if role not in creditor_roles:
        return Rejection(code=Reason.FORBIDDEN, text=f"{order.kind} does not go to a {role} account")
    if creditor is not None and creditor.closed:
        return Rejection(code=Reason.CLOSED_ACCOUNT, text="the creditor's account is closed")
    return None


def _check_end_to_end(connection: sqlite3.Connection, order: PaymentOrder) -> Rejection | None:
    statement = "SELECT 1 FROM payment_order WHERE end_to_end_id = ? AND state = ?"
    if connection.execute(statement, (order.end_to_end_id, BOOKED)).fetchone():
        return Rejection(code=Reason.DUPLICATE_END_TO_END, text="an order with this end-to-end id is booked")
    return None


def _check_redemption(connection: sqlite3.Connection, order: PaymentOrder) -> Rejection | None:
    if order.redemption is None:
        return None
    statement = "SELECT 1 FROM payment_order WHERE redemption_id = ? AND state = ?"
    if connection.execute(statement, (order.redemption.id, BOOKED)).fetchone():
        return Rejection(code=Reason.DUPLICATE_PAYMENT, text=f"redemption {order.redemption.id} is paid")
    return None


def _check_unfund(connection: sqlite3.Connection, order: PaymentOrder) -> Rejection | None:
    if order.kind is OrderKind.UNFUND and order.amount_fen * UNITS_PER_FEN > credited_units(connection):
        return Rejection(code=Reason.NOT_ALLOWED_AMOUNT, text="more would go back than ever came in for mints")
    return None


def _check_funds(connection: sqlite3.Connection, order: PaymentOrder) -> Rejection | None:
    held = books.account(connection, order.debtor_account).balance_fen
    if held < order.total_fen:
        text = f"{format_fen(order.total_fen)} CNY are ordered and {format_fen(held)} are there"
        return Rejection(code=Reason.INSUFFICIENT_FUNDS, text=text)
    return None


_CHECKS: tuple[Callable[[sqlite3.Connection, PaymentOrder], Rejection | None], ...] = (
    _check_route,
    _check_end_to_end,
    _check_redemption,
    _check_unfund,
    _check_funds,
)


def _payment(connection: sqlite3.Connection, order: PaymentOrder) -> Payment:
    if books.find(connection, order.creditor_account) is None:
        books.open_account(connection, order.creditor_account, order.creditor_name, covered=True)
    return Payment(
        debtor=order.debtor_account,
        debtor_name=books.account(connection, order.debtor_account).name,
        creditor=order.creditor_account,
        creditor_name=order.creditor_name,
        amount_fen=order.amount_fen,
        kind=order.kind,
        end_to_end_id=order.end_to_end_id,
        redemption=order.redemption,
        text=order.text,
    )


def _record(connection: sqlite3.Connection, order: PaymentOrder, state: str, reference: str | None) -> None:
    redemption = order.redemption
    connection.execute(
        """
        INSERT INTO payment_order
            (message_id, end_to_end_id, kind, amount_fen, redemption_id, par_units, state, reference)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            order.message_id,
            order.end_to_end_id,
            order.kind,
            order.amount_fen,
            redemption.id if redemption else None,
            redemption.par_units if redemption else None,
            state,
            reference,
        ),
    )


def _standing_payout(
    connection: sqlite3.Connection, redemption_id: int | None, end_to_end_id: str | None
) -> sqlite3.Row:
    statement = """
        SELECT * FROM payment_order
        WHERE state = 'booked' AND kind IN ('REDEEM', 'REFUND', 'RETURN')
          AND (redemption_id = ? OR end_to_end_id = ?)
    """
    row: sqlite3.Row | None = connection.execute(statement, (redemption_id, end_to_end_id)).fetchone()
    if row is None:
        raise NotFound("no such payout stands", "Give the redemption id or the end-to-end id of a booked payout.")
    return row
