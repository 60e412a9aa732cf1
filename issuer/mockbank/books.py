"""The bank's books: accounts, and bookings whose changes sum to zero.

The accounts are the issuer's three, the customers', and one of the bank itself (`CLEARING`) through which money comes
from and goes to the outside; only that one may be negative.
"""

import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from issuer.errors import Conflict, NotFound, Refused
from issuer.messages import iso20022
from issuer.messages.camt import Entry, Side
from issuer.messages.pain import LONGEST_NAME, OrderKind, Redemption
from issuer.mockbank.database import next_number
from issuer.money import format_fen

CLEARING = "CLEARING"

SCHEMA = """
CREATE TABLE IF NOT EXISTS account (
    number TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    covered INTEGER NOT NULL DEFAULT 0,
    closed INTEGER NOT NULL DEFAULT 0,
    balance_fen INTEGER NOT NULL DEFAULT 0,
    CHECK (balance_fen >= 0 OR role = 'clearing')
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS account_role ON account (role) WHERE role <> 'customer';
CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (number),
    reference TEXT NOT NULL,
    change_fen INTEGER NOT NULL,
    side TEXT NOT NULL,
    booked_at INTEGER NOT NULL,
    counterparty_name TEXT NOT NULL,
    counterparty_account TEXT NOT NULL,
    end_to_end_id TEXT,
    kind TEXT,
    redemption_id INTEGER,
    par_units INTEGER,
    fee_fen INTEGER,
    text TEXT NOT NULL,
    reversal INTEGER NOT NULL,
    UNIQUE (account, reference)
) STRICT;
CREATE INDEX IF NOT EXISTS entry_reference ON entry (reference);
"""


class Role(StrEnum):
    COLLECTION = "collection"  # the issuer's: receives wires
    RESERVE = "reserve"  # the issuer's: backs tokens, and is attested
    OPERATING = "operating"  # the issuer's own money
    CUSTOMER = "customer"
    CLEARING = "clearing"  # the bank's own door to the outside


REPORTED = (Role.COLLECTION, Role.RESERVE)
"""The accounts that the issuer gets notices and statements of."""


@dataclass(frozen=True, kw_only=True)
class Account:
    number: str
    name: str
    role: Role
    covered: bool  # opened by a payment: what it lacks comes from the outside, as if it lay at another bank
    closed: bool
    balance_fen: int


@dataclass(frozen=True, kw_only=True)
class Payment:
    """Money from debtor to creditor; a redemption's fee goes to the operating account on top."""

    debtor: str
    debtor_name: str
    creditor: str
    creditor_name: str
    amount_fen: int
    kind: OrderKind | None = None
    end_to_end_id: str | None = None
    redemption: Redemption | None = None
    text: str = ""

    @property
    def fee_fen(self) -> int:
        return self.redemption.fee_fen if self.redemption else 0


def open_account(
    connection: sqlite3.Connection, number: str, name: str, role: Role = Role.CUSTOMER, *, covered: bool = False
) -> None:
    """Raises Conflict for a number in use, InvalidInput for one that is none."""
    iso20022.check_account(number, "the account")
    iso20022.check_text(name, "the name", LONGEST_NAME, shortest=1)
    statement = "INSERT INTO account (number, name, role, covered) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
    if connection.execute(statement, (number, name, role, covered)).rowcount == 0:
        raise Conflict(f"account {number} is open already", "Choose another number; see `mockbank balances`.")


def close_account(connection: sqlite3.Connection, number: str) -> None:
    """Payments to it are rejected from now on. Raises NotFound, or Refused for an account of the issuer or the bank."""
    if account(connection, number).role is not Role.CUSTOMER:
        raise Refused(f"account {number} is no customer's", "Close customers' accounts only.")
    connection.execute("UPDATE account SET closed = 1 WHERE number = ?", (number,))


def find(connection: sqlite3.Connection, number: str) -> Account | None:
    row = connection.execute("SELECT * FROM account WHERE number = ?", (number,)).fetchone()
    return _account(row) if row else None


def account(connection: sqlite3.Connection, number: str) -> Account:
    """Raises NotFound."""
    found = find(connection, number)
    if found is None:
        raise NotFound(f"there is no account {number}", "See `mockbank balances`.")
    return found


def of_role(connection: sqlite3.Connection, role: Role) -> Account:
    return _account(connection.execute("SELECT * FROM account WHERE role = ?", (role,)).fetchone())


def every(connection: sqlite3.Connection) -> list[Account]:
    return [_account(row) for row in connection.execute("SELECT * FROM account ORDER BY role, number")]


def deposit(connection: sqlite3.Connection, number: str, amount_fen: int, at: int) -> str:
    """Money from the outside onto an account; the booking's reference.

    Raises Refused beyond what one account could hold, so that no balance ever leaves the range of the messages.
    """
    outside = of_role(connection, Role.CLEARING).balance_fen
    if amount_fen - outside > iso20022.MAX_FEN:
        raise Refused("there is not so much money", f"Bring in less than {format_fen(iso20022.MAX_FEN)} CNY in all.")
    owner = account(connection, number)
    payment = Payment(
        debtor=CLEARING, debtor_name=CLEARING, creditor=number, creditor_name=owner.name, amount_fen=amount_fen
    )
    return book(connection, payment, at)


def book(connection: sqlite3.Connection, payment: Payment, at: int, *, reversal: bool = False) -> str:
    """Book a payment, or take it back; the booking's reference. Raises Refused when an account has not enough."""
    reference = f"BK{next_number(connection, 'booking'):010d}"
    operating = of_role(connection, Role.OPERATING).number
    changes = {payment.debtor: -payment.amount_fen - payment.fee_fen, payment.creditor: payment.amount_fen}
    if payment.fee_fen:
        changes[operating] = changes.get(operating, 0) + payment.fee_fen
    for number, change in changes.items():
        moved = -change if reversal else change
        _cover(connection, number, moved, at)
        side = Side.DEBIT if (number == payment.debtor) != reversal else Side.CREDIT
        _enter(connection, payment, reference, number, moved, side, at, reversal)
    return reference


def entries(connection: sqlite3.Connection, reference: str) -> list[Entry]:
    """A booking's entries on the accounts that the issuer is told of."""
    statement = """
        SELECT entry.* FROM entry JOIN account ON account.number = entry.account
        WHERE entry.reference = ? AND account.role IN (?, ?) ORDER BY entry.id
    """
    return [to_entry(row) for row in connection.execute(statement, (reference, *REPORTED))]


def to_entry(row: sqlite3.Row) -> Entry:
    redemption = None
    if row["redemption_id"] is not None:
        redemption = Redemption(id=row["redemption_id"], par_units=row["par_units"], fee_fen=row["fee_fen"])
    return Entry(
        account=row["account"],
        reference=row["reference"],
        detail=0,
        side=Side(row["side"]),
        amount_fen=abs(row["change_fen"]),
        booked_at=row["booked_at"],
        counterparty_name=row["counterparty_name"],
        counterparty_account=row["counterparty_account"],
        end_to_end_id=row["end_to_end_id"],
        kind=OrderKind(row["kind"]) if row["kind"] else None,
        redemption=redemption,
        text=row["text"],
        reversal=bool(row["reversal"]),
    )


def payment_of(connection: sqlite3.Connection, reference: str) -> Payment:
    """The payment that a booking made, as its debtor's entry tells it. Raises NotFound."""
    statement = "SELECT * FROM entry WHERE reference = ? AND side = ? AND NOT reversal"
    row = connection.execute(statement, (reference, Side.DEBIT)).fetchone()
    if row is None:
        raise NotFound(f"there is no payment {reference}", "Use the reference that `mockbank wire` answered with.")
    entry = to_entry(row)
    fee = entry.redemption.fee_fen if entry.redemption else 0
    return Payment(
        debtor=entry.account,
        debtor_name=_debtor_name(connection, reference, entry),
        creditor=entry.counterparty_account,
        creditor_name=entry.counterparty_name,
        amount_fen=entry.amount_fen - fee,
        kind=entry.kind,
        end_to_end_id=entry.end_to_end_id,
        redemption=entry.redemption,
        text=entry.text,
    )


def _debtor_name(connection: sqlite3.Connection, reference: str, entry: Entry) -> str:
    statement = "SELECT counterparty_name FROM entry WHERE reference = ? AND account = ?"
    row = connection.execute(statement, (reference, entry.counterparty_account)).fetchone()
    return str(row["counterparty_name"])


def _account(row: sqlite3.Row) -> Account:
    return Account(
        number=row["number"],
        name=row["name"],
        role=Role(row["role"]),
        covered=bool(row["covered"]),
        closed=bool(row["closed"]),
        balance_fen=row["balance_fen"],
    )


def _cover(connection: sqlite3.Connection, number: str, change: int, at: int) -> None:
    held = account(connection, number)
    short = -(held.balance_fen + change)
    if change >= 0 or short <= 0 or held.role is Role.CLEARING:
        return
    if not held.covered:
        raise Refused(
            f"account {number} holds {format_fen(held.balance_fen)} CNY and {format_fen(-change)} are needed",
            "Pay into it first; see `mockbank balances`.",
        )
    deposit(connection, number, short, at)


def _enter(
    connection: sqlite3.Connection,
    payment: Payment,
    reference: str,
    number: str,
    change: int,
    side: Side,
    at: int,
    reversal: bool,
) -> None:
    paying = number == payment.debtor
    redemption = payment.redemption
    values = {
        "account": number,
        "reference": reference,
        "change_fen": change,
        "side": side,
        "booked_at": at,
        "counterparty_name": payment.creditor_name if paying else payment.debtor_name,
        "counterparty_account": payment.creditor if paying else payment.debtor,
        "end_to_end_id": payment.end_to_end_id,
        "kind": payment.kind,
        "redemption_id": redemption.id if redemption else None,
        "par_units": redemption.par_units if redemption else None,
        "fee_fen": redemption.fee_fen if redemption else None,
        "text": payment.text,
        "reversal": reversal,
    }
    connection.execute(
        """
        INSERT INTO entry (account, reference, change_fen, side, booked_at, counterparty_name, counterparty_account,
                           end_to_end_id, kind, redemption_id, par_units, fee_fen, text, reversal)
        VALUES (:account, :reference, :change_fen, :side, :booked_at, :counterparty_name, :counterparty_account,
                :end_to_end_id, :kind, :redemption_id, :par_units, :fee_fen, :text, :reversal)
        """,
        values,
    )
    connection.execute("UPDATE account SET balance_fen = balance_fen + ? WHERE number = ?", (change, number))
