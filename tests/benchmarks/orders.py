"""Mint orders end to end, beside a sender of single mints on the same chain."""

import time
from collections.abc import Mapping
from decimal import Decimal

from issuer.chain import rpc
from issuer.chain.keystore import Job
from issuer.messages import contracts, report
from issuer.messages.contracts import TOKEN
from issuer.messages.report import Report
from issuer.store.states import OrderState
from tests.benchmarks import system
from tests.benchmarks.figures import Line, Measurement, Value, rate, ratio
from tests.benchmarks.figures import seconds as shown_seconds
from tests.benchmarks.system import System

ORDERS = 10_000
_GAS = 120_000  # of a single mint

TEXT = f"""
{ORDERS:,} orders of {system.CUSTOMERS} customers to {system.WALLETS:,} wallets are accepted and committed, with the
money for them in the books and no daemon running. The time runs from the line with which the daemon (`issuer run`)
says that it runs, until the last order is final in its database: money bound, batches formed, moved to the reserve by
the bank, attested by bank and auditor, minted, and final on an Anvil that makes a block every second, three seconds
before which nothing is final. Bank, auditor and daemon are processes of their own on the same cores. Then, on the
same chain and with the same key, a loop signs and sends {ORDERS:,} single mints, counting nonces and numbers by itself
and waiting for nothing, until the last is final on chain; it has no books, no log and no bank. That loop asks the node
by the same door, once for each mint, and waits for the processor alone; ours also waits for blocks. So the ratio is
higher on a slower machine, and only comparable on the same one.
"""


def run() -> Mapping[str, Value]:
    with system.running("postgresql") as found:
        ours = _ours(found)
        single = _single(found)
    with system.running("sqlite") as found:
        sqlite = _ours(found)
    return {
        "mint_orders_per_second": rate(ORDERS, ours),
        "mint_orders_seconds": shown_seconds(ours),
        "mint_single_pipelined_per_second": rate(ORDERS, single),
        "mint_ratio_pipelined": ratio(single, ours),
        "mint_orders_sqlite_per_second": rate(ORDERS, sqlite),
    }


def _ours(found: System) -> float:
    """Seconds from the daemon's start until all orders are final; no daemon runs after it."""
    found.fill()
    found.accept_all(ORDERS)
    daemon = found.start_daemon()
    began = time.perf_counter()
    found.until(lambda: found.in_state(OrderState.FINAL) == ORDERS)
    took = time.perf_counter() - began
    found.stop(daemon)
    return took


def _single(found: System) -> float:
    """Seconds for as many mints of one order each, from the first signature until the last is final."""
    node, deployment = found.issuer.raw_node, found.issuer.deployment
    _cover(found)
    signer = found.issuer.keystore.signer(Job.SENDER)
    first = int(_read(found, "latest"))
    nonce = rpc.nonce(node, signer.address)
    fees = {"maxFeePerGas": 3 * 10**9, "maxPriorityFeePerGas": 1, "gas": _GAS, "value": 0}
    began = time.perf_counter()
    for number in range(ORDERS):
        order = [system.address(number % system.WALLETS), system.VALUE]
        data = contracts.mint_call(first + number, f"0x{number + 1:064x}", [order])
        fields = {"chainId": deployment.chain_id, "nonce": nonce + number, "to": deployment.minter, "data": data}
        refused = rpc.broadcast(node, signer.sign_transaction(fields | fees).raw)
        assert refused is None, refused
    found.until(lambda: int(_read(found, "finalized")) == first + ORDERS)
    return time.perf_counter() - began


def _read(found: System, place: str) -> int:
    data = rpc.read(found.issuer.raw_node, found.issuer.deployment.token, TOKEN.call("nextNumber"), place)
    return int(TOKEN.output("nextNumber", data)["0"])


def _cover(found: System) -> None:
    """Have bank and auditor attest money for the single mints too; their customers have paid in more than that."""
    deployment = found.issuer.deployment
    last = found.issuer.view("feed", "latestReport")["report"]
    more = ORDERS * system.VALUE
    signed = Report(
        token=deployment.token,
        number=last["number"] + 1,
        reserve=last["reserve"] + more,
        paid=last["paid"],
        credited=last["credited"] + more,
        as_of=rpc.head(found.issuer.raw_node).timestamp,
        log_root=last["logRoot"],
        log_size=last["logSize"],
    )
    keys = sorted((found.bank_key, found.auditor_key), key=lambda key: int(key.address, 16))
    signatures = [
        report.sign(signed, deployment.chain_id, deployment.feed, key.address, key.sign).signature for key in keys
    ]
    signer = found.issuer.keystore.signer(Job.SENDER)
    system.send(found, signer, deployment.feed, contracts.post_call(signed.message, signatures), gas=500_000)
    found.until(lambda: found.issuer.view("feed", "latestReport")["report"]["number"] == signed.number)


MEASUREMENT = Measurement(
    name="orders",
    title="Mint orders, accepted to final",
    text=TEXT,
    lines=(
        Line(
            name="mint_orders_per_second",
            what=f"{ORDERS:,} orders on PostgreSQL",
            unit="orders/s",
            at_least=Decimal(800),
        ),
        Line(name="mint_orders_seconds", what="the same, all of it", unit="s"),
        Line(name="mint_single_pipelined_per_second", what="single mints by a pipelined sender", unit="orders/s"),
        Line(
            name="mint_ratio_pipelined",
            what="orders over single mints, same chain",
            unit="times",
            at_least=Decimal(2),
        ),
        Line(name="mint_orders_sqlite_per_second", what=f"{ORDERS:,} orders on SQLite", unit="orders/s"),
    ),
    run=run,
)
