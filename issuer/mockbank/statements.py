"""Statements: a camt.053 for each reported account when a day has ended in Hong Kong, and on demand.

Each begins where the last one of its account ended, in time and in balance, and has every entry since.
"""

import sqlite3
from datetime import datetime

from issuer.messages import camt
from issuer.messages.camt import Statement
from issuer.messages.folder import statement_name
from issuer.messages.iso20022 import HONG_KONG
from issuer.mockbank import books
from issuer.mockbank.books import REPORTED, Account
from issuer.mockbank.database import next_number
from issuer.mockbank.folder import send
from issuer.mockbank.notices import READERS

SCHEMA = """
-- Where each account's last statement ended, which the next one continues.
CREATE TABLE IF NOT EXISTS stated (
    account TEXT PRIMARY KEY REFERENCES account (number),
    until INTEGER NOT NULL,
    balance_fen INTEGER NOT NULL,
    last_entry INTEGER NOT NULL
) STRICT;
"""


def begin(connection: sqlite3.Connection, account: Account, at: int) -> None:
    """The empty start that the account's first statement continues."""
    connection.execute("INSERT INTO stated VALUES (?, ?, ?, 0)", (account.number, at, account.balance_fen))


def due(connection: sqlite3.Connection, now: int) -> list[Account]:
    """The accounts of which a day has ended without a statement."""
    accounts = [books.of_role(connection, role) for role in REPORTED]
    return [account for account in accounts if _stated(connection, account)["until"] < _midnight(now)]


def end_days(connection: sqlite3.Connection, now: int) -> None:
    """Queue the statements of days that have ended. Must run before anything is booked today."""
    for account in due(connection, now):
        draw(connection, account, _midnight(now), now)


def draw(connection: sqlite3.Connection, account: Account, end: int, now: int) -> Statement:
    """Queue the statement of an account from its last one to `end`, with everything booked so far."""
    last = _stated(connection, account)
    found = "SELECT * FROM entry WHERE account = ? AND id > ? ORDER BY id"
    rows = connection.execute(found, (account.number, last["last_entry"])).fetchall()
    statement = Statement(
        sequence=next_number(connection, "statement"),
        created=now,
        account=account.number,
        start=last["until"],
        end=end,
        opening_fen=last["balance_fen"],
        closing_fen=account.balance_fen,
        entries=tuple(books.to_entry(row) for row in rows),
    )
    last_entry = rows[-1]["id"] if rows else last["last_entry"]
    update = "UPDATE stated SET until = ?, balance_fen = ?, last_entry = ? WHERE account = ?"
    connection.execute(update, (end, account.balance_fen, last_entry, account.number))
    send(connection, READERS, statement_name(statement.sequence), camt.write_statement(statement))
    return statement


def _midnight(now: int) -> int:
    """The first second of the day in Hong Kong."""
    start = datetime.fromtimestamp(now, HONG_KONG).replace(hour=0, minute=0, second=0, microsecond=0)
    return int(start.timestamp())


def _stated(connection: sqlite3.Connection, account: Account) -> sqlite3.Row:
    row: sqlite3.Row = connection.execute("SELECT * FROM stated WHERE account = ?", (account.number,)).fetchone()
    return row
