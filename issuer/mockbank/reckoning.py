"""The auditor's own sums: the figures after each of the bank's notices, and the statements that must agree."""

import sqlite3

from issuer.errors import IssuerError
from issuer.messages.camt import Entry, Notice, Side, Statement
from issuer.messages.pain import OrderKind
from issuer.mockbank.attestation import Figures
from issuer.money import UNITS_PER_FEN

SCHEMA = """
-- The figures after each notice; row 0 is the empty account.
CREATE TABLE IF NOT EXISTS noticed (
    sequence INTEGER PRIMARY KEY,
    booked_at INTEGER NOT NULL,
    reserve_units INTEGER NOT NULL,
    paid_units INTEGER NOT NULL,
    credited_units INTEGER NOT NULL
) STRICT;
INSERT INTO noticed VALUES (0, 0, 0, 0, 0) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS noticed_entry (
    account TEXT NOT NULL,
    reference TEXT NOT NULL,
    detail INTEGER NOT NULL,
    change_fen INTEGER NOT NULL,
    booked_at INTEGER NOT NULL,
    statement INTEGER,  -- the one that has it
    PRIMARY KEY (account, reference, detail)
) STRICT;
CREATE TABLE IF NOT EXISTS paid_redemption (id INTEGER PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS stated (
    sequence INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    closing_fen INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS audited (
    number INTEGER PRIMARY KEY,
    sequence INTEGER NOT NULL  -- of the notice after which the report's figures were true
) STRICT;
"""


class Contradiction(IssuerError):  # noqa: N818 - named for what is found, as all errors here are
    """What the bank says does not fit what it said before."""

    code = "contradiction"
    remedy = "Ask the bank; nothing is signed until a person has settled it."


def last_notice(connection: sqlite3.Connection) -> int:
    """The number of the last notice added up; 0 before the first."""
    return int(connection.execute("SELECT MAX(sequence) AS last FROM noticed").fetchone()["last"])


def figures(connection: sqlite3.Connection) -> Figures:
    """What the notices so far add up to."""
    row = connection.execute("SELECT * FROM noticed ORDER BY sequence DESC LIMIT 1").fetchone()
    return Figures(reserve=row["reserve_units"], paid=row["paid_units"], credited=row["credited_units"])


def add_up(connection: sqlite3.Connection, notice: Notice, sequence: int, reserve_account: str) -> None:
    """Add the notice's booked entries. Raises Contradiction."""
    if notice.sequence != sequence:
        raise Contradiction(f"the notice carries the number {notice.sequence}")
    known = figures(connection)
    reserve, paid, credited, booked_at = known.reserve, known.paid, known.credited, 0
    for entry in notice.entries:
        if entry.booked_at is None:
            continue
        booked_at = max(booked_at, entry.booked_at)
        _remember(connection, entry)
        if entry.account == reserve_account:
            reserve += entry.change_fen * UNITS_PER_FEN
            paid += _paid_by(connection, entry)
            credited += _credited_by(entry)
    values = (sequence, booked_at, reserve, paid, credited)
    connection.execute("INSERT INTO noticed VALUES (?, ?, ?, ?, ?)", values)


def held(connection: sqlite3.Connection, number: int, told: Figures, as_of: int) -> bool:
    """Whether the figures of report `number` were true after a notice, which is then remembered.

    It must not be older than the last notice booked before `as_of`, nor than the one an earlier report was true after.
    What is booked in that very second may come before the report or after it.
    """
    statement = """
        SELECT MAX(sequence) AS sequence FROM noticed
        WHERE reserve_units = ? AND paid_units = ? AND credited_units = ?
          AND sequence >= (SELECT COALESCE(MAX(sequence), 0) FROM noticed WHERE booked_at < ?)
          AND sequence >= (SELECT COALESCE(MAX(sequence), 0) FROM audited)
    """
    values = (told.reserve, told.paid, told.credited, as_of)
    sequence = connection.execute(statement, values).fetchone()["sequence"]
    if sequence is not None:
        connection.execute("INSERT INTO audited VALUES (?, ?)", (number, sequence))
    return sequence is not None


def check_statement(connection: sqlite3.Connection, statement: Statement) -> None:
    """Raises Contradiction unless a statement continues the last one of its account and has every noticed entry since.

    An entry of the period's last second may be in the next statement.
    """
    last = connection.execute("SELECT COALESCE(MAX(sequence), 0) AS last FROM stated").fetchone()["last"]
    if statement.sequence != last + 1:
        raise Contradiction(f"statement {last + 1} is missing")
    closing = "SELECT closing_fen FROM stated WHERE account = ? ORDER BY sequence DESC LIMIT 1"
    row = connection.execute(closing, (statement.account,)).fetchone()
    if statement.opening_fen != (row["closing_fen"] if row else 0):
        raise Contradiction("the opening balance is not the last closing balance")
    for entry in statement.entries:
        _mark_stated(connection, entry, statement.sequence)
    omitted = "SELECT reference FROM noticed_entry WHERE account = ? AND statement IS NULL AND booked_at < ?"
    row = connection.execute(omitted, (statement.account, statement.end)).fetchone()
    if row is not None:
        raise Contradiction(f"entry {row['reference']} was noticed and is in no statement")
    connection.execute(
        "INSERT INTO stated VALUES (?, ?, ?)", (statement.sequence, statement.account, statement.closing_fen)
    )


def _remember(connection: sqlite3.Connection, entry: Entry) -> None:
    statement = """
        INSERT INTO noticed_entry (account, reference, detail, change_fen, booked_at) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT DO NOTHING
    """
    values = (entry.account, entry.reference, entry.detail, entry.change_fen, entry.booked_at)
    if connection.execute(statement, values).rowcount == 0:
        raise Contradiction(f"entry {entry.reference} was noticed before")


def _mark_stated(connection: sqlite3.Connection, entry: Entry, sequence: int) -> None:
    statement = """
        UPDATE noticed_entry SET statement = ?
        WHERE (account, reference, detail, change_fen) = (?, ?, ?, ?) AND statement IS NULL
    """
    values = (sequence, entry.account, entry.reference, entry.detail, entry.change_fen)
    if connection.execute(statement, values).rowcount == 0:
        raise Contradiction(f"entry {entry.reference} was not noticed so, or is in an earlier statement")


def _credited_by(entry: Entry) -> int:
    if entry.kind not in (OrderKind.MINT, OrderKind.UNFUND):
        return 0
    return entry.change_fen * UNITS_PER_FEN


def _paid_by(connection: sqlite3.Connection, entry: Entry) -> int:
    """The par that an entry discharges: once per redemption, and in full; negative when the payout came back."""
    if entry.redemption is None:
        return 0
    redemption = entry.redemption
    if entry.amount_fen != redemption.par_fen or (entry.side is Side.CREDIT) != entry.reversal:
        raise Contradiction(f"redemption {redemption.id} is not paid in full")
    if entry.reversal:
        statement, fault = "DELETE FROM paid_redemption WHERE id = ?", "came back and was not paid"
    else:
        statement, fault = "INSERT INTO paid_redemption VALUES (?) ON CONFLICT DO NOTHING", "was paid before"
    if connection.execute(statement, (redemption.id,)).rowcount == 0:
        raise Contradiction(f"redemption {redemption.id} {fault}")
    return -redemption.par_units if entry.reversal else redemption.par_units
