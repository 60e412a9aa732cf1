"""Restored from a backup that is ten thousand orders old."""

import time
from collections.abc import Mapping

from issuer.store import recovery
from issuer.store.states import OrderState
from tests.benchmarks import system
from tests.benchmarks.figures import Line, Measurement, Value, rate, seconds
from tests.benchmarks.system import System

ORDERS = 10_000
_PATIENCE = 900  # seconds

TEXT = f"""
A backup of a SQLite database with customers, wallets and money is made (`issuer backup`); {ORDERS:,} orders are then
accepted, minted and final on chain. The database is replaced by the backup (`issuer restore`), the bank draws a
statement, and the daemon is started: ready is when recovery has ended by itself, with every order back from the log,
nothing minted again, and chain, books and statements equal to the unit. The time begins with `issuer restore`.
"""


def run() -> Mapping[str, Value]:
    with system.running("sqlite") as found:
        found.fill()
        backup = str(found.path / "backup.db")
        found.do("issuer", "backup", backup)
        _mint(found)
        found.bank.statement()
        began = time.perf_counter()
        found.do("issuer", "restore", backup)
        found.start_daemon()
        found.until(lambda: _is_ready(found), patience=_PATIENCE, pause=0.2)
        took = time.perf_counter() - began
        assert found.in_state(OrderState.FINAL) == ORDERS
        assert found.issuer.view("token", "nextNumber")["0"] == ORDERS + 1
    return {"restore_seconds": seconds(took), "restore_orders_per_second": rate(ORDERS, took)}


def _mint(found: System) -> None:
    found.accept_all(ORDERS)
    daemon = found.start_daemon()
    found.until(lambda: found.in_state(OrderState.FINAL) == ORDERS)
    found.stop(daemon)
    found.issuer.store.close()


def _is_ready(found: System) -> bool:
    with found.issuer.store.read() as connection:
        return recovery.find(connection) is None


MEASUREMENT = Measurement(
    name="restore",
    title="Restore",
    text=TEXT,
    lines=(
        Line(name="restore_seconds", what=f"from a backup plus {ORDERS:,} orders to ready", unit="s"),
        Line(name="restore_orders_per_second", what="the same, by orders", unit="orders/s"),
    ),
    run=run,
)
