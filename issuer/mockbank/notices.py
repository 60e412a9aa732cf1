"""Notices: one camt.054 for each booking and reported account, numbered without gaps, to the issuer and the auditor."""

import sqlite3

from issuer.messages import camt
from issuer.messages.camt import Notice
from issuer.messages.folder import BANK_TO_AUDITOR, BANK_TO_ISSUER, notice_name
from issuer.mockbank import books
from issuer.mockbank.database import next_number
from issuer.mockbank.folder import send

READERS = (BANK_TO_ISSUER, BANK_TO_AUDITOR)


def announce(connection: sqlite3.Connection, reference: str, at: int) -> None:
    """Queue the notices of a booking."""
    for entry in books.entries(connection, reference):
        sequence = next_number(connection, "notice")
        notice = Notice(sequence=sequence, created=at, account=entry.account, entries=(entry,))
        send(connection, READERS, notice_name(sequence), camt.write_notice(notice))
