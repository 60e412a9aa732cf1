"""The books: balanced entries a second, with every account's balance kept."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from issuer.ledger import chart, journal
from issuer.ledger.journal import Entry
from issuer.store.unit import Store
from tests.benchmarks import engines
from tests.benchmarks.figures import Line, Measurement, Value, rate, ratio

BATCH = 1_000  # entries in one transaction
BATCHES = 40
SINGLES = 1_000
CUSTOMERS = 1_000
WRITERS = 2

TEXT = f"""
{BATCHES} transactions of {BATCH:,} entries, each entry two postings and each transaction committed to disk; every entry
moves money between two of {CUSTOMERS:,} customers' accounts. The accounts are opened and given money before, nothing
else is: the first transaction counts. "One hot account" is the same with one side of every entry on one account, in
the same run, by one writer and by {WRITERS} at once. "One at a time" is {SINGLES:,} of the same entries with a
transaction each. At the end everything is added up again from the postings.
"""

Make = Callable[[int], Entry]
"""The entry of a number."""


def run() -> Mapping[str, Value]:
    return _engine("sqlite") | _engine("postgresql")


def _engine(name: str) -> dict[str, Value]:
    with engines.store(name) as store:
        _open(store)
        spread = _posted(store, _spread, BATCHES)
        hot = _posted(store, _hot, BATCHES)
        both_spread = _together(store, _spread)
        both_hot = _together(store, _hot)
        single = _singly(store)
        with store.read() as connection:
            journal.verify(connection)
    entries = BATCH * BATCHES
    return {
        f"ledger_{name}_per_second": rate(entries, spread),
        f"ledger_{name}_ratio": ratio(entries / spread, SINGLES / single),
        f"ledger_{name}_hot_percent": ratio(100 * (hot - spread), hot),
        f"ledger_{name}_{WRITERS}_writers_per_second": rate(entries, both_spread),
        f"ledger_{name}_{WRITERS}_writers_hot_percent": ratio(100 * (both_hot - both_spread), both_hot),
    }


def _open(store: Store) -> None:
    names = [chart.customer(number) for number in range(CUSTOMERS)]
    with store.unit("open") as unit:
        for name in names:
            money = journal.transfer("in", "bench", debit=chart.COLLECTION, credit=name, units=10**9)
            journal.post(unit, money)


def _spread(number: int) -> Entry:
    debit, credit = chart.customer(number % CUSTOMERS), chart.customer((number * 7 + 1) % CUSTOMERS)
    return journal.transfer("moved", f"order:{number}", debit=debit, credit=credit, units=1)


def _hot(number: int) -> Entry:
    debit = chart.customer(number % CUSTOMERS)
    return journal.transfer("moved", f"order:{number}", debit=debit, credit=chart.IN_FLIGHT, units=1)


def _posted(store: Store, make: Make, batches: int) -> float:
    """Seconds for so many transactions."""
    began = time.perf_counter()
    for batch in range(batches):
        with store.unit("post") as unit:
            journal.post(unit, *(make(batch * BATCH + number) for number in range(BATCH)))
    return time.perf_counter() - began


def _together(store: Store, make: Make) -> float:
    """Seconds for the same by several writers, each with a connection of its own."""
    stores = [Store(store.url, store._clock) for _ in range(WRITERS)]
    writers = [threading.Thread(target=_posted, args=(own, make, BATCHES // WRITERS)) for own in stores]
    began = time.perf_counter()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    took = time.perf_counter() - began
    for own in stores:
        own.close()
    return took


def _singly(store: Store) -> float:
    began = time.perf_counter()
    for number in range(SINGLES):
        with store.unit("post") as unit:
            journal.post(unit, _spread(number))
    return time.perf_counter() - began


def _lines(name: str, title: str, at_least: int, times: int | None) -> Iterator[Line]:
    unit = "entries/s"
    yield Line(
        name=f"ledger_{name}_per_second",
        what=f"{title}, transactions of {BATCH:,}",
        unit=unit,
        at_least=Decimal(at_least),
    )
    yield Line(
        name=f"ledger_{name}_ratio",
        what=f"{title}, over one at a time",
        unit="times",
        at_least=None if times is None else Decimal(times),
    )
    yield Line(
        name=f"ledger_{name}_hot_percent", what=f"{title}, lost to one hot account", unit="%", at_most=Decimal(20)
    )
    yield Line(name=f"ledger_{name}_{WRITERS}_writers_per_second", what=f"{title}, {WRITERS} writers", unit=unit)
    yield Line(
        name=f"ledger_{name}_{WRITERS}_writers_hot_percent",
        what=f"{title}, {WRITERS} writers, lost to one hot account",
        unit="%",
        at_most=Decimal(20),
    )


MEASUREMENT = Measurement(
    name="ledger",
    title="Ledger",
    text=TEXT,
    lines=(*_lines("postgresql", "PostgreSQL", 15_000, 15), *_lines("sqlite", "SQLite", 40_000, None)),
    run=run,
)
