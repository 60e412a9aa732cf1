"""How long one order takes on an idle service, beyond what others take."""

import statistics
import time
from collections.abc import Mapping
from decimal import Decimal

from sqlalchemy import func, select

from issuer.store.tables import intent, transaction
from tests.benchmarks import system
from tests.benchmarks.figures import Line, Measurement, Value, milliseconds
from tests.benchmarks.system import System

ORDERS = 11
REST = 4.0  # seconds of idling before each, so that the final block is a new one

TEXT = f"""
{ORDERS} orders on SQLite, each after {REST:.0f} seconds in which nothing happens but the service's own steps. The
issuer's step, the bank's and the auditor's are called in turn in one process, until the signed mint is stored and
broadcast; what is counted is the time of the issuer's steps that did something, that is, everything but the work of
bank and auditor, the second for which a batch waits for more orders, and the pauses of a daemon: binding the money,
forming the batch, the log and its files, the order to the bank and its notices, the request for a report and its
answers, and signing and sending report and mint, with all commits and every question to the node.
"""


def run() -> Mapping[str, Value]:
    with system.running("sqlite") as found:
        found.fill(processes=False)
        times = [_one(found, number) for number in range(ORDERS)]
    return {
        "order_latency_ms": milliseconds(statistics.median(times)),
        "order_latency_worst_ms": milliseconds(max(times)),
    }


def _one(found: System, number: int) -> float:
    """Seconds that the issuer's own steps take from an order's acceptance to its broadcast."""
    ends = time.monotonic() + REST
    while time.monotonic() < ends:
        found.step()
        found.step_bank()
        time.sleep(0.3)
    before = _mints(found)
    found.accept(number)
    spent = 0.0
    while _mints(found) == before:
        spent += found.timed_step()
        found.step_bank()
    return spent


def _mints(found: System) -> int:
    mints = select(func.count()).select_from(transaction).join(intent, intent.c.id == transaction.c.intent_id)
    with found.issuer.store.read() as connection:
        return connection.scalar(mints.where(intent.c.kind == "mint")) or 0


MEASUREMENT = Measurement(
    name="latency",
    title="One order on an idle service",
    text=TEXT,
    lines=(
        Line(name="order_latency_ms", what="accepted to broadcast, median", unit="ms", at_most=Decimal(100)),
        Line(name="order_latency_worst_ms", what=f"the slowest of {ORDERS}", unit="ms"),
    ),
    run=run,
)
