"""The books as plain text for other programs, so that somebody else's software adds them up.

Two forms: beancount (version 3) and hledger. Debits are positive in both; every entry keeps its number, its moment and
what it is about; and the file ends by asserting every balance, so that reading it is checking it. Dates are UTC.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

from sqlalchemy import Connection

from issuer.clock import utc
from issuer.ledger import chart, journal
from issuer.ledger.chart import Kind
from issuer.ledger.journal import Line
from issuer.money import format_units

_ALL = 2**62
_ROOTS = {Kind.ASSET: "Assets", Kind.LIABILITY: "Liabilities", Kind.EQUITY: "Equity"}


def beancount(connection: Connection) -> Iterator[str]:
    """The whole journal in beancount's form, line by line."""
    lines = journal.journal(connection, limit=_ALL)
    yield from (
        'option "title" "Offshore Yuan Sandbox: NOT LICENSED"',
        f'option "operating_currency" "{chart.BOOK}"',
        "",
    )
    for name in _names(lines):
        yield f"{_day(min(line.at for line in lines))} open {_beancount_name(name)} {chart.BOOK}"
    for first, group in _entries(lines):
        yield from ("", f'{_day(first.at)} * "{first.description}"')
        yield from (f"  entry: {first.entry_id}", f'  at: "{utc(first.at)}"', f"  subject: {_quoted(first.subject)}")
        yield from (f"  {_beancount_name(line.account)}  {format_units(line.amount)} {chart.BOOK}" for line in group)
    yield ""
    for name, units in _closing(connection, lines):
        yield f"{_after(lines)} balance {_beancount_name(name)}  {format_units(units)} {chart.BOOK}"


def hledger(connection: Connection) -> Iterator[str]:
    """The whole journal in hledger's form, line by line."""
    lines = journal.journal(connection, limit=_ALL)
    yield from ("; Offshore Yuan Sandbox: NOT LICENSED", f"commodity 1000.000000 {chart.BOOK}", "")
    for name in _names(lines):
        yield f"account {_hledger_name(name)}"
    for first, group in _entries(lines):
        yield from ("", f"{_day(first.at)} * ({first.entry_id}) {first.description}")
        yield f"    ; at: {utc(first.at)}, subject: {first.subject}"
        yield from (f"    {_hledger_name(line.account)}  {format_units(line.amount)} {chart.BOOK}" for line in group)
    if lines:
        yield from ("", f"{_after(lines)} * every balance")
    for name, units in _closing(connection, lines):
        yield f"    {_hledger_name(name)}  0 {chart.BOOK} = {format_units(units)} {chart.BOOK}"


def _names(lines: Iterable[Line]) -> list[str]:
    return sorted({line.account for line in lines})


def _entries(lines: Sequence[Line]) -> Iterator[tuple[Line, list[Line]]]:
    """Each entry's first line, and all of its lines."""
    for _, group in groupby(lines, key=lambda line: line.entry_id):
        found = list(group)
        yield found[0], found


def _closing(connection: Connection, lines: Iterable[Line]) -> Iterator[tuple[str, int]]:
    """What the books say of every account, debit positive; the postings must give the same when they are added up."""
    balances: Mapping[str, int] = journal.balances(connection)
    for name in _names(lines):
        yield name, chart.normal(name) * balances[name]


def _day(at: int) -> date:
    return datetime.fromtimestamp(at, UTC).date()


def _after(lines: Sequence[Line]) -> date:
    """A balance is asserted at the beginning of a day: the one after the last entry's, whatever the clock did."""
    return _day(max(line.at for line in lines)) + timedelta(days=1)


def _quoted(text: str) -> str:
    """A bank's reference may hold any character."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _beancount_name(name: str) -> str:
    """``bank:reserve`` as ``Assets:Bank:Reserve``: every part begins with a capital letter or a digit."""
    parts = (part[:1].upper() + part[1:] for part in name.split(":"))
    return ":".join((_ROOTS[chart.kind(name)], *parts))


def _hledger_name(name: str) -> str:
    return f"{_ROOTS[chart.kind(name)].lower()}:{name}"
