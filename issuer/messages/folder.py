"""The bank folder: its directories, the names of its files, and its JSON documents.

Directories say who writes to whom. A file's name is fixed by what it is about, so that writing it again after a crash
changes nothing. Documents are ASCII JSON objects with exactly their fields: integers and text, never a float.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from issuer.errors import InvalidInput, MalformedDocument
from issuer.messages import iso20022
from issuer.messages.report import MAX_NUMBER, Report, SignedReport, check_address, check_range
from issuer.money import MAX_UNITS

ISSUER_TO_BANK = "issuer-to-bank"
ISSUER_TO_AUDITOR = "issuer-to-auditor"
BANK_TO_ISSUER = "bank-to-issuer"
BANK_TO_AUDITOR = "bank-to-auditor"
AUDITOR_TO_ISSUER = "auditor-to-issuer"
KEYS = "keys"

BANK_KEY = "bank.json"
AUDITOR_KEY = "auditor.json"
ISSUER_KEY = "issuer.json"

_T = TypeVar("_T")

MAX_BYTES = 1024 * 1024
_MOST_BRACKETS = 100
_LONGEST_NOTE = 100_000
_LONGEST_PROOF = 128
LONGEST_REASON = 500
_HASH = re.compile(r"[0-9a-f]{64}")
_CODE = re.compile(r"[a-z][a-z0-9-]{0,39}")
_ORDER = re.compile(r"pain\.001-([A-Za-z0-9][A-Za-z0-9-]{0,34})\.xml")
_NOTICE = re.compile(r"camt\.054-([0-9]{8,18})\.xml")
_STATEMENT = re.compile(r"camt\.053-([0-9]{8,18})\.xml")
_REQUEST = re.compile(r"report-request-([1-9][0-9]{0,18})\.json")
_REPORT = re.compile(r"report-([1-9][0-9]{0,18})\.json")


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """The issuer asks bank and auditor for a report that anchors its log. Raises InvalidInput."""

    number: int
    token: str  # EIP-55
    feed: str  # EIP-55
    chain_id: int
    block_time: int  # seconds since 1970 UTC, of the latest block the issuer acts on
    checkpoint: str  # a C2SP signed note
    from_size: int  # the last log size that a signer has seen; 0 when none has
    consistency: tuple[bytes, ...] = ()  # RFC 6962 proof from that size to the checkpoint's
    withheld: int = 0  # units that the report must leave out of reserve and credited: they are to leave the reserve

    def __post_init__(self) -> None:
        check_address(self.token, "the token")
        check_address(self.feed, "the feed")
        for name in ("number", "chain_id", "block_time", "from_size"):
            check_range(getattr(self, name), name, MAX_NUMBER)
        check_range(self.withheld, "withheld", MAX_UNITS)
        if len(self.checkpoint) > _LONGEST_NOTE or len(self.consistency) > _LONGEST_PROOF:
            raise InvalidInput("the checkpoint or its proof is too long to be one")
        if any(len(node) != 32 for node in self.consistency):
            raise InvalidInput("a node of the consistency proof is not 32 bytes")


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A signer's answer when it does not sign."""

    number: int  # of the request
    code: str  # stable, such as "too-early"
    reason: str  # one sentence for a person

    def __post_init__(self) -> None:
        check_range(self.number, "number", MAX_NUMBER)
        if _CODE.fullmatch(self.code) is None:
            raise InvalidInput(f"{self.code[:40]!r} is not a code", "Use small letters, digits and hyphens.")
        iso20022.check_text(self.reason, "the reason", LONGEST_REASON, shortest=1)


def order_name(message_id: str) -> str:
    return f"pain.001-{message_id}.xml"


def status_name(message_id: str) -> str:
    """Of the answer to the order whose file names that message id."""
    return f"pain.002-{message_id}.xml"


def notice_name(sequence: int) -> str:
    return f"camt.054-{sequence:08d}.xml"


def statement_name(sequence: int) -> str:
    return f"camt.053-{sequence:08d}.xml"


def request_name(number: int) -> str:
    return f"report-request-{number}.json"


def report_name(number: int) -> str:
    return f"report-{number}.json"


def refusal_name(number: int) -> str:
    return f"refusal-{number}.json"


def order_of(name: str) -> str | None:
    """The message id that a file's name gives, or None for a file that is no order."""
    match = _ORDER.fullmatch(name)
    return match[1] if match else None


def notice_of(name: str) -> int | None:
    """The sequence number that a file's name gives, or None for a file that is no notice."""
    return _sequence_of(_NOTICE, name, notice_name)


def statement_of(name: str) -> int | None:
    return _sequence_of(_STATEMENT, name, statement_name)


def request_of(name: str) -> int | None:
    return _numbered(_REQUEST, name)


def report_of(name: str) -> int | None:
    return _numbered(_REPORT, name)


def read_request(document: bytes) -> ReportRequest:
    """Raises MalformedDocument."""
    return _typed("report request", document, _request)


def write_request(request: ReportRequest) -> bytes:
    return _write(
        {
            "number": request.number,
            "token": request.token,
            "feed": request.feed,
            "chain_id": request.chain_id,
            "block_time": request.block_time,
            "checkpoint": request.checkpoint,
            "from_size": request.from_size,
            "consistency": [node.hex() for node in request.consistency],
            "withheld": request.withheld,
        }
    )


def read_report(document: bytes) -> SignedReport:
    """Raises MalformedDocument. The signature's form is checked, not whose it is: see `report.recover`."""
    return _typed("report", document, _signed_report)


def write_report(signed: SignedReport) -> bytes:
    return _write(
        {
            "report": signed.report.message,
            "chain_id": signed.chain_id,
            "feed": signed.feed,
            "signer": signed.signer,
            "signature": signed.signature,
        }
    )


def read_refusal(document: bytes) -> Refusal:
    """Raises MalformedDocument."""
    return _typed("refusal", document, _refusal)


def write_refusal(refusal: Refusal) -> bytes:
    return _write({"number": refusal.number, "code": refusal.code, "reason": refusal.reason})


def read_attestor(document: bytes) -> str:
    """The EIP-55 address in `keys/bank.json` or `keys/auditor.json`. Raises MalformedDocument."""
    return _typed("attestor key", document, _attestor)


def write_attestor(address: str) -> bytes:
    check_address(address, "the attestor")
    return _write({"attestor": address})


def read_log_key(document: bytes) -> str:
    """The C2SP verifier key in `keys/issuer.json`, as text. Raises MalformedDocument."""
    return _typed("log key", document, lambda fields: _text(_exactly(fields, "log_key"), "log_key"))


def write_log_key(vkey: str) -> bytes:
    return _write({"log_key": vkey})


def _request(fields: dict[str, Any]) -> ReportRequest:
    names = ("number", "token", "feed", "chain_id", "block_time", "checkpoint", "from_size", "consistency", "withheld")
    _exactly(fields, *names)
    return ReportRequest(
        number=_integer(fields, "number"),
        token=_text(fields, "token"),
        feed=_text(fields, "feed"),
        chain_id=_integer(fields, "chain_id"),
        block_time=_integer(fields, "block_time"),
        checkpoint=_text(fields, "checkpoint"),
        from_size=_integer(fields, "from_size"),
        consistency=_hashes(fields, "consistency"),
        withheld=_integer(fields, "withheld"),
    )


def _signed_report(fields: dict[str, Any]) -> SignedReport:
    _exactly(fields, "report", "chain_id", "feed", "signer", "signature")
    return SignedReport(
        report=_report(_object(fields, "report")),
        chain_id=_integer(fields, "chain_id"),
        feed=_text(fields, "feed"),
        signer=_text(fields, "signer"),
        signature=_text(fields, "signature"),
    )


def _report(fields: dict[str, Any]) -> Report:
    _exactly(fields, "token", "number", "reserve", "paid", "credited", "asOf", "logRoot", "logSize")
    return Report(
        token=_text(fields, "token"),
        number=_integer(fields, "number"),
        reserve=_integer(fields, "reserve"),
        paid=_integer(fields, "paid"),
        credited=_integer(fields, "credited"),
        as_of=_integer(fields, "asOf"),
        log_root=_text(fields, "logRoot"),
        log_size=_integer(fields, "logSize"),
    )


def _refusal(fields: dict[str, Any]) -> Refusal:
    _exactly(fields, "number", "code", "reason")
    return Refusal(number=_integer(fields, "number"), code=_text(fields, "code"), reason=_text(fields, "reason"))


def _attestor(fields: dict[str, Any]) -> str:
    address = _text(_exactly(fields, "attestor"), "attestor")
    check_address(address, "the attestor")
    return address


def _sequence_of(form: re.Pattern[str], name: str, write: Callable[[int], str]) -> int | None:
    """A number has one name: written otherwise, a file would stand beside the one that counts."""
    number = _numbered(form, name)
    return number if number and write(number) == name else None


def _numbered(form: re.Pattern[str], name: str) -> int | None:
    match = form.fullmatch(name)
    return int(match[1]) if match and int(match[1]) <= MAX_NUMBER else None


def _typed(name: str, document: bytes, build: Callable[[dict[str, Any]], _T]) -> _T:
    with iso20022.reading(name):
        return build(_read(document))


def _read(document: bytes) -> dict[str, Any]:
    if len(document) > MAX_BYTES:
        raise MalformedDocument(f"the document has {len(document)} bytes, more than {MAX_BYTES}")
    # The decoder recurses in C, so deep nesting would end the process where the recursion limit was raised.
    if document.count(b"[") + document.count(b"{") > _MOST_BRACKETS:
        raise MalformedDocument("it nests deeper than any document here")
    try:
        fields = json.loads(
            document.decode("ascii"), object_pairs_hook=_object_once, parse_float=_no_float, parse_constant=_no_float
        )
    except (ValueError, RecursionError) as error:
        raise MalformedDocument("it is not ASCII JSON") from error
    if not isinstance(fields, dict):
        raise MalformedDocument("it is not a JSON object")
    return fields


def _write(fields: dict[str, Any]) -> bytes:
    return (json.dumps(fields, ensure_ascii=True, separators=(",", ":")) + "\n").encode()


def _object_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise MalformedDocument("a field stands twice")
    return fields


def _no_float(text: str) -> NoReturn:
    raise MalformedDocument(f"{text[:40]} is not an integer")


def _exactly(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    missing, unknown = sorted(set(names) - set(fields)), sorted(set(fields) - set(names))
    if missing or unknown:
        raise MalformedDocument(f"fields missing: {missing}; fields unknown: {unknown}")
    return fields


def _integer(fields: dict[str, Any], name: str) -> int:
    value = fields[name]
    if type(value) is not int:
        raise MalformedDocument(f"{name} is not an integer")
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise MalformedDocument(f"{name} is not text")
    return value


def _object(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields[name]
    if not isinstance(value, dict):
        raise MalformedDocument(f"{name} is not an object")
    return value


def _hashes(fields: dict[str, Any], name: str) -> tuple[bytes, ...]:
    value = fields[name]
    if not isinstance(value, list) or any(not isinstance(node, str) or not _HASH.fullmatch(node) for node in value):
        raise MalformedDocument(f"{name} is not a list of 32-byte hashes in hex")
    return tuple(bytes.fromhex(node) for node in value)
