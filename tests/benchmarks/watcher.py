"""The watcher: final events a second when it has to catch up."""

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from hexbytes import HexBytes
from sqlalchemy import func, select
from web3 import Web3

from issuer.chain import rpc
from issuer.chain.compiler import compile_contracts
from issuer.chain.deployment import load
from issuer.chain.finality import Finality
from issuer.chain.keystore import Job, Keystore
from issuer.chain.node import HttpNode
from issuer.chain.signer import LocalSigner, Signer
from issuer.chain.watcher import RANGE, Watcher
from issuer.messages import contracts
from issuer.messages.contracts import TOKEN
from issuer.messages.report import Report, digest
from issuer.store.tables import fact
from tests import anvil, sandbox
from tests.anvil import TestChain
from tests.benchmarks import engines
from tests.benchmarks.figures import Line, Measurement, Value, rate, ratio

MINTS, BATCH = 200, 500
HOLDERS, BURNS = 100, 50  # burns of each holder
VALUE = 10**6  # units of every order
CHECKED = 20_000  # logs that web3 decodes too
_PER_BLOCK = 2  # mints

TEXT = f"""
A chain with {MINTS * BATCH:,} orders minted in {MINTS} transactions to {HOLDERS} holders and {HOLDERS * BURNS:,}
redemptions of theirs, each a transaction, made before by Anvil. A watcher with an empty store then reads all of it: raw
logs from the node over HTTP, decoded by the issuer's own code, stored as facts with the cursor, each transaction
committed to disk. An order minted and a redemption are one event each, whatever logs they leave. The same logs, the
first {CHECKED:,}, are decoded by the issuer's code and by web3's in the same run; every argument is the same in both.
"""


def run() -> Mapping[str, Value]:
    with engines.folder() as path, anvil.run(options=["--gas-limit", str(60_000_000)]) as chain:
        made = _Chain(chain, path / "home")
        made.fill()
        events = MINTS * BATCH + HOLDERS * BURNS
        sqlite = made.watched("sqlite")
        postgresql = made.watched("postgresql")
        ours, theirs = made.decoded()
        made.close()
    return {
        "watcher_events_per_second": rate(events, sqlite),
        "watcher_postgresql_events_per_second": rate(events, postgresql),
        "watcher_decoder_ratio": ratio(theirs, ours),
    }


class _Chain:
    """A deployed token whose past is made here."""

    def __init__(self, chain: TestChain, home: Any) -> None:
        self._chain = chain
        self._node = HttpNode(chain.url)
        sandbox.deployer(self._node, home).run(chain.mine)
        self._deployment = load(home / "deployment.json")
        self._keys = Keystore(home / "keys", sandbox.PASSPHRASE)
        self._holders = [LocalSigner((number + 1).to_bytes(32, "big")) for number in range(HOLDERS)]
        self._nonces: dict[str, int] = {}

    def close(self) -> None:
        self._node.close()

    def fill(self) -> None:
        addresses = [holder.address for holder in self._holders]
        for job in (Job.REGISTRAR, Job.SENDER):
            self._chain.fund(self._keys.address(job))
        self._send(self._keys.signer(Job.REGISTRAR), self._deployment.token, TOKEN.call("verify", addresses))
        self._attest(MINTS * BATCH * VALUE)
        self._chain.ask("anvil_mine", hex(RANGE))  # what wired the contracts lies in a range of its own
        for number in range(MINTS):
            orders = [[addresses[(number + place) % HOLDERS], VALUE] for place in range(BATCH)]
            data = contracts.mint_call(1 + number * BATCH, f"0x{number + 1:064x}", orders)
            self._send(self._keys.signer(Job.SENDER), self._deployment.minter, data)
            if number % _PER_BLOCK == _PER_BLOCK - 1:
                self._chain.mine()
        redeem = TOKEN.call("redeem", 10_000, "0x" + "00" * 32)
        for holder in self._holders:
            self._chain.fund(holder.address)
            for _ in range(BURNS):
                self._send(holder, self._deployment.token, redeem, gas=100_000)
            self._chain.mine()
        self._chain.mine(70)

    def watched(self, engine: str) -> float:
        """Seconds that a watcher takes for all of it."""
        with engines.store(engine) as store:
            watcher = Watcher(store, self._node, self._deployment, Finality(depth=None))
            took = _seconds(watcher.collect)
            with store.read() as connection:
                kinds = select(fact.c.kind, func.count()).group_by(fact.c.kind)
                found = {kind: number for kind, number in connection.execute(kinds)}
        assert (found["minted"], found["redeemed"]) == (MINTS, HOLDERS * BURNS), found
        return took

    def decoded(self) -> tuple[float, float]:
        """Seconds for the same logs by our decoder, and by web3's; raises AssertionError where they differ."""
        head = rpc.head(self._node).number
        wanted = {"address": self._deployment.token, "fromBlock": "0x0", "toBlock": hex(head)}
        raw = self._node.call("eth_getLogs", [wanted])[:CHECKED]
        abi = compile_contracts().contracts["OffshoreYuan"].abi
        forms: Any = Web3().eth.contract(abi=abi).events
        events = {event.topic: event for event in forms}
        began = time.perf_counter()
        ours = [_by_us(item) for item in raw]
        middle = time.perf_counter()
        theirs = [_by_web3(events, item) for item in raw]
        ended = time.perf_counter()
        assert ours == theirs
        return middle - began, ended - middle

    def _attest(self, units: int) -> None:
        signed = Report(
            token=self._deployment.token,
            number=1,
            reserve=units,
            paid=0,
            credited=units,
            as_of=rpc.head(self._node).timestamp,
            log_root="0x" + "11" * 32,
            log_size=1,
        )
        hashed = digest(signed, self._deployment.chain_id, self._deployment.feed)
        data = contracts.post_call(signed.message, [signer.sign_digest(hashed) for signer in sandbox.ATTESTORS])
        self._send(self._keys.signer(Job.SENDER), self._deployment.feed, data)
        self._chain.mine()

    def _send(self, signer: Signer, target: str, data: str, *, gas: int = 8_000_000) -> None:
        nonce = self._nonces.get(signer.address, 0) or rpc.nonce(self._node, signer.address)
        fields = {"chainId": self._deployment.chain_id, "nonce": nonce, "to": target, "value": 0, "data": data}
        fields |= {"gas": gas, "maxFeePerGas": 3 * 10**9, "maxPriorityFeePerGas": 1}
        refused = rpc.broadcast(self._node, signer.sign_transaction(fields).raw)
        assert refused is None, refused
        self._nonces[signer.address] = nonce + 1


def _by_us(item: dict[str, Any]) -> dict[str, Any]:
    event = TOKEN.events[item["topics"][0]]
    return event.decode_log(tuple(item["topics"]), item["data"])


def _by_web3(events: Mapping[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    found = events[item["topics"][0]]().process_log(_as_web3(item))
    return {name: _text(value) for name, value in found["args"].items()}


def _as_web3(item: dict[str, Any]) -> Any:
    numbers = {name: int(item[name], 16) for name in ("blockNumber", "logIndex", "transactionIndex")}
    hashes = {name: HexBytes(item[name]) for name in ("blockHash", "transactionHash", "data")}
    return {**item, **numbers, **hashes, "topics": [HexBytes(topic) for topic in item["topics"]]}


def _text(value: Any) -> Any:
    return "0x" + value.hex().removeprefix("0x") if isinstance(value, bytes) else value


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _lines() -> Sequence[Line]:
    unit = "events/s"
    return (
        Line(name="watcher_events_per_second", what="catch-up on SQLite", unit=unit, at_least=Decimal(20_000)),
        Line(
            name="watcher_postgresql_events_per_second",
            what="catch-up on PostgreSQL",
            unit=unit,
            at_least=Decimal(20_000),
        ),
        Line(name="watcher_decoder_ratio", what="our decoder over web3's", unit="times"),
    )


MEASUREMENT = Measurement(name="watcher", title="Watcher", text=TEXT, lines=tuple(_lines()), run=run)
