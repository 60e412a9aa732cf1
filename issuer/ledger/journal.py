"""The double-entry journal: immutable balanced entries, and the balances they add up to.

An entry's postings sum to zero (debits positive, credits negative). No account goes below zero on its normal side, or
above MAX_UNITS: the database itself refuses it. Entries are posted in sets; each account's balance is written once per
set, in the order of account ids, so that two writers never wait for each other in a circle.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, or_, select
from sqlalchemy.exc import DataError, IntegrityError

from issuer.errors import BrokenInvariant, Refused
from issuer.ledger import chart
from issuer.money import MAX_UNITS, format_units
from issuer.store import sets
from issuer.store.inserts import insert_new
from issuer.store.tables import account, entry, posting
from issuer.store.unit import Unit

_NAMED = select(account.c.name, account.c.balance).where(account.c.book == bindparam("book"))
_BALANCE = select(account.c.balance).where(account.c.book == bindparam("book"), account.c.name == bindparam("name"))
_ASTRAY = (
    select(posting.c.entry_id)
    .outerjoin(entry, entry.c.id == posting.c.entry_id)
    .outerjoin(account, account.c.id == posting.c.account_id)
    .where(or_(entry.c.id.is_(None), account.c.id.is_(None)))
    .limit(1)
)
_ACCOUNTS = select(account.c.name, account.c.id).where(account.c.book == bindparam("book"))


class Unbalanced(BrokenInvariant):
    code = "unbalanced-entry"


class Overdrawn(Refused):
    code = "overdrawn"
    remedy = "Look at the balances with `issuer ledger balances`."


@dataclass(frozen=True, kw_only=True)
class Entry:
    description: str
    subject: str  # what it is about, such as ``order:12``
    amounts: tuple[tuple[str, int], ...]  # (account name, units; debit positive)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One posting as the journal shows it."""

    entry_id: int
    at: int
    description: str
    subject: str
    account: str
    amount: int  # units; debit positive


def transfer(description: str, subject: str, *, debit: str, credit: str, units: int) -> Entry:
    """The entry of two postings that most acts need."""
    return Entry(description=description, subject=subject, amounts=((debit, units), (credit, -units)))


def post(unit: Unit, *entries: Entry, book: str = chart.BOOK) -> None:
    """Post entries in order. Raises Unbalanced, or Overdrawn if an account would leave its range."""
    for item in entries:
        _check(item)
    amounts = [posting_ for item in entries for posting_ in item.amounts]
    accounts = _accounts(unit, book, sorted({name for name, _ in amounts}))
    ids = sets.numbers(unit, entry, len(entries))
    _insert_entries(unit, book, ids, entries)
    _insert_postings(unit, ids, entries, accounts)
    _add(unit, _changes(amounts, accounts), version=ids[-1])


def balance(connection: Connection, name: str, book: str = chart.BOOK) -> int:
    """An account's balance in units, on its normal side; zero if nothing was ever posted to it."""
    return connection.execute(_BALANCE, {"book": book, "name": name}).scalar() or 0


def balances_of(connection: Connection, names: Sequence[str], book: str = chart.BOOK) -> dict[str, int]:
    """The balances of some accounts in units; zero of one to which nothing was ever posted."""
    statement = sets.among(connection, _NAMED, account.c.name)
    found = connection.execute(statement, {"book": book, "among": sorted(names)})
    return dict.fromkeys(names, 0) | {row.name: row.balance for row in found}


def room(connection: Connection, book: str = chart.BOOK) -> int:
    """What every account can still take, in units: none holds more than all assets do together."""
    return MAX_UNITS - sum(balances_of(connection, chart.ASSETS, book).values())


def balances(connection: Connection, book: str = chart.BOOK) -> dict[str, int]:
    """Every account's balance in units, by name."""
    statement = select(account.c.name, account.c.balance).where(account.c.book == book).order_by(account.c.name)
    return {name: value for name, value in connection.execute(statement)}


def balances_at(connection: Connection, entry_id: int, book: str = chart.BOOK) -> dict[str, int]:
    """The balances as they stood after one entry, recomputed from the postings."""
    statement = (
        select(account.c.name, func.coalesce(func.sum(posting.c.amount), 0))
        .join(posting, posting.c.account_id == account.c.id)
        .where(account.c.book == book, posting.c.entry_id <= entry_id)
        .group_by(account.c.name)
    )
    return {name: chart.normal(name) * int(total) for name, total in connection.execute(statement)}


def journal(connection: Connection, *, subject: str | None = None, limit: int = 100) -> list[Line]:
    """The last postings, oldest first."""
    columns = (entry.c.id, entry.c.at, entry.c.description, entry.c.subject, account.c.name, posting.c.amount)
    statement = (
        select(*columns)
        .join(posting, posting.c.entry_id == entry.c.id)
        .join(account, account.c.id == posting.c.account_id)
        .order_by(entry.c.id.desc(), posting.c.position.desc())
        .limit(limit)
    )
    if subject is not None:
        statement = statement.where(entry.c.subject == subject)
    names = ("entry_id", "at", "description", "subject", "account", "amount")
    return [Line(**dict(zip(names, row, strict=True))) for row in reversed(connection.execute(statement).all())]


def moves(connection: Connection, name: str, book: str = chart.BOOK) -> list[tuple[str, int]]:
    """What was ever posted to an account, oldest first: the subject, and the units on the account's normal side."""
    statement = (
        select(entry.c.subject, posting.c.amount)
        .join(posting, posting.c.entry_id == entry.c.id)
        .join(account, account.c.id == posting.c.account_id)
        .where(account.c.book == book, account.c.name == name)
        .order_by(entry.c.id, posting.c.position)
    )
    return [(subject, chart.normal(name) * amount) for subject, amount in connection.execute(statement)]


def verify(connection: Connection, book: str = chart.BOOK) -> None:
    """Add everything up again. Raises BrokenInvariant at the first entry or account that does not agree."""
    astray = connection.execute(_ASTRAY).scalar()
    if astray is not None:
        raise BrokenInvariant(f"a posting of entry {astray} has no entry, or no account")
    sums = select(posting.c.entry_id).group_by(posting.c.entry_id).having(func.sum(posting.c.amount) != 0).limit(1)
    unbalanced = connection.execute(sums).scalar()
    if unbalanced is not None:
        raise BrokenInvariant(f"entry {unbalanced} does not balance")
    last = connection.execute(select(func.max(entry.c.id))).scalar() or 0
    counted = balances_at(connection, last, book)
    for name, kept in balances(connection, book).items():
        told = counted.get(name, 0)
        if told != kept:
            raise BrokenInvariant(f"account {name} holds {format_units(kept)}, its postings say {format_units(told)}")


def _check(item: Entry) -> None:
    if not item.amounts or sum(amount for _, amount in item.amounts) != 0:
        raise Unbalanced(f"the entry {item.description!r} about {item.subject} does not balance")


def _accounts(unit: Unit, book: str, names: Sequence[str]) -> dict[str, int]:
    """The ids of accounts by name, opening those that are new."""
    found = _known(unit.connection, book, names)
    missing = [name for name in names if name not in found]
    if missing:
        fresh = [{"book": book, "name": name, "kind": chart.kind(name), "balance": 0, "version": 0} for name in missing]
        unit.connection.execute(insert_new(unit.connection, account), fresh)
        found |= _known(unit.connection, book, missing)
    return found


def _known(connection: Connection, book: str, names: Sequence[str]) -> dict[str, int]:
    named = sets.among(connection, _ACCOUNTS, account.c.name)
    return {name: id_ for name, id_ in connection.execute(named, {"book": book, "among": list(names)})}


def _insert_entries(unit: Unit, book: str, ids: Sequence[int], entries: Sequence[Entry]) -> None:
    columns = {
        "id": ids,
        "description": [item.description for item in entries],
        "subject": [item.subject for item in entries],
    }
    sets.insert(unit, entry, columns, book=book, at=unit.now)


def _insert_postings(unit: Unit, ids: Sequence[int], entries: Sequence[Entry], accounts: Mapping[str, int]) -> None:
    columns = {
        "entry_id": [id_ for id_, item in zip(ids, entries, strict=True) for _ in item.amounts],
        "position": [position for item in entries for position in range(len(item.amounts))],
        "account_id": [accounts[name] for item in entries for name, _ in item.amounts],
        "amount": [amount for item in entries for _, amount in item.amounts],
    }
    sets.insert(unit, posting, columns)


def _changes(amounts: Iterable[tuple[str, int]], accounts: Mapping[str, int]) -> dict[int, int]:
    """What each account changes by, on its normal side."""
    changes: defaultdict[str, int] = defaultdict(int)
    for name, amount in amounts:
        changes[name] += amount
    return {accounts[name]: chart.normal(name) * change for name, change in changes.items()}


def _add(unit: Unit, changes: Mapping[int, int], version: int) -> None:
    try:
        sets.add(unit, account, changes, version=version)
    except (DataError, IntegrityError) as error:
        what = "an account would fall below zero, or rise above what a book can hold, so nothing was posted"
        raise Overdrawn(what) from error
