"""The inbox on a real store and a real folder: every entry becomes one fact, in whatever state its file first came."""

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import select, text

from issuer.bank.folder import DirectoryFolder
from issuer.bank.inbox import Inbox
from issuer.errors import Unreachable
from issuer.ledger import chart
from issuer.messages import camt
from issuer.messages.camt import Entry, Notice, Side, Statement
from issuer.messages.folder import (
    AUDITOR_TO_ISSUER,
    BANK_TO_ISSUER,
    notice_name,
    refusal_name,
    statement_name,
    status_name,
)
from issuer.messages.pain import PaymentState, PaymentStatus, write_status
from issuer.money import fen_to_units
from issuer.operations import intake, locks
from issuer.store import facts, tables
from issuer.store.facts import News
from issuer.store.states import Door, Scope
from issuer.store.unit import Store, Unit
from tests.clock import START, ManualClock
from tests.integration.desk import POLICY, Desk

ACCOUNT = "012875000000001"


def notice(sequence: int, reference: str) -> bytes:
    entry = Entry(
        account=ACCOUNT,
        reference=reference,
        detail=0,
        side=Side.CREDIT,
        amount_fen=100_00,
        booked_at=START,
        counterparty_name="Alice Limited",
        counterparty_account="388000000001",
    )
    return camt.write_notice(Notice(sequence=sequence, created=START, account=ACCOUNT, entries=(entry,)))


def statement() -> Statement:
    """Of the entry that the first notice tells."""
    entries = camt.read_notice(notice(1, "BK1")).entries
    period = {"created": START, "start": START, "end": START}
    return Statement(sequence=1, account=ACCOUNT, opening_fen=0, closing_fen=100_00, entries=entries, **period)


@pytest.fixture
def folder(tmp_path: Path) -> DirectoryFolder:
    return DirectoryFolder(tmp_path / "folder")


@pytest.fixture
def inbox(store: Store, folder: DirectoryFolder) -> Inbox:
    return Inbox(store, folder)


def told(store: Store) -> list[tuple[str, str]]:
    """Kind and, of an entry, the bank's reference of every fact, in order."""
    with store.read() as connection:
        rows = connection.execute(select(tables.fact.c.kind, tables.fact.c.key).order_by(tables.fact.c.id)).all()
    return [(kind, key.split("|")[1] if kind == "entry" else "") for kind, key in rows]


def test_a_notice_waits_for_those_before_it(store: Store, folder: DirectoryFolder, inbox: Inbox) -> None:
    folder.write(BANK_TO_ISSUER, notice_name(2), notice(2, "BK2"))
    assert (inbox.collect(), told(store)) == (0, [])
    folder.write(BANK_TO_ISSUER, notice_name(1), notice(1, "BK1"))
    assert inbox.collect() == 2
    assert told(store) == [("entry", "BK1"), ("entry", "BK2")]


def test_an_entry_told_in_two_notices_is_one_fact(store: Store, folder: DirectoryFolder, inbox: Inbox) -> None:
    for sequence in (1, 2):
        folder.write(BANK_TO_ISSUER, notice_name(sequence), notice(sequence, "BK1"))
    assert inbox.collect() == 2
    assert told(store) == [("entry", "BK1")]


@pytest.mark.parametrize("length", [0, 1, 500, -2])
def test_a_notice_cut_short_is_told_once_and_taken_when_it_is_whole(
    store: Store, folder: DirectoryFolder, inbox: Inbox, length: int
) -> None:
    folder.write(BANK_TO_ISSUER, notice_name(1), notice(1, "BK1")[:length])
    folder.write(BANK_TO_ISSUER, notice_name(2), notice(2, "BK2"))
    assert [inbox.collect() for _ in range(3)] == [0, 0, 0]
    assert told(store) == [("malformed", "")]
    folder.write(BANK_TO_ISSUER, notice_name(1), notice(1, "BK1"))
    assert inbox.collect() == 2
    assert told(store)[1:] == [("entry", "BK1"), ("entry", "BK2")]


def test_other_documents_do_not_wait_for_a_damaged_one(store: Store, folder: DirectoryFolder, inbox: Inbox) -> None:
    folder.write(BANK_TO_ISSUER, statement_name(1), b"<")
    folder.write(BANK_TO_ISSUER, notice_name(1), notice(1, "BK1"))
    assert inbox.collect() == 1
    assert sorted(told(store)) == [("entry", "BK1"), ("malformed", "")]


def test_many_files_are_taken_in_one_go_and_in_order(store: Store, folder: DirectoryFolder, inbox: Inbox) -> None:
    """After a long pause, with one that is damaged among them."""
    for sequence in range(1, 251):
        body = notice(sequence, f"BK{sequence}")
        folder.write(BANK_TO_ISSUER, notice_name(sequence), b"<" if sequence == 230 else body)
    assert inbox.collect() == 229
    folder.write(BANK_TO_ISSUER, notice_name(230), notice(230, "BK230"))
    assert inbox.collect() == 21
    entries = [reference for kind, reference in told(store) if kind == "entry"]
    assert entries == [f"BK{sequence}" for sequence in range(1, 251)]


def test_what_is_no_file_is_passed_over(store: Store, folder: DirectoryFolder, inbox: Inbox, tmp_path: Path) -> None:
    (tmp_path / "folder" / BANK_TO_ISSUER / "archive").mkdir(parents=True)
    folder.write(BANK_TO_ISSUER, notice_name(1), notice(1, "BK1"))
    assert inbox.collect() == 1
    assert told(store) == [("entry", "BK1")]


class Barred(DirectoryFolder):
    """A folder that does not give one of its files."""

    barred = notice_name(3)

    def read(self, folder: str, name: str) -> bytes:
        if name == self.barred:
            raise Unreachable("the bank folder cannot be read: permission denied")
        return super().read(folder, name)


def test_what_was_read_before_a_file_that_is_not_given_is_taken(store: Store, tmp_path: Path) -> None:
    folder = Barred(tmp_path)
    inbox = Inbox(store, folder)
    for sequence in range(1, 5):
        folder.write(BANK_TO_ISSUER, notice_name(sequence), notice(sequence, f"BK{sequence}"))
    with pytest.raises(Unreachable, match="permission denied"):
        inbox.collect()
    assert told(store) == [("entry", "BK1"), ("entry", "BK2")]
    folder.barred = ""
    assert inbox.collect() == 2


class Hasty(DirectoryFolder):
    """A folder whose first listing passed a notice's place before it was written, and met the statement after it."""

    missed: str | None = notice_name(1)

    def names(self, folder: str) -> list[str]:
        missed, self.missed = self.missed, None
        return [name for name in super().names(folder) if name != missed]


def test_a_statement_is_not_seen_without_the_notices_before_it(store: Store, tmp_path: Path) -> None:
    """It would lock minting: an entry of it was never noticed."""
    folder = Hasty(tmp_path)
    folder.write(BANK_TO_ISSUER, notice_name(1), notice(1, "BK1"))
    folder.write(BANK_TO_ISSUER, statement_name(1), camt.write_statement(statement()))
    Inbox(store, folder).collect()
    assert told(store) == [("entry", "BK1"), ("statement", "")]


LONG = b"a" * 70_000
UNREADABLE = {
    statement_name(1): b'<Document xmlns="%s"><%s/></Document>' % (camt.STATEMENT.encode(), LONG),
    statement_name(10**17): camt.write_statement(statement()).replace(b">1<", b">%d<" % 10**17),
    refusal_name(1): b'{"%s": 1}' % LONG,
    os.fsdecode(b"pain.002-\xff"): b"<",
    os.fsdecode(b"refusal-\xff"): b'{"number": 1, "code": "too-early", "reason": "early"}',
}


@pytest.mark.parametrize(("name", "body"), UNREADABLE.items(), ids=range(len(UNREADABLE)))
def test_nothing_that_is_in_a_file_stops_what_comes_after_it(
    store: Store, folder: DirectoryFolder, inbox: Inbox, name: str, body: bytes
) -> None:
    """Its error is told in a lock, and so in a record of the log, which holds no text and no number of any length."""
    desk = Desk(store)
    folder.write(BANK_TO_ISSUER, name, body)
    for _ in range(2):
        assert (inbox.collect(), told(store)) == (0, [("malformed", "")])
    assert intake.take(store, POLICY) == 1
    with store.read() as connection:
        (lock,) = locks.live(connection)
    assert lock["code"] == "malformed-document"
    assert len(lock["reason"]) < 1200
    folder.write(BANK_TO_ISSUER, notice_name(1), notice(1, "BK1"))
    assert (inbox.collect(), intake.take(store, POLICY)) == (1, 1)
    assert desk.balances()[chart.COLLECTION] == fen_to_units(100_00)


# -- what strangers write, and what is not the bank's to tell


STRANGE = {
    "a purpose of ours": ("<RmtInf>", "<Purp><Prtry>REDEEM</Prtry></Purp><RmtInf>"),
    "an emoji of several signs": ("TEXT", "family \U0001f468\u200d\U0001f469"),
    "a soft hyphen": ("Alice Limited", "Alice\u00ad Limited"),
    "a private sign": ("Alice Limited", "\ue5e5 Limited"),
    "spaces in an id": ("E2E", "INV  7"),
    "no sign at all in an id": ("E2E", "INV\u200b7"),
    "another form of account": ("388000000001", "388-000000-001"),
}


@pytest.mark.parametrize("strange", STRANGE)
def test_no_payer_stops_the_notices_by_what_they_write(
    store: Store, folder: DirectoryFolder, inbox: Inbox, strange: str
) -> None:
    """The bank passes on what it was given, and would send the same bytes again."""
    entry = replace(camt.read_notice(notice(1, "BK1")).entries[0], text="TEXT", end_to_end_id="E2E")
    body = camt.write_notice(Notice(sequence=1, created=START, account=ACCOUNT, entries=(entry,))).decode()
    old, new = STRANGE[strange]
    assert old in body
    folder.write(BANK_TO_ISSUER, notice_name(1), body.replace(old, new).encode())
    folder.write(BANK_TO_ISSUER, notice_name(2), notice(2, "BK2"))
    assert inbox.collect() == 2
    assert told(store) == [("entry", "BK1"), ("entry", "BK2")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"<CreDtTm>[^<]*</CreDtTm>", "<CreDtTm/>"),
        (r"<DtTm>[^<]*</DtTm>", "<DtTm/>"),
        (r"<DtTm>[^<]*</DtTm>", "<Dt>12026-01-01</Dt>"),
        (r"<DtTm>[^<]*</DtTm>", "<Dt>0000-01-01</Dt>"),
        (r"<CdtDbtInd>[^<]*</CdtDbtInd>", "<CdtDbtInd/>"),
    ],
)
def test_an_empty_or_impossible_value_is_a_malformed_document(
    store: Store, folder: DirectoryFolder, inbox: Inbox, old: str, new: str
) -> None:
    body = re.sub(old, new, notice(1, "BK1").decode())
    folder.write(BANK_TO_ISSUER, notice_name(1), body.encode())
    assert inbox.collect() == 0
    assert told(store) == [("malformed", "")]


@pytest.mark.parametrize("name", [notice_name(1), statement_name(1), status_name("ORDER-1")])
def test_of_money_only_the_bank_is_believed(store: Store, folder: DirectoryFolder, inbox: Inbox, name: str) -> None:
    """The auditor could credit a customer, or free an order that the bank executes, and one burn was paid twice."""
    rejected = PaymentStatus(
        message_id="ORDER-1",
        created=START,
        original_message_id="ORDER-1",
        end_to_end_id="ORDER-1",
        state=PaymentState.REJECTED,
        code="AC04",
        text="closed",
    )
    bodies = {
        notice_name(1): notice(1, "BK1"),
        statement_name(1): camt.write_statement(statement()),
        status_name("ORDER-1"): write_status(rejected),
    }
    folder.write(AUDITOR_TO_ISSUER, name, bodies[name])
    assert (inbox.collect(), inbox.gap()) == (0, None)
    assert told(store) == [("malformed", "")]
    folder.write(BANK_TO_ISSUER, name, bodies[name])
    assert inbox.collect() == 1


@pytest.mark.parametrize("name", ["camt.054-00000000.xml", "camt.054-000000001.xml"])
def test_a_number_that_is_written_oddly_stops_no_notice(
    store: Store, folder: DirectoryFolder, inbox: Inbox, name: str
) -> None:
    folder.write(BANK_TO_ISSUER, name, notice(1, "BK1"))
    for sequence in (1, 2):
        folder.write(BANK_TO_ISSUER, notice_name(sequence), notice(sequence, f"BK{sequence}"))
    assert inbox.collect() == 2
    assert sorted(told(store)) == [("entry", "BK1"), ("entry", "BK2"), ("malformed", "")]


def test_a_notice_under_the_name_of_another_is_not_taken(store: Store, folder: DirectoryFolder, inbox: Inbox) -> None:
    folder.write(BANK_TO_ISSUER, notice_name(1), notice(77, "BK77"))
    assert (inbox.collect(), told(store)) == (0, [("malformed", "")])


# -- what the bank tells otherwise than before


def booking(sequence: int, *fen: int, **changed: Any) -> bytes:
    """A notice of one booking with details of these amounts."""
    (entry,) = camt.read_notice(notice(1, "BK1")).entries
    entries = tuple(replace(entry, detail=place, amount_fen=each, **changed) for place, each in enumerate(fen))
    return camt.write_notice(Notice(sequence=sequence, created=START, account=ACCOUNT, entries=entries))


CONTRADICTIONS = {
    "another sum": booking(2, 3_00),
    "its details": booking(2, 40_00, 60_00),
    "one detail more": booking(2, 100_00, 5_00),
    "another sender": booking(2, 100_00, counterparty_account="388000000002"),
    "its recall": booking(2, 100_00, side=Side.DEBIT, reversal=True),
}


@pytest.mark.parametrize("told_again", CONTRADICTIONS)
def test_a_booking_that_is_told_otherwise_is_not_counted_again_and_locks(
    store: Store, folder: DirectoryFolder, inbox: Inbox, told_again: str
) -> None:
    """Told whole first and by its details then, one credit would be money twice; a recall would be passed over."""
    desk = Desk(store)
    folder.write(BANK_TO_ISSUER, notice_name(1), notice(1, "BK1"))
    folder.write(BANK_TO_ISSUER, notice_name(2), CONTRADICTIONS[told_again])
    folder.write(BANK_TO_ISSUER, notice_name(3), notice(3, "BK3"))
    assert inbox.collect() == 3
    assert intake.take(store, POLICY) == 3
    assert desk.balances()[chart.COLLECTION] == fen_to_units(200_00)
    with store.read() as connection:
        found = {(lock["scope"], lock["code"]) for lock in locks.live(connection)}
    assert found == {(Scope.MINTING, "contradiction"), (Scope.PAYOUTS, "contradiction")}


def test_a_booking_of_several_details_may_be_told_again(store: Store, folder: DirectoryFolder, inbox: Inbox) -> None:
    for sequence in (1, 2):
        folder.write(BANK_TO_ISSUER, notice_name(sequence), booking(sequence, 40_00, 60_00, text=f"text {sequence}"))
    assert inbox.collect() == 2
    assert told(store) == [("entry", "BK1"), ("entry", "BK1")]


@pytest.mark.parametrize(("fen", "locked"), [(100_00, False), (3_00, True)])
def test_a_statement_is_held_against_what_was_noticed(
    store: Store, folder: DirectoryFolder, inbox: Inbox, fen: int, locked: bool
) -> None:
    folder.write(BANK_TO_ISSUER, notice_name(1), notice(1, "BK1"))
    stated = replace(statement(), closing_fen=fen, entries=camt.read_notice(booking(1, fen)).entries)
    folder.write(BANK_TO_ISSUER, statement_name(1), camt.write_statement(stated))
    Desk(store)
    assert (inbox.collect(), intake.take(store, POLICY)) == (2, 2)
    with store.read() as connection:
        assert [lock["code"] for lock in locks.live(connection)] == ["statement"] * locked


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_processes_do_not_count_one_booking_twice(
    database_url: str, folder: DirectoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second reads on while the first has not committed the notice before."""
    one, two = Store(database_url, ManualClock()), Store(database_url, ManualClock())
    desk = Desk(one)
    first, second = Inbox(one, folder), Inbox(two, folder)
    folder.write(BANK_TO_ISSUER, notice_name(1), notice(1, "BK1"))
    bring, late = facts.bring, list[Thread]()

    def meanwhile(unit: Unit, door: Door, news: Iterable[News]) -> None:
        bring(unit, door, news)
        if not late:
            folder.write(BANK_TO_ISSUER, notice_name(2), booking(2, 40_00, 60_00))
            late.append(Thread(target=second.collect))
            late[0].start()
            while not _waits(one):
                late[0].join(0.01)

    monkeypatch.setattr(facts, "bring", meanwhile)
    first.collect()
    late[0].join()
    intake.take(one, POLICY)
    assert desk.balances()[chart.COLLECTION] == fen_to_units(100_00)
    with one.read() as connection:
        assert {lock["code"] for lock in locks.live(connection)} == {"contradiction"}
    one.close()
    two.close()


def _waits(store: Store) -> bool:
    """Whether a process waits for another one's row."""
    with store.read() as connection:
        return bool(connection.scalar(text("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)")))


# -- a damaged notice


def test_a_damaged_notice_locks_until_it_is_whole(store: Store, folder: DirectoryFolder, inbox: Inbox) -> None:
    """Whoever clears the lock too early is told again, and of the next one that is damaged."""
    desk = Desk(store)
    for sequence in (1, 2):
        folder.write(BANK_TO_ISSUER, notice_name(sequence), notice(sequence, f"BK{sequence}")[:100])
    for sequence in (1, 1, 2):
        inbox.collect()
        intake.take(store, POLICY)
        with store.read() as connection:
            live = locks.live(connection)
        assert {lock["scope"] for lock in live} == {Scope.MINTING, Scope.PAYOUTS}
        assert all(notice_name(sequence) in lock["reason"] for lock in live)
        for lock in live:
            desk.act(locks.clear, lock["id"])
        if sequence == 1 and len(told(store)) > 1:
            folder.write(BANK_TO_ISSUER, notice_name(1), notice(1, "BK1"))
    folder.write(BANK_TO_ISSUER, notice_name(2), notice(2, "BK2"))
    assert inbox.collect() == 1
    intake.take(store, POLICY)
    with store.read() as connection:
        assert locks.live(connection) == []
