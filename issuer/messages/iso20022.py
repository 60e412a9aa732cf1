"""ISO 20022 documents: hostile bytes to typed documents and back, and the field rules all messages share.

The rules, for every message:

* UTF-8, at most MAX_BYTES, one root in the namespace of the message's version.
* No DTD, so no entities, inner or outer, and no processing instructions.
* Nothing unknown, nothing twice that may stand once, nothing missing.
* Every amount is CNY, plain decimal digits with at most two decimals: no sign, no exponent, no NaN.
* Every number of a sequence or count is plain digits.

Namespaces: ISO 20022 message definitions, https://www.iso20022.org/iso-20022-message-definitions
"""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar
from xml.parsers import expat

from issuer.errors import InvalidInput, MalformedDocument
from issuer.money import MAX_UNITS, UNITS_PER_FEN, format_fen

if TYPE_CHECKING:
    from xsdata.formats.dataclass.context import XmlContext
    from xsdata.models.datatype import XmlDate, XmlDateTime

MAX_BYTES = 16 * 1024 * 1024
MAX_FEN = MAX_UNITS // UNITS_PER_FEN
MAX_NUMBER = 2**53 - 1
"""The largest sequence number that is taken: what a record of the log can hold (RFC 8785)."""
CURRENCY = "CNY"
HONG_KONG = timezone(timedelta(hours=8))
"""Where the bank's days begin and end; UTC+8 without summer time since 1979."""

_T = TypeVar("_T")
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,14})(\.[0-9]{1,2})?")
_DIGITS = re.compile(r"[0-9]{1,18}")
_LEAVES = {"ElctrncSeqNb": _DIGITS, "NbOfTxs": _DIGITS, "CtrlSum": _AMOUNT}
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,34}")
_ACCOUNT = re.compile(r"[A-Za-z0-9]{1,34}")
_REFERENCE_LENGTH = 35
_LAST_SECOND = 253_402_271_999  # the last of the year 9999 in Hong Kong: ISO 8601 writes years in four digits


# Most commands touch no document. So xsdata is imported here and in what follows when it is used, and not above.


def types(namespace: str) -> Any:
    """The module with the types of a message, read with the first document: each takes longer than many a command."""
    family, _, version = namespace.rpartition(":")[2].partition(".")
    return import_module(f"pyiso20022.{family}.{family}_{version.replace('.', '_')}")


def read(document: bytes, namespace: str) -> Any:
    """The document as its namespace's type. Raises MalformedDocument; never reads anything but the bytes."""
    from xsdata.exceptions import ParserError, XmlContextError
    from xsdata.formats.dataclass.parsers import XmlParser
    from xsdata.formats.dataclass.parsers.config import ParserConfig

    if len(document) > MAX_BYTES:
        raise MalformedDocument(f"the document has {len(document)} bytes, more than {MAX_BYTES}")
    _scan(document, namespace)
    strict = ParserConfig(
        fail_on_unknown_properties=True, fail_on_unknown_attributes=True, fail_on_converter_warnings=True
    )
    try:
        return XmlParser(context=_context(), config=strict).from_bytes(document, types(namespace).Document)
    except (ParserError, XmlContextError, TypeError, ValueError) as error:
        raise MalformedDocument(_reason(error)) from error


def write(document: Any, namespace: str) -> bytes:
    """The document as UTF-8 XML: the same document always gives the same bytes."""
    from xsdata.formats.dataclass.serializers import XmlSerializer

    text = XmlSerializer(context=_context()).render(document, ns_map={None: namespace})
    return f"{text}\n".encode()


@contextmanager
def reading(message: str) -> Iterator[None]:
    """Name the message in every refusal: a broken rule of a record inside it is a malformed document.

    So is whatever else its values make a reader do: an element that is empty has no value of its type.
    """
    try:
        yield
    except (MalformedDocument, InvalidInput) as error:
        raise MalformedDocument(f"{message}: {error.what}") from error
    except (AttributeError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise MalformedDocument(f"{message}: a value is missing or is none of its type") from error


def required(value: _T | None, path: str) -> _T:
    """The value of an element that the schema leaves optional and this exchange needs."""
    if value is None:
        raise MalformedDocument(f"{path} is missing")
    return value


def only(values: list[Any], path: str) -> Any:
    """The one element of a list that the schema lets repeat and this exchange does not."""
    if len(values) != 1:
        raise MalformedDocument(f"{path} stands {len(values)} times instead of once")
    return values[0]


def to_fen(amount: Any) -> int:
    """An amount element as fen; its form and currency were checked when the bytes were read."""
    return int(amount.value * 100)


def to_decimal(fen: int) -> Decimal:
    return Decimal(format_fen(fen))


def count(number: int) -> Decimal:
    """A sequence number as the schema's numeric type."""
    return Decimal(number)


def to_seconds(moment: "XmlDateTime") -> int:
    """Seconds since 1970 UTC; a time without offset is Hong Kong's, and fractions are dropped."""
    try:
        local = moment.to_datetime()
    except ValueError as error:
        raise MalformedDocument(f"{moment} is not a time") from error
    aware = local if local.tzinfo else local.replace(tzinfo=HONG_KONG)
    return int((aware - datetime.fromtimestamp(0, UTC)) // timedelta(seconds=1))


def to_moment(seconds: int) -> "XmlDateTime":
    from xsdata.models.datatype import XmlDateTime

    return XmlDateTime.from_datetime(datetime.fromtimestamp(seconds, UTC))


def to_date(seconds: int) -> "XmlDate":
    """The calendar day in Hong Kong at that second."""
    from xsdata.models.datatype import XmlDate

    return XmlDate.from_date(datetime.fromtimestamp(seconds, HONG_KONG))


def start_of_day(day: "XmlDate") -> int:
    """The first second, in Hong Kong, of a date given without a time."""
    return int(datetime(day.year, day.month, day.day, tzinfo=HONG_KONG).timestamp())


def collapse(text: str) -> str:
    """Runs of white space as one space, none at the ends."""
    return " ".join(text.split())


def printable(text: str, longest: int) -> str:
    """Any text as `check_text` wants it: one line, without control characters, cut at `longest` characters."""
    plain = "".join(" " if unicodedata.category(character)[0] == "C" else character for character in text)
    return collapse(collapse(plain)[:longest])


def pieces(text: str, length: int) -> list[str]:
    """The text cut for an element that repeats; joined again they are the text."""
    return [text[start : start + length] for start in range(0, len(text), length)]


def check_identifier(value: str, name: str) -> None:
    """A message or end-to-end id: 1 to 35 letters, digits and hyphens, so that it can also be a file's name."""
    if _IDENTIFIER.fullmatch(value) is None:
        raise InvalidInput(f"{name} {value[:40]!r} is not an identifier", "Use 1 to 35 letters, digits and hyphens.")


def check_account(value: str, name: str) -> None:
    """An account: 1 to 34 letters and digits."""
    if _ACCOUNT.fullmatch(value) is None:
        raise InvalidInput(f"{name} {value[:40]!r} is not an account number", "Use 1 to 34 letters and digits.")


def check_text(value: str, name: str, longest: int, shortest: int = 0) -> None:
    """Text in one line without control characters, white space collapsed, of a length in characters."""
    if not shortest <= len(value) <= longest:
        raise InvalidInput(f"{name} has {len(value)} characters", f"Write {shortest} to {longest} characters.")
    if value != collapse(value) or any(unicodedata.category(character)[0] == "C" for character in value):
        raise InvalidInput(f"{name} has control characters or stray white space", "Write one line of plain text.")


def check_reference(value: str, name: str) -> None:
    """The servicer's reference, or an end-to-end id that somebody else chose: any text of 1 to 35 characters."""
    check_text(value, name, longest=_REFERENCE_LENGTH, shortest=1)


def check_fen(value: int, name: str, smallest: int = 1) -> None:
    if not smallest <= value <= MAX_FEN:
        raise InvalidInput(
            f"{name} of {value} fen is out of range", f"Use {smallest} to {MAX_FEN} fen as a whole number."
        )


def check_time(value: int, name: str) -> None:
    if not 0 <= value <= _LAST_SECOND:
        raise InvalidInput(f"{name} {value} is not a time", "Use seconds since 1970-01-01 UTC.")


class _Scan:
    """One pass over the raw bytes for what is lost or too late once values are typed."""

    def __init__(self, namespace: str) -> None:
        self.root = f"{namespace} Document"
        self.depth = 0
        self.form: re.Pattern[str] | None = None
        self.text = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self.depth == 0 and name != self.root:
            raise MalformedDocument(f"the root is {name!r} instead of {self.root!r}")
        self.depth += 1
        self.text = ""
        self.form = _LEAVES.get(name.rpartition(" ")[2])
        if "Ccy" in attributes:
            self.form = _AMOUNT
            self._currency(attributes["Ccy"])

    def characters(self, text: str) -> None:
        if self.form is not None:
            self.text += text

    def end(self, name: str) -> None:
        self.depth -= 1
        local = name.rpartition(" ")[2]
        if self.form is not None and self.form.fullmatch(self.text) is None:
            raise MalformedDocument(f"{local} {self.text[:40]!r} is not a plain number of its form")
        self.form = None

    def encoding(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.upper() != "UTF-8":
            raise MalformedDocument(f"the document is encoded in {encoding[:20]!r} instead of UTF-8")

    def refuse_declaration(self, *_: Any) -> None:
        raise MalformedDocument(
            "the document carries a DTD, an entity or a processing instruction",
            "Send the message without declarations; none is ever resolved.",
        )

    def _currency(self, currency: str) -> None:
        if currency != CURRENCY:
            raise MalformedDocument(f"an amount is in {currency[:10]!r} instead of {CURRENCY}")


def _scan(document: bytes, namespace: str) -> None:
    scan = _Scan(namespace)
    parser = expat.ParserCreate(encoding="UTF-8", namespace_separator=" ")
    parser.buffer_text = True
    parser.XmlDeclHandler = scan.encoding
    parser.StartElementHandler = scan.start
    parser.EndElementHandler = scan.end
    parser.CharacterDataHandler = scan.characters
    parser.StartDoctypeDeclHandler = scan.refuse_declaration
    parser.ProcessingInstructionHandler = scan.refuse_declaration
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise MalformedDocument(f"the XML cannot be read: {error}") from error


@cache
def _context() -> "XmlContext":
    from xsdata.formats.dataclass.context import XmlContext

    return XmlContext()


def _reason(error: Exception) -> str:
    return collapse(re.sub(r"\{[^}]*\}", "", str(error)))
