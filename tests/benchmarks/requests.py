"""Requests that come one by one, at a fixed pace, while everything runs."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from sqlalchemy import select

from issuer.store.states import BatchState, OrderState
from issuer.store.tables import batch, intent, mint_order, transaction
from tests.benchmarks import system
from tests.benchmarks.figures import Line, Measurement, Value, milliseconds, rate
from tests.benchmarks.system import System

PACE = 200  # a second
REQUESTS = 4_000
CALLERS = 4
_LOOK = 0.02  # seconds between two looks at the database

TEXT = f"""
On PostgreSQL, with daemon, bank, auditor and Anvil running on the same cores, {REQUESTS:,} orders are asked for at
{PACE} a second, each by its own idempotent request and in its own transaction, by {CALLERS} callers. A request has its
moment from the start on, however late the ones before it are, and its times count from that moment: until it is
committed, until the signed mint that carries it is stored and broadcast, and until it is final. The last two are seen
by looking every {int(_LOOK * 1000)} ms, and hold the bank's and the auditor's work, the pauses of all programs between
two looks, and a block every second, final three blocks later.
"""


def run() -> Mapping[str, Value]:
    with system.running("postgresql") as found:
        found.fill()
        found.start_daemon()
        ended = threading.Event()
        seen = _Seen(found)
        watcher = threading.Thread(target=seen.look, args=(ended,))
        watcher.start()
        due, accepted, orders, took = _ask(found)
        found.until(lambda: found.in_state(OrderState.FINAL) == REQUESTS)
        ended.set()
        watcher.join()
        batches = _batches(found)
    broadcast = [seen.broadcast[batches[order]] - at for order, at in zip(orders, due, strict=True)]
    final = [seen.final[batches[order]] - at for order, at in zip(orders, due, strict=True)]
    accept = [done - at for done, at in zip(accepted, due, strict=True)]
    return {"requests_per_second": rate(REQUESTS, took)} | {
        f"requests_{name}_p{share}_ms": milliseconds(_percentile(times, share))
        for name, times in (("accepted", accept), ("broadcast", broadcast), ("final", final))
        for share in (50, 99)
    }


def _ask(found: System) -> tuple[list[float], list[float], list[int], float]:
    """When each request was due and done, its order, and the seconds for all."""
    began = time.perf_counter() + 0.1

    def ask(number: int) -> tuple[float, float, int]:
        due = began + number / PACE
        time.sleep(max(0.0, due - time.perf_counter()))
        order = found.accept(number)
        return due, time.perf_counter(), order

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(ask, range(REQUESTS)))
    due, done, orders = zip(*answers, strict=True)
    return list(due), list(done), list(orders), max(done) - began


class _Seen:
    """When each batch was first seen broadcast, and final."""

    def __init__(self, found: System) -> None:
        self._found = found
        self.broadcast: dict[int, float] = {}
        self.final: dict[int, float] = {}

    def look(self, ended: threading.Event) -> None:
        sent = (
            select(batch.c.id)
            .join(intent, intent.c.subject == "batch:" + batch.c.reference)
            .join(transaction, transaction.c.intent_id == intent.c.id)
            .where(intent.c.kind == "mint")
        )
        final = select(batch.c.id).where(batch.c.state == BatchState.FINAL)
        over = False
        while not over:
            over = ended.wait(_LOOK)  # what came just before the end is seen by a last look
            with self._found.issuer.store.read() as connection:
                told = [(self.broadcast, connection.scalars(sent).all()), (self.final, connection.scalars(final).all())]
            now = time.perf_counter()
            for known, ids in told:
                for id_ in ids:
                    known.setdefault(id_, now)


def _batches(found: System) -> dict[int, int]:
    with found.issuer.store.read() as connection:
        rows = connection.execute(select(mint_order.c.id, mint_order.c.batch_id))
        return {id_: batch_id for id_, batch_id in rows if batch_id is not None}


def _percentile(values: Sequence[float], share: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * share // 100)]


_WHAT = {
    "accepted": "from its moment to committed",
    "broadcast": "to stored and broadcast",
    "final": "to final",
}

MEASUREMENT = Measurement(
    name="requests",
    title="Requests one by one",
    text=TEXT,
    lines=(
        Line(
            name="requests_per_second",
            what="accepted and committed, each by itself",
            unit="requests/s",
            at_least=Decimal(PACE),
        ),
        *(
            Line(name=f"requests_{name}_p{share}_ms", what=f"{what}, {share}th percentile", unit="ms")
            for name, what in _WHAT.items()
            for share in (50, 99)
        ),
    ),
    run=run,
)
