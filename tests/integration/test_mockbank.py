"""The bank behind its folder: orders booked once, notices without gaps, statements that follow, true reports."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from issuer import crash
from issuer.errors import Conflict, InvalidInput, Misconfigured, NotFound, Refused
from issuer.messages import folder, pain
from issuer.messages.camt import Side
from issuer.messages.pain import OrderKind, PaymentState
from issuer.messages.report import recover
from issuer.mockbank.auditor import Auditor
from issuer.mockbank.bank import COLLECTION, OPERATING, RESERVE, Bank
from issuer.money import MAX_UNITS
from tests.bank_folder import CUSTOMER, ROUTES, Crowded, IssuerSide, order, redeem
from tests.clock import START, ManualClock

PASSPHRASE = "correct horse battery staple"
NAME = "Platform A Limited"
DAY = 24 * 3600


@pytest.fixture
def issuer(tmp_path: Path) -> IssuerSide:
    return IssuerSide(tmp_path / "folder")


@pytest.fixture
def bank(tmp_path: Path, clock: ManualClock) -> Iterator[Bank]:
    with Bank.create(tmp_path / "bank", tmp_path / "folder", clock, PASSPHRASE, operating_fen=500_000) as bank:
        yield bank


def balances(bank: Bank) -> dict[str, int]:
    return {account.number: account.balance_fen for account in bank.accounts()}


def test_a_wire_is_noticed_to_issuer_and_auditor(bank: Bank, issuer: IssuerSide) -> None:
    reference = bank.wire(CUSTOMER, NAME, 100_000_000, "for tokens")
    (notice,) = issuer.notices()
    (entry,) = notice.entries
    assert (notice.sequence, notice.account, entry.reference) == (1, COLLECTION, reference)
    assert (entry.side, entry.amount_fen, entry.booked_at, entry.kind) == (Side.CREDIT, 100_000_000, START, None)
    assert (entry.counterparty_name, entry.counterparty_account, entry.text) == (NAME, CUSTOMER, "for tokens")
    copy = issuer.folder.read(folder.BANK_TO_AUDITOR, folder.notice_name(1))
    assert copy == issuer.folder.read(folder.BANK_TO_ISSUER, folder.notice_name(1))


def test_the_whole_round_moves_the_money_and_the_figures(bank: Bank, issuer: IssuerSide) -> None:
    bank.wire(CUSTOMER, NAME, 1_000_000)
    issuer.send(order("M-1", OrderKind.MINT, 900_000))
    bank.step()
    issuer.send(
        order("U-1", OrderKind.UNFUND, 100_000),
        redeem("R-1", 30_000_000_000, 300_000, fee_fen=50),
        order("F-1", OrderKind.REFUND, 60_000),
        order("B-1", OrderKind.BUFFER, 20_000),
    )
    bank.step()
    issuer.send(order("S-1", OrderKind.SWEEP, 5_000), order("T-1", OrderKind.RETURN, 40_000))
    bank.step()
    figures = bank.figures()
    held = balances(bank)
    assert held[COLLECTION] == 1_000_000 - 900_000 + 100_000 - 60_000 - 40_000
    assert held[RESERVE] == 900_000 - 100_000 - 300_000 + 20_000 - 5_000
    assert held[OPERATING] == 500_000 + 50 - 20_000 + 5_000
    assert held[CUSTOMER] == 299_950 + 60_000 + 40_000
    assert sum(held.values()) == 0
    assert (figures.paid, figures.credited) == (300_000 * 10_000, 800_000 * 10_000)
    assert figures.reserve == held[RESERVE] * 10_000
    for message_id in ("M-1", "U-1", "R-1", "F-1", "B-1", "S-1", "T-1"):
        assert issuer.status(message_id).state is PaymentState.SETTLED
    (paid,) = [entry for entry in issuer.entries(RESERVE) if entry.kind is OrderKind.REDEEM]
    assert (paid.amount_fen, paid.side, paid.end_to_end_id, paid.counterparty_account) == (
        300_000,
        Side.DEBIT,
        "R-1",
        CUSTOMER,
    )
    assert paid.redemption is not None
    assert (paid.redemption.id, paid.redemption.par_units, paid.redemption.fee_fen) == (
        30_000_000_000,
        3_000_000_000,
        50,
    )


def test_a_redemption_may_go_to_collection_and_become_a_deposit(bank: Bank, issuer: IssuerSide) -> None:
    bank.wire(CUSTOMER, NAME, 1_000)
    issuer.send(order("M-1", OrderKind.MINT, 1_000))
    bank.step()
    issuer.send(redeem("R-1", 10_000_000, 1_000, creditor_account=COLLECTION))
    bank.step()
    assert bank.figures().paid == 10_000_000
    assert [entry.amount_fen for entry in issuer.entries(COLLECTION)] == [1_000, 1_000, 1_000]


def test_the_last_few_units_are_discharged_without_money(bank: Bank, issuer: IssuerSide) -> None:
    dust = pain.Redemption(id=9_999, par_units=9_999, fee_fen=0)
    issuer.send(order("R-1", OrderKind.REDEEM, 0, redemption=dust))
    bank.step()
    assert bank.figures().paid == 9_999
    assert issuer.entries(RESERVE)[0].amount_fen == 0


WRONG = "888888888888"


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (order("X-1", OrderKind.MINT, 100_001), "AM04"),
        (order("X-1", OrderKind.UNFUND, 50_001), "AM02"),
        (order("X-1", OrderKind.SWEEP, 70_001), "AM04"),
        (redeem("X-1", 10**12, 70_001), "AM04"),
        (redeem("X-1", 10**12, 70_000, fee_fen=1, debtor_account=OPERATING), "AG01"),
        (redeem("X-1", 20_000_000, 2_000), "AM05"),
        (order("X-1", OrderKind.REFUND, 1, debtor_account=WRONG), "AG01"),
        (order("X-1", OrderKind.REFUND, 1, debtor_account=CUSTOMER), "AG01"),
        (order("X-1", OrderKind.REFUND, 1, debtor_account=RESERVE), "AG01"),
        (order("X-1", OrderKind.MINT, 1, creditor_account=CUSTOMER), "AG01"),
        (order("X-1", OrderKind.MINT, 1, creditor_account=OPERATING), "AG01"),
        (order("X-1", OrderKind.SWEEP, 1, creditor_account=CUSTOMER), "AG01"),
        (order("X-1", OrderKind.RETURN, 1, creditor_account="CLEARING"), "AG01"),
        (order("X-1", OrderKind.REFUND, 1, creditor_account=WRONG), "AC04"),
        (order("X-1", OrderKind.REFUND, 1, end_to_end_id="M-1"), "DU04"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.kind} {value.amount_fen}",
)
def test_an_order_is_rejected_and_moves_nothing(
    bank: Bank, issuer: IssuerSide, refused: pain.PaymentOrder, code: str
) -> None:
    bank.open_account(WRONG, "Closed Limited")
    bank.close_account(WRONG)
    bank.wire(CUSTOMER, NAME, 150_000)
    issuer.send(order("M-1", OrderKind.MINT, 50_000), order("B-1", OrderKind.BUFFER, 22_000))
    bank.step()
    issuer.send(redeem("R-1", 20_000_000, 2_000))
    bank.step()
    before, notices = balances(bank), len(issuer.notices())
    issuer.send(refused)
    bank.step()
    status = issuer.status("X-1")
    assert (status.state, status.code, status.end_to_end_id) == (PaymentState.REJECTED, code, refused.end_to_end_id)
    assert status.text
    assert balances(bank) == before
    assert len(issuer.notices()) == notices


def test_a_repeated_message_id_is_refused_and_never_booked(bank: Bank, issuer: IssuerSide) -> None:
    bank.wire(CUSTOMER, NAME, 1_000)
    first = order("M-1", OrderKind.MINT, 400)
    issuer.send(first)
    bank.step()
    answer = issuer.folder.read(folder.BANK_TO_ISSUER, folder.status_name("M-1"))
    issuer.folder.write(folder.ISSUER_TO_BANK, "pain.001-M-1-again.xml", pain.write_order(first))
    issuer.send(first)  # the same file, written again
    bank.step()
    assert issuer.status("M-1-again").code == "DU01"
    assert issuer.folder.read(folder.BANK_TO_ISSUER, folder.status_name("M-1")) == answer
    assert balances(bank)[RESERVE] == 400


def test_a_file_under_another_name_than_its_order_is_refused(bank: Bank, issuer: IssuerSide) -> None:
    bank.wire(CUSTOMER, NAME, 1_000)
    issuer.folder.write(folder.ISSUER_TO_BANK, "pain.001-Q.xml", pain.write_order(order("M-1", OrderKind.MINT, 400)))
    issuer.send(order("M-1", OrderKind.MINT, 500))
    bank.step()
    assert (issuer.status("Q").code, issuer.status("M-1").state) == ("FF01", PaymentState.SETTLED)
    assert balances(bank)[RESERVE] == 500


def test_two_processes_of_the_bank_book_an_order_once(
    bank: Bank, issuer: IssuerSide, clock: ManualClock, tmp_path: Path
) -> None:
    issuer.send(order("B-1", OrderKind.BUFFER, 100), order("B-2", OrderKind.BUFFER, 200))
    with Bank.open(tmp_path / "bank", clock, PASSPHRASE) as other:
        bank.home = replace(bank.home, folder=Crowded(issuer.path, other))
        bank.step()
    assert [issuer.status(name).state for name in ("B-1", "B-2")] == [PaymentState.SETTLED] * 2
    assert balances(bank)[RESERVE] == 300


@pytest.mark.parametrize("body", [b"", b"<x/>", b"\x00\xff", b"<!DOCTYPE a><a/>", b"<a>" + b"\xc2\x85" * 2_000])
def test_a_file_that_is_no_order_is_answered_and_does_not_stop_the_bank(
    bank: Bank, issuer: IssuerSide, body: bytes
) -> None:
    issuer.folder.write(folder.ISSUER_TO_BANK, "pain.001-A.xml", body)
    issuer.folder.write(folder.ISSUER_TO_BANK, "holiday pictures.zip", b"")
    issuer.send(order("B-1", OrderKind.BUFFER, 1))
    bank.step()
    status = issuer.status("A")
    assert (status.code, status.original_message_id, status.end_to_end_id) == ("FF01", "A", None)
    assert issuer.status("B-1").state is PaymentState.SETTLED
    assert bank.step() == 0


def test_a_returned_payout_may_be_paid_again(bank: Bank, issuer: IssuerSide) -> None:
    bank.wire(CUSTOMER, NAME, 1_000)
    issuer.send(order("M-1", OrderKind.MINT, 1_000))
    bank.step()
    issuer.send(redeem("R-1", 10_000_000, 1_000, fee_fen=10))
    bank.step()
    before = balances(bank)
    reversal = bank.give_back(redemption_id=10_000_000)
    entry = issuer.entries(RESERVE)[-1]
    assert (entry.reference, entry.side, entry.reversal, entry.amount_fen) == (reversal, Side.CREDIT, True, 1_000)
    assert (entry.end_to_end_id, entry.counterparty_account) == ("R-1", CUSTOMER)
    assert bank.figures().paid == 0
    assert balances(bank)[RESERVE] == 1_000
    assert balances(bank)[OPERATING] == 500_000
    with pytest.raises(NotFound):
        bank.give_back(redemption_id=10_000_000)
    issuer.send(redeem("R-2", 10_000_000, 1_000, fee_fen=10))
    bank.step()
    assert issuer.status("R-2").state is PaymentState.SETTLED
    assert balances(bank) == before


def test_a_return_is_found_by_its_end_to_end_id(bank: Bank, issuer: IssuerSide) -> None:
    bank.wire(CUSTOMER, NAME, 1_000)
    issuer.send(order("F-1", OrderKind.REFUND, 300))
    bank.step()
    bank.give_back(end_to_end_id="F-1")
    assert balances(bank)[COLLECTION] == 1_000
    with pytest.raises(NotFound):
        bank.give_back(end_to_end_id="F-2")


def test_a_wire_is_recalled_once(bank: Bank, issuer: IssuerSide) -> None:
    reference = bank.wire(CUSTOMER, NAME, 1_000)
    bank.recall(reference)
    entry = issuer.entries(COLLECTION)[-1]
    assert (entry.side, entry.reversal, entry.amount_fen) == (Side.DEBIT, True, 1_000)
    assert (entry.counterparty_name, entry.counterparty_account) == (NAME, CUSTOMER)
    assert (balances(bank)[COLLECTION], balances(bank)[CUSTOMER]) == (0, 1_000)
    with pytest.raises(Conflict):
        bank.recall(reference)
    spent = bank.wire(CUSTOMER, NAME, 500)
    issuer.send(order("M-1", OrderKind.MINT, 400))
    bank.step()
    with pytest.raises(Refused, match=r"and 5\.00 are needed"):
        bank.recall(spent)
    with pytest.raises(InvalidInput, match="no customer's wire"):
        bank.recall("BK0000000001")
    with pytest.raises(NotFound):
        bank.recall("BK9999999999")


def test_a_customer_cannot_pay_what_is_not_there(bank: Bank) -> None:
    bank.open_account("77", "Small Limited", 100)
    with pytest.raises(Refused, match=r"holds 1\.00 CNY"):
        bank.wire("77", "Small Limited", 101)
    bank.wire("77", "Small Limited", 100)
    with pytest.raises(Conflict):
        bank.open_account("77", "Small Limited")
    with pytest.raises(Refused):
        bank.wire(RESERVE, "Reserve", 1)
    with pytest.raises(InvalidInput):
        bank.wire("not an account", "x", 1)
    with pytest.raises(InvalidInput):
        bank.wire("78", "x", 0)
    with pytest.raises(Refused, match="not so much money"):
        bank.wire("78", "x", MAX_UNITS // 10_000)
    assert balances(bank)[COLLECTION] == 100


def test_a_day_ends_with_a_statement_of_each_account(bank: Bank, issuer: IssuerSide, clock: ManualClock) -> None:
    bank.wire(CUSTOMER, NAME, 1_000)
    bank.step()
    assert issuer.statements(COLLECTION) == []
    clock.advance(DAY)
    issuer.send(order("M-1", OrderKind.MINT, 400))
    bank.step()
    (first,) = issuer.statements(COLLECTION)
    (reserve,) = issuer.statements(RESERVE)
    assert (first.opening_fen, first.closing_fen, len(first.entries)) == (0, 1_000, 1)
    assert (first.start, first.end, first.created) == (START, START - START % DAY + DAY - 8 * 3600, clock.now())
    assert (reserve.closing_fen, reserve.entries) == (0, ())
    clock.advance(3 * DAY)
    bank.wire(CUSTOMER, NAME, 7)
    _, second = issuer.statements(COLLECTION)
    assert (second.opening_fen, second.closing_fen, second.start) == (1_000, 600, first.end)
    assert [entry.end_to_end_id for entry in second.entries] == ["M-1"]
    assert [statement.sequence for statement in (first, reserve, second)] == [1, 2, 3]


def test_a_statement_on_demand_has_what_came_since_the_last(bank: Bank, issuer: IssuerSide) -> None:
    bank.wire(CUSTOMER, NAME, 1_000)
    bank.statement()
    bank.wire(CUSTOMER, NAME, 2_000)
    (drawn,) = bank.statement(COLLECTION)
    assert issuer.statements(COLLECTION)[-1] == drawn
    assert (drawn.opening_fen, drawn.closing_fen, len(drawn.entries)) == (1_000, 3_000, 1)
    with pytest.raises(InvalidInput):
        bank.statement(OPERATING)


def test_a_clock_set_back_does_not_turn_the_books_back(bank: Bank, issuer: IssuerSide, clock: ManualClock) -> None:
    bank.wire(CUSTOMER, NAME, 1)
    clock.advance(-3 * DAY)
    bank.wire(CUSTOMER, NAME, 1)
    bank.statement()
    assert [entry.booked_at for entry in issuer.entries(COLLECTION)] == [START, START]


def test_a_bank_is_made_once_and_opened_with_its_passphrase(tmp_path: Path, clock: ManualClock) -> None:
    where, shared = tmp_path / "b", tmp_path / "f"
    with Bank.create(where, shared, clock, PASSPHRASE) as bank:
        address = bank.attestor
        bank.wire(CUSTOMER, NAME, 5)
    with Bank.create(where, shared, clock, PASSPHRASE) as again:
        assert (again.attestor, balances(again)[COLLECTION]) == (address, 5)
    assert folder.read_attestor((shared / "keys" / "bank.json").read_bytes()) == address
    assert (where / "attestor.json").stat().st_mode & 0o077 == 0
    with pytest.raises(Misconfigured):
        Bank.open(where, clock, "wrong")
    with pytest.raises(Conflict):
        Bank.create(where, tmp_path / "elsewhere", clock, PASSPHRASE)
    with pytest.raises(NotFound):
        Bank.open(tmp_path / "nowhere", clock, PASSPHRASE)
    with pytest.raises(InvalidInput):
        Bank.create(tmp_path / "c", shared, clock, PASSPHRASE, reserve=COLLECTION)
    with pytest.raises(Misconfigured):
        Bank.create(tmp_path / "d", shared, clock, "")
    with Bank.open(where, clock) as locked, pytest.raises(Misconfigured, match="locked"):
        locked.step()


class Died(BaseException):
    """The process ends at a crash point."""


def _files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def _work(root: Path, clock: ManualClock) -> None:
    """What the bank and the auditor do with a full folder, from wherever they were stopped."""
    with Bank.open(root / "bank", clock, PASSPHRASE) as bank:
        while bank.step():
            pass
    with Auditor.open(root / "auditor", clock, PASSPHRASE) as auditor:
        while auditor.step():
            pass


def _until(ending: int, act: Callable[[], None]) -> list[str]:
    """Act until the crash point of that number is passed; the points passed."""
    passed: list[str] = []

    def observe(name: str) -> None:
        passed.append(name)
        if len(passed) == ending:
            raise Died(name)

    crash.observe(observe)
    try:
        act()
    except Died:
        pass
    finally:
        crash.observe(None)
    return passed


def test_a_crash_at_any_point_changes_no_byte(tmp_path: Path, clock: ManualClock) -> None:
    """End the bank or the auditor at each point they pass, start again: the same files with the same bytes."""
    start = tmp_path / "start"
    shared = tmp_path / "folder"
    issuer = IssuerSide(shared)
    with Bank.create(start / "bank", shared, clock, PASSPHRASE) as bank:
        bank.wire(CUSTOMER, NAME, 100_000)
    Auditor.create(start / "auditor", shared, clock, PASSPHRASE).close()
    clock.advance(DAY)
    issuer.send(order("M-1", OrderKind.MINT, 50_000))
    issuer.send(redeem("R-1", 200_000_000, 20_000), order("X-1", OrderKind.SWEEP, 99_999))
    issuer.request(1, 0, clock.now())
    issuer.request(2, 3, clock.now())
    shutil.copytree(shared, tmp_path / "full")

    def restore() -> Path:
        for path in (shared, tmp_path / "home"):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(tmp_path / "full", shared)
        return Path(shutil.copytree(start, tmp_path / "home"))

    root = restore()
    points = _until(0, lambda: _work(root, clock))
    outcome = _files(shared)
    assert {"bank-to-auditor/report-1.json", "auditor-to-issuer/report-1.json"} <= set(outcome)
    assert {"bank-to-issuer/refusal-2.json", "bank-to-issuer/pain.002-X-1.xml"} <= set(outcome)
    assert len(points) > 40
    for number, name in enumerate(points, start=1):
        root = restore()
        assert _until(number, lambda: _work(root, clock))[-1] == name  # noqa: B023 - called at once
        _work(root, clock)
        assert _files(shared) == outcome, name
    print(f"{len(points)} crash points of bank and auditor visited")


class Trade(RuleBasedStateMachine):
    """Any order of wires, orders, returns, recalls and days keeps the books, the notices and both signers in step."""

    payouts = Bundle("payouts")
    wires = Bundle("wires")

    @initialize()
    def start(self) -> None:
        self.root = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))  # noqa: S108
        self.clock = ManualClock()
        self.issuer = IssuerSide(self.root / "folder")
        self.bank = Bank.create(self.root / "bank", self.root / "folder", self.clock, PASSPHRASE, operating_fen=9_999)
        self.auditor = Auditor.create(self.root / "auditor", self.root / "folder", self.clock, PASSPHRASE)
        self.ids = count(1)
        self.paid: dict[int, int] = {}
        self.credited = 0
        self.reports = 0

    def teardown(self) -> None:
        if hasattr(self, "root"):
            self.bank.close()
            self.auditor.close()
            shutil.rmtree(self.root)

    @rule(target=wires, amount=st.integers(1, 10_000), customer=st.sampled_from(["71", "72"]))
    def wire(self, amount: int, customer: str) -> str:
        return self.bank.wire(customer, NAME, amount)

    @rule(
        kind=st.sampled_from([kind for kind in OrderKind if kind is not OrderKind.REDEEM]), amount=st.integers(1, 5_000)
    )
    def pay(self, kind: OrderKind, amount: int) -> None:
        message_id = f"{kind}-{next(self.ids)}"
        before = balances(self.bank)
        self.issuer.send(order(message_id, kind, amount))
        self.bank.step()
        debtor = ROUTES[kind][0]
        possible = before[debtor] >= amount and (kind is not OrderKind.UNFUND or self.credited >= amount)
        assert self.issuer.status(message_id).rejected == (not possible)
        if possible:
            self.credited += {OrderKind.MINT: amount, OrderKind.UNFUND: -amount}.get(kind, 0)

    @rule(target=payouts, redemption=st.integers(1, 4), par=st.integers(1, 3_000), fee=st.integers(0, 1))
    def redeem(self, redemption: int, par: int, fee: int) -> int:
        message_id = f"R-{next(self.ids)}"
        redemption_id = redemption * 10**9
        before = balances(self.bank)
        self.issuer.send(redeem(message_id, redemption_id, par, fee_fen=fee))
        self.bank.step()
        possible = redemption_id not in self.paid and before[RESERVE] >= par
        assert self.issuer.status(message_id).rejected == (not possible)
        if possible:
            self.paid[redemption_id] = par
        return redemption_id

    @rule(redemption_id=payouts)
    def give_back(self, redemption_id: int) -> None:
        if redemption_id not in self.paid:
            with pytest.raises(NotFound):
                self.bank.give_back(redemption_id=redemption_id)
            return
        try:
            self.bank.give_back(redemption_id=redemption_id)
        except Refused:
            assert balances(self.bank)[OPERATING] == 0
            return
        del self.paid[redemption_id]

    @rule(reference=consumes(wires))
    def recall(self, reference: str) -> None:
        held = balances(self.bank)[COLLECTION]
        try:
            self.bank.recall(reference)
        except Refused:
            assert held < 10_000

    @rule(days=st.integers(0, 2))
    def sleep(self, days: int) -> None:
        self.clock.advance(days * DAY + 1)
        self.bank.step()

    @precondition(lambda self: self.reports < 5)
    @rule()
    def report(self) -> None:
        self.clock.advance(1)
        self.reports += 1
        self.issuer.request(self.reports, len(self.issuer.log), self.clock.now())
        self.bank.step()
        self.bank.wire("71", NAME, 1)  # what is booked after the report does not confuse the auditor
        self.auditor.step()
        banks, audited = (
            self.issuer.report(self.reports, directory)
            for directory in (folder.BANK_TO_ISSUER, folder.AUDITOR_TO_ISSUER)
        )
        assert banks.report == audited.report
        assert (recover(banks), recover(audited)) == (self.bank.attestor, self.auditor.attestor)

    @invariant()
    def the_books_are_right(self) -> None:
        if not hasattr(self, "root"):
            return
        held, figures = balances(self.bank), self.bank.figures()
        assert sum(held.values()) == 0
        assert all(balance >= 0 for number, balance in held.items() if number != "CLEARING")
        assert figures.paid == sum(self.paid.values()) * 10_000
        assert figures.credited == self.credited * 10_000
        notices = self.issuer.notices()
        assert [notice.sequence for notice in notices] == list(range(1, len(notices) + 1))
        for account in (COLLECTION, RESERVE):
            entries = self.issuer.entries(account)
            assert sum(entry.change_fen for entry in entries) == held[account]
            stated = [entry for statement in self.issuer.statements(account) for entry in statement.entries]
            assert stated == entries[: len(stated)]
            assert len({entry.reference for entry in entries}) == len(entries)
        self.auditor.step()
        assert self.auditor.findings() == []
        assert self.auditor.figures() == figures


TestTrade = Trade.TestCase
TestTrade.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
