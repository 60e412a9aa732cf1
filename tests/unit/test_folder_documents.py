"""The bank folder's JSON documents and the reserve report: strict in, the same out, signed as the feed demands."""

import json
from dataclasses import replace

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import InvalidInput, MalformedDocument
from issuer.messages import folder, report
from issuer.messages.folder import Refusal, ReportRequest
from issuer.messages.report import Report

BANK = Account.from_key(b"\x11" * 32)
FEED = Account.from_key(b"\x22" * 32).address
TOKEN = Account.from_key(b"\x33" * 32).address
CHAIN = 31337

uint64 = st.integers(0, 2**63 - 1)
units = st.integers(0, 2**63 - 1)
LAST_SECOND = 253_402_271_999  # of the year 9999 in Hong Kong
roots = st.binary(min_size=32, max_size=32)
reports = st.builds(
    Report,
    token=st.just(TOKEN),
    number=uint64,
    reserve=units,
    paid=units,
    credited=units,
    as_of=st.integers(0, LAST_SECOND),
    log_root=roots.map(lambda root: "0x" + root.hex()),
    log_size=uint64,
)
REPORT = Report(
    token=TOKEN, number=1, reserve=9, paid=1, credited=10, as_of=1_790_000_000, log_root="0x" + "ab" * 32, log_size=3
)
REQUEST = ReportRequest(
    number=2,
    token=TOKEN,
    feed=FEED,
    chain_id=CHAIN,
    block_time=1_790_000_000,
    checkpoint="example.com/log\n3\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n\n— x\n",
    from_size=2,
    consistency=(b"\1" * 32, b"\2" * 32),
    withheld=5,
)


def sign(digest: bytes) -> bytes:
    return bytes(BANK.unsafe_sign_hash(digest).signature)


def typed_data(found: Report) -> dict[str, object]:
    """The same report for eth_account's own EIP-712 encoder."""
    parameters = report.REPORT_TYPE.removeprefix("Report(").removesuffix(")").split(",")
    fields = [{"type": pair.split()[0], "name": pair.split()[1]} for pair in parameters]
    domain = [("string", "name"), ("string", "version"), ("uint256", "chainId"), ("address", "verifyingContract")]
    return {
        "types": {"EIP712Domain": [{"type": kind, "name": name} for kind, name in domain], "Report": fields},
        "primaryType": "Report",
        "domain": {"name": "ReserveFeed", "version": "1", "chainId": CHAIN, "verifyingContract": FEED},
        "message": found.message,
    }


@given(reports)
def test_the_signature_is_the_one_another_implementation_makes(found: Report) -> None:
    signed = report.sign(found, CHAIN, FEED, BANK.address, sign)
    assert (
        signed.signature == "0x" + BANK.sign_message(encode_typed_data(full_message=typed_data(found))).signature.hex()
    )
    assert report.recover(signed) == BANK.address
    assert folder.read_report(folder.write_report(signed)) == signed


@pytest.mark.parametrize(
    "change",
    [{"reserve": 10}, {"number": 2}, {"as_of": 0}, {"log_size": 4}, {"log_root": "0x" + "ac" * 32}, {"token": FEED}],
)
def test_a_changed_report_is_signed_by_somebody_else(change: dict[str, object]) -> None:
    signed = report.sign(REPORT, CHAIN, FEED, BANK.address, sign)
    changed = replace(signed, report=replace(REPORT, **change))  # type: ignore[arg-type]
    assert report.recover(changed) != BANK.address
    assert report.recover(replace(signed, chain_id=CHAIN + 1)) != BANK.address
    assert report.recover(replace(signed, feed=TOKEN)) != BANK.address


def test_a_report_is_as_of_a_time() -> None:
    """A record of the log could not hold a larger number, nor a person read it."""
    with pytest.raises(InvalidInput, match="as_of"):
        replace(REPORT, as_of=LAST_SECOND + 1)


def test_a_key_that_is_not_the_named_signers_cannot_sign() -> None:
    with pytest.raises(InvalidInput, match="not one of"):
        report.sign(REPORT, CHAIN, FEED, TOKEN, sign)


def test_the_other_form_of_a_signature_is_refused() -> None:
    signed = report.sign(REPORT, CHAIN, FEED, BANK.address, sign)
    raw = bytes.fromhex(signed.signature[2:])
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = (order - int.from_bytes(raw[32:64], "big")).to_bytes(32, "big")
    for forged in (raw[:32] + high + bytes([55 - raw[64]]), raw[:64] + b"\0", b"\0" * 64 + b"\x1b", b"\xff" * 65):
        with pytest.raises(InvalidInput):
            report.recover(replace(signed, signature="0x" + forged.hex()))


def test_requests_refusals_and_keys_survive_the_wire() -> None:
    assert folder.read_request(folder.write_request(REQUEST)) == REQUEST
    refusal = Refusal(number=3, code="too-early", reason="the last report is of the same second")
    assert folder.read_refusal(folder.write_refusal(refusal)) == refusal
    assert folder.read_attestor(folder.write_attestor(TOKEN)) == TOKEN
    assert folder.read_log_key(folder.write_log_key("log+0+x")) == "log+0+x"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b"[]",
        b'{"attestor":1}',
        b'{"attestor":"0x00"}',
        b'{"attestor":"0xABCDEFabcdefABCDEFabcdefABCDEFabcdefABCD"}',
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b" " * (folder.MAX_BYTES + 1),
        json.dumps({"attestor": TOKEN, "more": 1}).encode(),
        f'{{"attestor":"{TOKEN}","attestor":"{FEED}"}}'.encode(),
    ],
)
def test_a_key_document_that_is_not_plain_is_refused(document: bytes) -> None:
    with pytest.raises(MalformedDocument):
        folder.read_attestor(document)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", 1.0),
        ("number", "1"),
        ("number", True),
        ("number", -1),
        ("number", 2**64),
        ("withheld", None),
        ("chain_id", float("nan")),
        ("token", TOKEN.lower()),
        ("consistency", ["00"]),
        ("consistency", "00"),
        ("consistency", [["00" * 32]]),
        ("consistency", ["00" * 32] * 200),
        ("checkpoint", "x" * 200_000),
    ],
)
def test_a_request_with_a_wrong_field_is_refused(field: str, value: object) -> None:
    fields = json.loads(folder.write_request(REQUEST)) | {field: value}
    with pytest.raises(MalformedDocument):
        folder.read_request(json.dumps(fields).encode())


def test_names_say_what_they_are_about() -> None:
    assert folder.order_of(folder.order_name("MINT-1")) == "MINT-1"
    assert folder.notice_of(folder.notice_name(7)) == 7
    assert folder.statement_of(folder.statement_name(123_456_789)) == 123_456_789
    assert folder.request_of(folder.request_name(1)) == 1
    assert folder.report_of(folder.report_name(1)) == 1
    assert folder.order_of("pain.001-../../x.xml") is None
    assert folder.notice_of("camt.054-7.xml") is None
    assert folder.report_of("report-request-1.json") is None
    assert folder.request_of(f"report-request-{10**19 - 1}.json") is None, "no document holds such a number"
