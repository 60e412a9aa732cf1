"""As work grows: what an order costs when there have been a million before it."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from issuer import audit
from issuer.ledger import chart, journal
from issuer.ledger.journal import Entry
from issuer.money import format_units
from issuer.store import sets
from issuer.store.states import BatchState, OrderState
from issuer.store.tables import batch, mint_order
from issuer.store.unit import Unit
from tests.benchmarks import system
from tests.benchmarks.figures import Line, Measurement, Value, milliseconds, ratio
from tests.benchmarks.system import System

SIZES = (10**3, 10**4, 10**5, 10**6)
ORDERS = 2_000  # measured at each size
_BATCH = 500
_SET = 5_000  # seeded in one unit of work

TEXT = f"""
One system on SQLite whose store is filled up to each size with final orders, by the same functions that real ones go
through: each has its row, its record in the published log, and its entries and postings in the books; their tokens
are redeemed again. At each size {ORDERS:,} orders are accepted and go through to final; the time is that of the
issuer's own steps that did something, called in one process, without bank and auditor, which are called between them.
The ratio is that of the slowest size to the fastest. At the end the books are added up again from all postings, and
the daemon mints {ORDERS:,} more at the largest size: its memory is the most that the kernel has seen.
"""


def run() -> Mapping[str, Value]:
    with system.running("sqlite") as found:
        found.fill(processes=False)
        times = []
        for size in SIZES:
            _seed(found, size)
            times.append(_spent(found))
        with found.issuer.store.read() as connection:
            journal.verify(connection)
        memory = _memory(found)
    names = [f"growth_{size}_order_ms" for size in SIZES]
    shown = {name: milliseconds(spent / ORDERS) for name, spent in zip(names, times, strict=True)}
    return shown | {"growth_ratio": ratio(max(times), min(times)), "daemon_megabytes": memory}


def _spent(found: System) -> float:
    """Seconds in the issuer's own steps until new orders are final."""
    before = _final(found)
    found.accept_all(ORDERS)
    spent = 0.0
    while _final(found) < before + ORDERS:
        spent += found.timed_step()
        found.step_bank()
    return spent


def _final(found: System) -> int:
    """How many batches' orders are final; counted by batches, because counting orders takes long here."""
    statement = select(func.coalesce(func.sum(batch.c.count), 0)).where(batch.c.state == BatchState.FINAL)
    with found.issuer.store.read() as connection:
        return int(connection.scalar(statement) or 0)


def _memory(found: System) -> int:
    """The daemon's largest resident size in MB, after it has minted."""
    before = _final(found)
    found.start("mockbank", "run")
    found.start("mockbank", "auditor", "run")
    daemon = found.start_daemon()
    found.accept_all(ORDERS)
    found.until(lambda: _final(found) == before + ORDERS)
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return round(int(kilobytes) * 1024 / 10**6)


# -- orders of the past


def _seed(found: System, size: int) -> None:
    """Fill the store up to so many final orders."""
    known = _final(found)
    while known < size:
        count = min(_SET, size - known)
        with found.issuer.store.unit("seed") as unit:
            _seed_set(unit, known, count)
        known += count
    found.issuer.integrator.run()


def _seed_set(unit: Unit, start: int, count: int) -> None:
    for place in range(0, count, _BATCH):
        _seed_batch(unit, start + place, min(_BATCH, count - place))


def _seed_batch(unit: Unit, start: int, count: int) -> None:
    """One final batch of one customer; its numbers are far from those that this chain gives."""
    (batch_id,) = sets.numbers(unit, batch, 1)
    ids = sets.numbers(unit, mint_order, count)
    names = [f"0x{id_:064x}" for id_ in ids]
    reference, customer_id = f"0x{2**200 + start:064x}", batch_id % system.CUSTOMERS + 1
    row: dict[str, list[Any]] = {"id": [batch_id], "reference": [reference], "first": [10**9 + start], "count": [count]}
    ended = {"state": BatchState.FINAL, "not_before": 0, "refusals": 0}
    sets.insert(unit, batch, row, value=count * system.VALUE, **ended, at=unit.now)
    columns: dict[str, list[Any]] = {
        "id": ids,
        "commitment": names,
        "wallet": [system.address(id_ % system.WALLETS) for id_ in ids],
        "position": list(range(count)),
    }
    same = {"batch_id": batch_id, "customer_id": customer_id, "value": system.VALUE, "state": OrderState.FINAL}
    sets.insert(unit, mint_order, columns, **same, requested_by="operator:bench", at=unit.now)
    told = {"value": format_units(system.VALUE)}
    audit.append_all(unit, "mint.reserved", {f"order:{name}": told for name in names})
    journal.post(unit, *_life(customer_id, names, f"batch:{reference}"))


def _life(customer_id: int, names: Sequence[str], subject: str) -> Iterator[Entry]:
    """Each order's money is bound; together they are minted, and redeemed again to their customer."""
    owner, total = chart.customer(customer_id), len(names) * system.VALUE
    for name in names:
        yield journal.transfer("reserved", f"order:{name}", debit=owner, credit=chart.IN_FLIGHT, units=system.VALUE)
    yield journal.transfer("minted", subject, debit=chart.IN_FLIGHT, credit=chart.OUTSTANDING, units=total)
    yield journal.transfer("redeemed", subject, debit=chart.OUTSTANDING, credit=owner, units=total)


MEASUREMENT = Measurement(
    name="growth",
    title="As work grows",
    text=TEXT,
    lines=(
        *(
            Line(name=f"growth_{size}_order_ms", what=f"an order's time with {size:,} in the store", unit="ms")
            for size in SIZES
        ),
        Line(name="growth_ratio", what="the slowest over the fastest", unit="times", at_most=Decimal("1.5")),
        Line(
            name="daemon_megabytes",
            what=f"the daemon's memory with {SIZES[-1]:,} orders",
            unit="MB",
            at_most=Decimal(300),
        ),
    ),
    run=run,
)
