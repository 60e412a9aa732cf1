"""Reserve reports: what bank and auditor sign, and everything that either refuses to sign."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account

from issuer.messages import folder, report
from issuer.messages.camt import read_notice, read_statement, write_notice, write_statement
from issuer.messages.pain import OrderKind, PaymentOrder
from issuer.messages.report import SignedReport
from issuer.mockbank.auditor import Auditor
from issuer.mockbank.bank import Bank
from issuer.tlog import checkpoint, merkle
from tests.bank_folder import CHAIN, CUSTOMER, FEED, TOKEN, Crowded, IssuerSide, order, redeem, signer
from tests.clock import ManualClock

PASSPHRASE = "correct horse battery staple"
BANK, AUDITOR = folder.BANK_TO_ISSUER, folder.AUDITOR_TO_ISSUER


@pytest.fixture
def issuer(tmp_path: Path) -> IssuerSide:
    return IssuerSide(tmp_path / "folder")


@pytest.fixture
def bank(tmp_path: Path, clock: ManualClock, issuer: IssuerSide) -> Iterator[Bank]:
    """A bank with 500.00 in the reserve for mints, of which 20.00 are paid out."""
    with Bank.create(tmp_path / "bank", tmp_path / "folder", clock, PASSPHRASE) as bank:
        bank.wire(CUSTOMER, "Platform A Limited", 100_000)
        issuer.send(order("M-1", OrderKind.MINT, 50_000))
        bank.step()
        issuer.send(redeem("R-1", 20_000_000, 2_000))
        bank.step()
        clock.advance(1)
        yield bank


@pytest.fixture
def auditor(tmp_path: Path, clock: ManualClock) -> Iterator[Auditor]:
    with Auditor.create(tmp_path / "auditor", tmp_path / "folder", clock, PASSPHRASE) as auditor:
        yield auditor


def write(issuer: IssuerSide, directory: str, name: str, body: bytes) -> None:
    issuer.folder.write(directory, name, body)


def test_bank_and_auditor_sign_the_same_report(
    bank: Bank, auditor: Auditor, issuer: IssuerSide, clock: ManualClock
) -> None:
    issuer.request(1, 0, clock.now() - 1)
    assert bank.step() == 3  # a request in, the report to two readers out
    auditor.step()
    banks, audited = issuer.report(1), issuer.report(1, AUDITOR)
    assert banks.report == report.Report(
        token=TOKEN,
        number=1,
        reserve=480_000_000,
        paid=20_000_000,
        credited=500_000_000,
        as_of=clock.now() - 1,
        log_root="0x" + merkle.root(issuer.log).hex(),
        log_size=3,
    )
    assert (banks.chain_id, banks.feed, audited.report) == (CHAIN, FEED, banks.report)
    assert report.recover(banks) == banks.signer == bank.attestor
    assert report.recover(audited) == audited.signer == auditor.attestor
    keys = [folder.read_attestor(issuer.folder.read(folder.KEYS, name)) for name in ("bank.json", "auditor.json")]
    assert keys == [bank.attestor, auditor.attestor]
    assert (bank.step(), auditor.step()) == (0, 0)


def test_the_report_is_as_of_the_earlier_of_clock_and_block(bank: Bank, issuer: IssuerSide, clock: ManualClock) -> None:
    issuer.request(1, 0, clock.now() + 500)
    bank.step()
    assert issuer.report(1).report.as_of == clock.now()


def test_a_second_report_in_the_same_second_is_too_early(
    bank: Bank, auditor: Auditor, issuer: IssuerSide, clock: ManualClock
) -> None:
    issuer.request(1, 0, clock.now())
    issuer.request(2, 3, clock.now())
    bank.step()
    auditor.step()
    assert issuer.refusal(2).code == "too-early"
    assert not issuer.answered(2, AUDITOR)
    clock.advance(1)
    issuer.request(3, 6, clock.now())  # proven from what was seen in the refused request
    issuer.request(4, 3, clock.now())
    bank.step()
    auditor.step()
    assert issuer.report(3, AUDITOR).report == issuer.report(3).report
    assert issuer.refusal(4).code == "log-unproven"


@pytest.mark.parametrize("later", [order("M-2", OrderKind.MINT, 10_000), redeem("R-2", 10_000_000, 1_000)])
def test_what_is_booked_in_the_second_of_a_report_may_come_after_it(
    bank: Bank, auditor: Auditor, issuer: IssuerSide, clock: ManualClock, later: PaymentOrder
) -> None:
    """Blocks and bookings often share a second: the auditor, which reads both, would have called it a false report."""
    auditor.step()
    issuer.request(1, 0, clock.now())
    bank.step()
    issuer.send(later)
    bank.step()
    auditor.step()
    assert issuer.report(1, AUDITOR).report == issuer.report(1).report


def test_what_is_to_leave_the_reserve_is_left_out(
    bank: Bank, auditor: Auditor, issuer: IssuerSide, clock: ManualClock
) -> None:
    issuer.request(1, 0, clock.now(), withheld=100_000_000)
    bank.step()
    auditor.step()
    found = issuer.report(1, AUDITOR).report
    assert (found.reserve, found.credited, found.paid) == (380_000_000, 400_000_000, 20_000_000)
    clock.advance(1)
    issuer.request(2, 3, clock.now(), withheld=480_000_001)
    bank.step()
    assert issuer.refusal(2).code == "withheld"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"token": FEED}, "over-allotted"),
        ({"feed": TOKEN}, "over-allotted"),
        ({"chain_id": 1}, "over-allotted"),
        ({"checkpoint": "x"}, "malformed-checkpoint"),
        ({"consistency": (b"\0" * 32,)}, "log-forked"),
        ({"consistency": ()}, "log-forked"),
        ({"from_size": 2}, "log-unproven"),
        ({"from_size": 4}, "log-unproven"),
        ({"number": 9}, "malformed"),
    ],
)
def test_a_request_that_does_not_follow_is_refused_by_both(
    bank: Bank, auditor: Auditor, issuer: IssuerSide, clock: ManualClock, change: dict[str, object], code: str
) -> None:
    issuer.request(1, 0, clock.now())
    bank.step()
    auditor.step()
    clock.advance(1)
    issuer.request(2, 3, clock.now())
    changed = folder.write_request(replace(issuer.request_of(2, 3, clock.now()), **change))  # type: ignore[arg-type]
    write(issuer, folder.ISSUER_TO_BANK, folder.request_name(2), changed)
    bank.step()
    assert issuer.refusal(2).code == code
    # An auditor who is asked so, with a bank that would sign, refuses too.
    write(issuer, folder.ISSUER_TO_AUDITOR, folder.request_name(2), changed)
    (issuer.path / folder.BANK_TO_AUDITOR / folder.refusal_name(2)).unlink()
    write(issuer, folder.BANK_TO_AUDITOR, folder.report_name(2), folder.write_report(issuer.report(1)))
    auditor.step()
    assert issuer.refusal(2, AUDITOR).code in (code, "report-differs")


def test_a_number_is_used_once(bank: Bank, issuer: IssuerSide, clock: ManualClock) -> None:
    issuer.request(5, 0, clock.now())
    bank.step()
    clock.advance(1)
    issuer.request(4, 3, clock.now())
    bank.step()
    assert issuer.refusal(4).code == "old-number"


def test_the_log_may_not_shrink_or_fork_or_be_signed_by_another(
    bank: Bank, issuer: IssuerSide, clock: ManualClock
) -> None:
    issuer.request(1, 0, clock.now(), records=5)
    bank.step()
    clock.advance(1)
    issuer.log = issuer.log[:4]
    issuer.request(2, 4, clock.now(), records=0)
    issuer.log = [b"another", *issuer.log[1:]]
    issuer.request(3, 5, clock.now(), records=4)
    issuer.request(4, 5, clock.now(), records=0, checkpoint=checkpoint.sign(8, b"\1" * 32, signer(b"\x08" * 32)))
    issuer.log = [b"another"] * 5
    issuer.request(5, 5, clock.now(), records=0)
    bank.step()
    codes = [issuer.refusal(number).code for number in (2, 3, 4, 5)]
    assert codes == ["log-shrank", "log-forked", "unsigned-checkpoint", "log-forked"]


def go_on(bank: Bank, auditor: Auditor, clock: ManualClock) -> None:
    bank.step()
    auditor.step()
    clock.advance(1)


def test_a_branch_that_was_seen_is_no_start_once_another_is_signed(
    bank: Bank, auditor: Auditor, issuer: IssuerSide, clock: ManualClock
) -> None:
    issuer.request(1, 0, clock.now())
    common, seen = list(issuer.log), clock.now()
    go_on(bank, auditor, clock)
    branch = [*common, b"a 3", b"a 4", b"a 5"]
    issuer.log = list(branch)
    issuer.request(2, 3, seen, records=0)
    go_on(bank, auditor, clock)
    assert issuer.refusal(2).code == "too-early"
    issuer.log = [*common, b"b 3", b"b 4"]
    issuer.request(3, 3, clock.now(), records=0)
    go_on(bank, auditor, clock)
    assert issuer.report(3, AUDITOR).report.log_size == 5
    issuer.log = [*branch, b"a 6"]
    issuer.request(4, 6, clock.now(), records=0)
    bank.step()
    assert issuer.refusal(4).code == "log-unproven"
    # An auditor whose bank signs nevertheless refuses too.
    (issuer.path / folder.BANK_TO_AUDITOR / folder.refusal_name(4)).unlink()
    write(issuer, folder.BANK_TO_AUDITOR, folder.report_name(4), folder.write_report(issuer.report(3)))
    auditor.step()
    assert issuer.refusal(4, AUDITOR).code == "log-unproven"


@pytest.mark.parametrize("gap", [False, True])
def test_a_log_goes_on_from_what_is_signed_though_another_of_its_size_was_seen(
    bank: Bank, auditor: Auditor, issuer: IssuerSide, clock: ManualClock, gap: bool
) -> None:
    """Also with an auditor who saw what the bank signed, and could not sign it."""
    issuer.request(1, 0, clock.now())
    common, seen = list(issuer.log), clock.now()
    go_on(bank, auditor, clock)
    issuer.log = [*common, b"a 3", b"a 4", b"a 5"]
    issuer.request(2, 3, seen, records=0)
    go_on(bank, auditor, clock)
    assert issuer.refusal(2).code == "too-early"
    if gap:
        bank.wire(CUSTOMER, "Platform A Limited", 1_00)
        bank.wire(CUSTOMER, "Platform A Limited", 1_00)
        bank.step()
        missing = issuer.path / folder.BANK_TO_AUDITOR / folder.notice_name(5)
        kept = missing.read_bytes()
        missing.unlink()
    issuer.log = [*common, b"b 3", b"b 4", b"b 5"]
    issuer.request(3, 3, clock.now(), records=0)
    go_on(bank, auditor, clock)
    assert issuer.report(3).report.log_size == 6
    if gap:
        assert issuer.refusal(3, AUDITOR).code == "gap"
        missing.write_bytes(kept)
    issuer.request(4, 6, clock.now())
    go_on(bank, auditor, clock)
    assert issuer.report(4, AUDITOR).report == issuer.report(4).report


def test_an_unchanged_log_needs_no_proof(bank: Bank, issuer: IssuerSide, clock: ManualClock) -> None:
    issuer.request(1, 0, clock.now())
    bank.step()
    clock.advance(1)
    issuer.request(2, 0, clock.now(), records=0)
    bank.step()
    assert issuer.report(2).report.log_size == 3


def test_the_issuers_log_key_is_trusted_on_first_use(bank: Bank, issuer: IssuerSide, clock: ManualClock) -> None:
    keys = issuer.path / folder.KEYS / folder.ISSUER_KEY
    original = keys.read_bytes()
    keys.unlink()
    issuer.request(1, 0, clock.now())
    bank.step()
    keys.write_bytes(b"{}")
    issuer.request(2, 0, clock.now())
    bank.step()
    keys.write_bytes(original)
    issuer.request(3, 0, clock.now())
    bank.step()
    keys.write_bytes(folder.write_log_key(signer(b"\x08" * 32).verifier.vkey))
    issuer.request(4, 3, clock.now() + 1)
    bank.step()
    codes = [issuer.refusal(number).code for number in (1, 2, 4)]
    assert codes == ["unknown-log", "unknown-log", "changed-key"]
    assert issuer.report(3)


@pytest.mark.parametrize("body", [b"", b"{}", b"[" * 9_999, b'{"number": 1e3}', b'{"\\u0000\\n": 1}', b"\xff"])
def test_a_file_that_is_no_request_is_refused(bank: Bank, auditor: Auditor, issuer: IssuerSide, body: bytes) -> None:
    for directory in (folder.ISSUER_TO_BANK, folder.ISSUER_TO_AUDITOR):
        write(issuer, directory, folder.request_name(1), body)
    bank.step()
    auditor.step()
    assert issuer.refusal(1).code == issuer.refusal(1, AUDITOR).code == "malformed"


def _overstate(issuer: IssuerSide, bank: Bank, tmp_path: Path, **change: int) -> SignedReport:
    """The bank's report with other figures, under the bank's true key."""
    keystore = json.loads((tmp_path / "bank" / "attestor.json").read_bytes())
    key = Account.from_key(Account.decrypt(keystore, PASSPHRASE))
    changed = replace(issuer.report(1).report, **change)  # type: ignore[arg-type]
    return report.sign(
        changed, CHAIN, FEED, bank.attestor, lambda digest: bytes(key.unsafe_sign_hash(digest).signature)
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"reserve": 480_000_001}, "figures-differ"),
        ({"reserve": 500_000_000}, "figures-differ"),
        ({"paid": 0}, "figures-differ"),
        ({"paid": 0, "reserve": 500_000_000}, "figures-differ"),  # true once, before the redemption was paid
        ({"credited": 0}, "figures-differ"),
        ({"as_of": 2_000_000_000}, "future"),
        ({"log_size": 4}, "report-differs"),
        ({"number": 7}, "report-differs"),
    ],
)
def test_the_auditor_does_not_sign_what_the_notices_do_not_make(
    bank: Bank,
    auditor: Auditor,
    issuer: IssuerSide,
    clock: ManualClock,
    tmp_path: Path,
    change: dict[str, int],
    code: str,
) -> None:
    issuer.request(1, 0, clock.now())
    bank.step()
    overstated = _overstate(issuer, bank, tmp_path, **change)
    write(issuer, folder.BANK_TO_AUDITOR, folder.report_name(1), folder.write_report(overstated))
    auditor.step()
    assert issuer.refusal(1, AUDITOR).code == code
    assert auditor.findings() == []


def test_the_auditor_knows_the_banks_signature(
    bank: Bank, auditor: Auditor, issuer: IssuerSide, clock: ManualClock
) -> None:
    thief = Account.from_key(b"\x44" * 32)
    issuer.request(1, 0, clock.now())
    bank.step()
    found = issuer.report(1)
    forged = report.sign(
        found.report, CHAIN, FEED, thief.address, lambda digest: bytes(thief.unsafe_sign_hash(digest).signature)
    )
    for number, signed in enumerate((forged, replace(forged, signer=bank.attestor)), start=1):
        write(issuer, folder.BANK_TO_AUDITOR, folder.report_name(number), folder.write_report(signed))
    issuer.request(2, 3, clock.now())
    auditor.step()
    assert [issuer.refusal(number, AUDITOR).code for number in (1, 2)] == ["forged-report", "forged-report"]


class Booking:
    """The bank books on while the auditor reads."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank

    def step(self) -> int:
        self._bank.wire(CUSTOMER, "Platform A Limited", 1_00)
        return self._bank.step()


def test_a_notice_that_comes_while_the_auditor_reads_is_no_gap(
    bank: Bank, auditor: Auditor, issuer: IssuerSide, clock: ManualClock
) -> None:
    issuer.request(1, 0, clock.now())
    bank.step()
    auditor.home = replace(auditor.home, folder=Crowded(issuer.path, Booking(bank)))
    auditor.step()
    assert issuer.report(1, AUDITOR).report == issuer.report(1).report


def test_the_auditor_does_not_sign_over_a_gap(
    bank: Bank, auditor: Auditor, issuer: IssuerSide, clock: ManualClock
) -> None:
    missing = issuer.path / folder.BANK_TO_AUDITOR / folder.notice_name(3)
    kept = missing.read_bytes()
    missing.unlink()
    issuer.request(1, 0, clock.now())
    bank.step()
    auditor.step()
    assert issuer.refusal(1, AUDITOR).code == "gap"
    missing.write_bytes(kept)
    clock.advance(1)
    issuer.request(2, 3, clock.now())
    bank.step()
    auditor.step()
    assert issuer.report(2, AUDITOR).report == issuer.report(2).report


def test_a_bank_that_keeps_its_last_notice_back_is_not_believed(
    bank: Bank, auditor: Auditor, issuer: IssuerSide, clock: ManualClock
) -> None:
    (issuer.path / folder.BANK_TO_AUDITOR / folder.notice_name(4)).unlink()
    issuer.request(1, 0, clock.now())
    bank.step()
    auditor.step()
    assert issuer.refusal(1, AUDITOR).code == "figures-differ"


def _rewrite_notice(issuer: IssuerSide, sequence: int, **change: object) -> None:
    path = issuer.path / folder.BANK_TO_AUDITOR / folder.notice_name(sequence)
    notice = read_notice(path.read_bytes())
    entry = replace(notice.entries[0], **change)  # type: ignore[arg-type]
    path.write_bytes(write_notice(replace(notice, entries=(entry,))))


def test_a_contradiction_is_found_and_stays(
    bank: Bank, auditor: Auditor, issuer: IssuerSide, clock: ManualClock
) -> None:
    bank.statement()
    _rewrite_notice(issuer, 1, amount_fen=99_999)
    issuer.request(1, 0, clock.now())
    bank.step()
    auditor.step()
    assert "was not noticed so" in auditor.findings()[0]
    assert issuer.refusal(1, AUDITOR).code == "finding"
    clock.advance(1)
    issuer.request(2, 3, clock.now())
    bank.step()
    auditor.step()
    assert issuer.refusal(2, AUDITOR).code == "finding"


def test_a_redemption_paid_twice_is_found(bank: Bank, auditor: Auditor, issuer: IssuerSide) -> None:
    issuer.send(redeem("R-2", 40_000_000, 2_000))
    bank.step()
    paid = read_notice(issuer.folder.read(folder.BANK_TO_AUDITOR, folder.notice_name(4))).entries[0].redemption
    _rewrite_notice(issuer, 5, redemption=paid)
    auditor.step()
    assert auditor.findings() == ["camt.054-00000005.xml: redemption 20000000 was paid before"]


def test_a_redemption_paid_short_is_found(bank: Bank, auditor: Auditor, issuer: IssuerSide) -> None:
    _rewrite_notice(issuer, 4, amount_fen=1_999)
    auditor.step()
    assert auditor.findings() == ["camt.054-00000004.xml: redemption 20000000 is not paid in full"]
    assert bank.figures().paid == 20_000_000


@pytest.mark.parametrize("body", [b"", b"<Document/>"])
def test_a_notice_or_statement_that_cannot_be_read_is_a_finding(
    bank: Bank, auditor: Auditor, issuer: IssuerSide, body: bytes
) -> None:
    bank.statement()
    write(issuer, folder.BANK_TO_AUDITOR, folder.notice_name(1), body)
    write(issuer, folder.BANK_TO_AUDITOR, folder.statement_name(1), body)
    auditor.step()
    names = [finding.partition(":")[0] for finding in auditor.findings()]
    assert {"camt.054-00000001.xml", "camt.053-00000001.xml"} <= set(names)


def test_an_entry_left_out_of_a_statement_is_found(
    bank: Bank, auditor: Auditor, issuer: IssuerSide, clock: ManualClock
) -> None:
    """The bank notices a wire and states the account as if it had never come."""
    clock.advance(1)
    quiet = (issuer.path / folder.BANK_TO_AUDITOR / folder.notice_name(1)).read_bytes()
    notice = read_notice(quiet)
    entry = replace(notice.entries[0], reference="BK-EXTRA")
    write(
        issuer,
        folder.BANK_TO_AUDITOR,
        folder.notice_name(5),
        write_notice(replace(notice, sequence=5, entries=(entry,))),
    )
    bank.statement()
    auditor.step()
    assert auditor.findings() == [
        "camt.053-00000001.xml: entry BK-EXTRA was noticed and is in no statement",
        "camt.053-00000002.xml: statement 1 is missing",
    ]


def test_a_statement_that_does_not_continue_the_last_is_found(bank: Bank, auditor: Auditor, issuer: IssuerSide) -> None:
    bank.statement()
    path = issuer.path / folder.BANK_TO_AUDITOR / folder.statement_name(2)
    statement = read_statement(path.read_bytes())
    raised = replace(statement, opening_fen=statement.opening_fen + 1, closing_fen=statement.closing_fen + 1)
    path.write_bytes(write_statement(raised))
    auditor.step()
    assert auditor.findings() == ["camt.053-00000002.xml: the opening balance is not the last closing balance"]


def test_two_processes_of_the_auditor_sign_once(
    bank: Bank, auditor: Auditor, issuer: IssuerSide, clock: ManualClock, tmp_path: Path
) -> None:
    issuer.request(1, 0, clock.now())
    bank.statement()
    bank.step()
    with Auditor.open(tmp_path / "auditor", clock, PASSPHRASE) as other:
        auditor.home = replace(auditor.home, folder=Crowded(issuer.path, other))
        auditor.step()
    assert auditor.findings() == []
    assert issuer.report(1, AUDITOR).report == issuer.report(1).report


def test_an_auditor_that_starts_late_catches_up(
    bank: Bank, issuer: IssuerSide, clock: ManualClock, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        issuer.request(number, len(issuer.log), clock.now())
        bank.step()
        clock.advance(1)
        issuer.send(order(f"M-{number + 1}", OrderKind.MINT, 100 * number))
        bank.step()
    with Auditor.create(tmp_path / "late", tmp_path / "folder", clock, PASSPHRASE) as late:
        late.step()
        assert late.figures() == bank.figures()
    assert [issuer.report(number, AUDITOR).report for number in (1, 2, 3)] == [
        issuer.report(number).report for number in (1, 2, 3)
    ]
