"""How long one order takes on an idle service, beyond what others take."""

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal

from sqlalchemy import func, select

from issuer import crash
from issuer.store.tables import intent, transaction
from tests.benchmarks import system
from tests.benchmarks.figures import Line, Measurement, Value, milliseconds
from tests.benchmarks.system import System

ORDERS = 11
REST = 4.0  # seconds of idling before each, so that the final block is a new one

RESERVED = "after commit reserve orders"  # the moment from which an order waits for others to be minted with

TEXT = f"""
{ORDERS} orders on SQLite, each after {REST:.0f} seconds in which nothing happens but the service's own steps. The
issuer's step, the bank's and the auditor's are called in turn in one process, until the signed mint is stored and
broadcast. The work is the time of all of the issuer's steps that did something, that is, everything but the work of
bank and auditor and the pauses of a daemon: binding the money, forming the batch, the log and its files, the order to
the bank and its notices, the request for a report and its answers, and signing and sending report and mint, with all
commits and every question to the node. What it adds to the batch's wait leaves out the rest of the step in which the
order's money was bound: its log is published while the order waits for others.
"""


def run() -> Mapping[str, Value]:
    with system.running("sqlite") as found:
        found.fill(processes=False)
        times = [_one(found, number) for number in range(ORDERS)]
    added = [work - within for work, within in times]
    return {
        "order_latency_ms": milliseconds(statistics.median(added)),
        "order_latency_worst_ms": milliseconds(max(added)),
        "order_work_ms": milliseconds(statistics.median(work for work, _ in times)),
    }


def _one(found: System, number: int) -> tuple[float, float]:
    """Seconds that the issuer's own steps take from an order's acceptance to its broadcast, and of them those that
    lie within the batch's wait.
    """
    ends = time.monotonic() + REST
    while time.monotonic() < ends:
        found.step()
        found.step_bank()
        time.sleep(0.3)
    before = _mints(found)
    found.accept(number)
    work, within = 0.0, 0.0
    while _mints(found) == before:
        with _watching(RESERVED) as passed:
            work += found.timed_step()
        within += sum(time.perf_counter() - moment for moment in passed)
        found.step_bank()
    return work, within


@contextmanager
def _watching(point: str) -> Iterator[list[float]]:
    """When a point of the program is passed."""
    passed: list[float] = []
    crash.observe(lambda name: passed.append(time.perf_counter()) if name == point else None)
    try:
        yield passed
    finally:
        crash.observe(None)


def _mints(found: System) -> int:
    mints = select(func.count()).select_from(transaction).join(intent, intent.c.id == transaction.c.intent_id)
    with found.issuer.store.read() as connection:
        return connection.scalar(mints.where(intent.c.kind == "mint")) or 0


MEASUREMENT = Measurement(
    name="latency",
    title="One order on an idle service",
    text=TEXT,
    lines=(
        Line(name="order_latency_ms", what="added to the batch's wait, median", unit="ms", at_most=Decimal(100)),
        Line(name="order_latency_worst_ms", what=f"the slowest of {ORDERS}", unit="ms"),
        Line(name="order_work_ms", what="all work for an order, median", unit="ms"),
    ),
    run=run,
)
