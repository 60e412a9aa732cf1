"""Trace: everything that the log, the books and the doors know of one order or redemption, in the order it happened.

The trail of a mint order begins with the deposits that its money came from, first in, first out, and leads over its
batches, with their payments at the bank, and the report that covered it; that of a redemption is its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from issuer.audit import trail
from issuer.audit.trail import Entry
from issuer.errors import InvalidInput, NotFound
from issuer.ledger import chart, journal
from issuer.money import format_units
from issuer.store.tables import attempt, audit_record, batch, document, intent, mint_order, redemption, transaction

_LARGEST = 2**63 - 1
"""What a column holds: nothing has this number, nor a larger one."""

_LINES = 10_000
"""Postings of one subject that are looked at: it has a handful."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened."""

    at: int
    source: str  # log | books | bank | chain
    subject: str
    what: str
    actor: str | None  # of a record
    place: int | None  # of a record, in the log; None also while it has none
    details: dict[str, Any]


def subjects(connection: Connection, name: str) -> list[str]:
    """What the log and the books call everything that belongs to ``order:N``, ``redemption:N`` or a bare number.

    Raises NotFound, or InvalidInput for a name of another form, or a number that both an order and a redemption have.
    """
    kind, _, number = name.rpartition(":")
    if kind not in ("", "order", "redemption") or not number.isascii() or not number.isdigit():
        raise InvalidInput(f"{name!r} names nothing that can be traced", "Give order:N or redemption:N.")
    digits = number.lstrip("0") or "0"
    named = min(int(digits), _LARGEST) if len(digits) <= len(str(_LARGEST)) else _LARGEST
    order = _order(connection, named) if kind != "redemption" else None
    burned = _redemption(connection, named) if kind != "order" else None
    if order is not None and burned is not None:
        raise InvalidInput(f"{number} is an order and a redemption", f"Give order:{number} or redemption:{number}.")
    if order is not None:
        return _of_order(connection, order)
    if burned is not None:
        return [f"redemption:{burned.id}"]
    lists = {"order": "`issuer mint list`", "redemption": "`issuer redemption list`"}
    see = lists.get(kind, " and ".join(lists.values()))
    raise NotFound(f"there is no {kind or 'order or redemption'} {number}", f"See {see}.")


def trace(connection: Connection, found: Sequence[str]) -> list[Event]:
    """All events about these subjects, in the order they happened."""
    events = [
        *(_recorded(entry) for entry in trail.trace(connection, found)),
        *_posted(connection, found),
        *_ordered(connection, found),
        *_sent(connection, found),
    ]
    return sorted(events, key=lambda event: event.at)


def sources(moves: Iterable[tuple[str, int]], order: str) -> list[str]:
    """The subjects that an order's money came from, given all moves of its customer's account, oldest first.

    First in, first out; but what goes back to where it came from is that deposit's own money.
    """
    held: list[tuple[str, int]] = []
    for subject, units in moves:
        if units > 0:
            held.append((subject, units))
            continue
        taken, held = _spend(held, -units, first=subject)
        if subject == order:
            return list(dict.fromkeys(taken))
    return []


def _spend(held: Sequence[tuple[str, int]], units: int, *, first: str) -> tuple[list[str], list[tuple[str, int]]]:
    """Whose money is used for a sum, and what is left."""
    taken, left = [], dict(enumerate(held))
    for place in sorted(left, key=lambda place: held[place][0] != first):
        subject, there = held[place]
        used = min(there, units)
        if used:
            taken.append(subject)
            units -= used
            left[place] = (subject, there - used)
    return taken, [item for item in left.values() if item[1]]


def _order(connection: Connection, number: int) -> Row[Any] | None:
    return connection.execute(select(mint_order).where(mint_order.c.id == number)).one_or_none()


def _redemption(connection: Connection, number: int) -> Row[Any] | None:
    return connection.execute(select(redemption).where(redemption.c.id == number)).one_or_none()


def _of_order(connection: Connection, order: Row[Any]) -> list[str]:
    reference = connection.scalar(select(batch.c.reference).where(batch.c.id == order.batch_id))
    batches = [] if reference is None else [f"batch:{found}" for found in _formerly(connection, reference)]
    own = f"order:{order.commitment}"
    money = sources(journal.moves(connection, chart.customer(order.customer_id)), own)
    return [*money, own, *batches, *_covering(connection, batches)]


def _formerly(connection: Connection, reference: str) -> list[str]:
    """A batch's reference and those that it had before orders were taken out of it."""
    for entry in trail.trace(connection, [f"batch:{reference}"]):
        before = entry.record.before or {}
        if entry.record.action == "mint.batched" and "reference" in before:
            return [reference, *_formerly(connection, before["reference"])]
    return [reference]


def _covering(connection: Connection, batches: Sequence[str]) -> list[str]:
    """The report that stood when a batch's mint was released: the last one attested or posted before."""
    released = [entry.id for entry in trail.trace(connection, batches) if entry.record.action == "mint.released"]
    if not released:
        return []
    asked = audit_record.c.subject.startswith("report:"), audit_record.c.id < min(released)
    numbers = select(audit_record.c.subject).where(*asked).group_by(audit_record.c.subject)
    latest_first = numbers.order_by(func.length(audit_record.c.subject).desc(), audit_record.c.subject.desc())
    for subject in connection.scalars(latest_first).all():
        records = [entry for entry in trail.trace(connection, [subject]) if entry.id < min(released)]
        if any(entry.record.action in ("report.attested", "report.final") for entry in records):
            return [subject]
    return []


def _posted(connection: Connection, found: Sequence[str]) -> Iterable[Event]:
    for subject in found:
        for line in journal.journal(connection, subject=subject, limit=_LINES):
            side, amount = ("debit", line.amount) if line.amount > 0 else ("credit", -line.amount)
            details = {"entry": line.entry_id, side: line.account, "amount": format_units(amount)}
            yield _event(line.at, "books", subject, line.description, details)


def _sent(connection: Connection, found: Sequence[str]) -> Iterable[Event]:
    statement = (
        select(intent.c.subject, intent.c.kind, transaction.c.outcome, transaction.c.mined_block, attempt)
        .join(transaction, transaction.c.intent_id == intent.c.id)
        .join(attempt, attempt.c.transaction_id == transaction.c.id)
        .where(intent.c.subject.in_(found))
        .order_by(attempt.c.at)
    )
    for row in connection.execute(statement):
        details = {"transaction": row.hash, "block": row.mined_block, "outcome": row.outcome}
        told = {name: value for name, value in details.items() if value is not None}
        yield _event(row.at, "chain", row.subject, f"{row.kind} signed", told)


def _ordered(connection: Connection, found: Sequence[str]) -> Iterable[Event]:
    statement = (
        select(intent.c.subject, intent.c.at, document.c.folder, document.c.name)
        .join(document, document.c.intent_id == intent.c.id)
        .where(intent.c.subject.in_(found))
    )
    for row in connection.execute(statement):
        yield _event(row.at, "bank", row.subject, "document written", {"file": f"{row.folder}/{row.name}"})


def _event(at: int, source: str, subject: str, what: str, details: dict[str, Any]) -> Event:
    return Event(at=at, source=source, subject=subject, what=what, actor=None, place=None, details=details)


def _recorded(entry: Entry) -> Event:
    record = entry.record
    parts = {"before": record.before, "after": record.after, "evidence": list(record.evidence)}
    return Event(
        at=record.at,
        source="log",
        subject=record.subject,
        what=record.action,
        actor=record.actor,
        place=entry.place,
        details={name: part for name, part in parts.items() if part},
    )
