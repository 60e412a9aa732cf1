"""Reconciliation: chain, books and bank statements, compared to the unit (R-18).

chain        what every holder has and what is outstanding, at the final block that the books stand at
holdings     the same, as the final transfers add it up
books        tokens:outstanding, bank:collection, bank:reserve
statements   the bank's own closing balance of both accounts
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from issuer.clock import utc
from issuer.errors import Conflict
from issuer.ledger import chart, journal
from issuer.money import fen_to_units
from issuer.store import facts
from issuer.store.states import Door, FactState
from issuer.store.tables import cursor, fact, holding, redemption, statement

_APPLIED = select(fact.c.key, fact.c.payload).where(
    fact.c.door == Door.BANK, fact.c.kind == bindparam("kind"), fact.c.state == FactState.APPLIED
)


@dataclass(frozen=True, kw_only=True)
class Chain:
    """What the chain says at one block, in units."""

    supply: int
    redeemed: int
    balances: Mapping[str, int]  # of every holder that the books know


@dataclass(frozen=True, kw_only=True)
class Closing:
    """A statement's closing balance beside the books as they stood at it, in units."""

    account: str  # of the chart
    sequence: int
    until: int  # the end of its period, in seconds since 1970 UTC
    closing: int
    books: int


@dataclass(frozen=True, kw_only=True)
class Books:
    """What the books say at the final block they stand at, in units."""

    block: int
    outstanding: int
    redeemed: int
    holdings: Mapping[str, int]
    closings: tuple[Closing, ...]  # of the latest statements; none before the first


@dataclass(frozen=True, kw_only=True)
class Line:
    """One comparison: what one side says and what the other does, in units."""

    what: str
    expected: int
    found: int

    @property
    def difference(self) -> int:
        return self.found - self.expected


def compare(books: Books, chain: Chain) -> list[Line]:
    """Every comparison, equal or not."""
    return [
        Line(what="chain supply, books tokens:outstanding", expected=chain.supply, found=books.outstanding),
        Line(what="chain supply, sum of holdings", expected=chain.supply, found=sum(books.holdings.values())),
        Line(what="chain redeemed, books redemptions", expected=chain.redeemed, found=books.redeemed),
        *(
            Line(what=f"chain balance, holding {address}", expected=chain.balances.get(address, 0), found=units)
            for address, units in sorted(books.holdings.items())
        ),
        *(
            Line(
                what=f"statement {item.sequence} until {utc(item.until)}, books {item.account}",
                expected=item.closing,
                found=item.books,
            )
            for item in books.closings
        ),
    ]


def read(connection: Connection, accounts: Mapping[str, str]) -> Books:
    """The books' side; `accounts` maps each bank account to its account in the chart.

    Raises Conflict while facts wait that the books do not hold yet.
    """
    if facts.new(connection, limit=1):
        raise Conflict("facts have come in that are not in the books yet", "Run `issuer step`, then try again.")
    holdings = {row.address: row.balance for row in connection.execute(select(holding))}
    return Books(
        block=connection.execute(select(cursor.c.number)).scalar() or 0,
        outstanding=journal.balance(connection, chart.OUTSTANDING),
        redeemed=connection.execute(select(func.max(redemption.c.id))).scalar() or 0,
        holdings=holdings,
        closings=tuple(_closings(connection, accounts)),
    )


def _closings(connection: Connection, accounts: Mapping[str, str]) -> Iterable[Closing]:
    for bank_account, name in sorted(accounts.items()):
        query = select(statement).where(statement.c.account == bank_account).order_by(statement.c.sequence.desc())
        last = connection.execute(query.limit(1)).one_or_none()
        if last is not None:
            later = _not_stated(connection, bank_account)
            yield Closing(
                account=name,
                sequence=last.sequence,
                until=last.until,
                closing=fen_to_units(last.closing_fen),
                books=_net(connection, name) - fen_to_units(later),
            )


def _net(connection: Connection, name: str) -> int:
    """What the books have on a bank account, less its overdraft."""
    return journal.balance(connection, name) - journal.balance(connection, chart.overdraft(name))


def _not_stated(connection: Connection, bank_account: str) -> int:
    """The sum, in fen, of the bank's entries on an account that no statement lists yet.

    By the statements' own lists, because a notice of a later entry may well be read before the statement.
    """
    stated = set[str]()
    for told in _told(connection, "statement", bank_account):
        stated.update(told.payload["entries"])
    return sum(
        told.payload["amount_fen"] * (1 if told.payload["direction"] == "credit" else -1)
        for told in _told(connection, "entry", bank_account)
        if told.key not in stated
    )


def _told(connection: Connection, kind: str, bank_account: str) -> Sequence[Any]:
    rows = connection.execute(_APPLIED, {"kind": kind}).all()
    return [row for row in rows if row.payload["account"] == bank_account]
