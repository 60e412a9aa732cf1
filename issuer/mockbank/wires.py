"""Customers' payments to the collection account, and their recall."""

import sqlite3

from issuer.errors import Conflict, InvalidInput, Refused
from issuer.messages import iso20022
from issuer.messages.pain import LONGEST_NAME, LONGEST_TEXT
from issuer.mockbank import books
from issuer.mockbank.books import Payment, Role

SCHEMA = """
CREATE TABLE IF NOT EXISTS recall (reference TEXT PRIMARY KEY) STRICT;
"""


def wire(connection: sqlite3.Connection, sender: str, name: str, amount_fen: int, text: str, at: int) -> str:
    """Pay into the collection account; the booking's reference.

    A sender that has no account here gets one, covered from the outside. Raises InvalidInput, or Refused when the
    sender is no customer or has not enough.
    """
    iso20022.check_fen(amount_fen, "the amount")
    iso20022.check_text(name, "the sender's name", LONGEST_NAME, shortest=1)
    iso20022.check_text(text, "the text", LONGEST_TEXT)
    held = books.find(connection, sender)
    if held is None:
        books.open_account(connection, sender, name, covered=True)
    elif held.role is not Role.CUSTOMER or held.closed:
        raise Refused(f"account {sender} is no customer's, or is closed", "Wire from a customer's account.")
    collection = books.of_role(connection, Role.COLLECTION)
    payment = Payment(
        debtor=sender,
        debtor_name=name,
        creditor=collection.number,
        creditor_name=collection.name,
        amount_fen=amount_fen,
        text=text,
    )
    return books.book(connection, payment, at)


def recall(connection: sqlite3.Connection, reference: str, at: int) -> str:
    """Take a wire back from the collection account; the reversal's reference.

    Raises NotFound for an unknown one, InvalidInput for a booking that is no wire, Conflict when it came back already,
    Refused when the collection account holds less.
    """
    payment = books.payment_of(connection, reference)
    if payment.kind is not None or payment.creditor != books.of_role(connection, Role.COLLECTION).number:
        raise InvalidInput(f"{reference} is no customer's wire", "Return a payout with `mockbank return`.")
    statement = "INSERT INTO recall (reference) VALUES (?) ON CONFLICT DO NOTHING"
    if connection.execute(statement, (reference,)).rowcount == 0:
        raise Conflict(f"{reference} was recalled already", "A wire comes back once.")
    return books.book(connection, payment, at, reversal=True)
