"""Killed with a thousand orders in flight."""

import signal
import time
from collections.abc import Mapping

from issuer.store.states import OrderState
from tests.benchmarks import system
from tests.benchmarks.figures import Line, Measurement, Value, seconds

ORDERS = 1_000

TEXT = f"""
{ORDERS:,} accepted orders on SQLite; the daemon is killed (kill -9) as soon as all of them are in batches, before any
is final, and started again at once. Ready is when the new process says that it runs; done is when all orders are
final, exactly once, and the chain has minted as many as were asked for. Both count from the kill.
"""


def run() -> Mapping[str, Value]:
    with system.running("sqlite") as found:
        found.fill()
        found.accept_all(ORDERS)
        daemon = found.start_daemon()
        found.until(lambda: found.in_state(OrderState.BATCHED) == ORDERS, pause=0.01)
        daemon.send_signal(signal.SIGKILL)
        began = time.perf_counter()
        found.stop(daemon)
        found.start_daemon()
        ready = time.perf_counter() - began
        found.until(lambda: found.in_state(OrderState.FINAL) == ORDERS)
        done = time.perf_counter() - began
        assert found.issuer.view("token", "nextNumber")["0"] == ORDERS + 1
        assert found.issuer.view("token", "totalSupply")["0"] == ORDERS * system.VALUE
    return {"recovery_ready_seconds": seconds(ready), "recovery_final_seconds": seconds(done)}


MEASUREMENT = Measurement(
    name="recovery",
    title="Recovery from kill -9",
    text=TEXT,
    lines=(
        Line(name="recovery_ready_seconds", what="killed to running again", unit="s"),
        Line(name="recovery_final_seconds", what=f"killed to all {ORDERS:,} orders final", unit="s"),
    ),
    run=run,
)
