"""A deployed system for tests of the chain door: real Anvil behind the proxy, real contracts, keys and store.

Deploying takes a second, so it is done once for a run; each test continues from that state on its own chain.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from issuer.chain import network, rpc
from issuer.chain.anvil import FAUCET_KEY
from issuer.chain.compiler import CHECKOUT, compile_contracts
from issuer.chain.deployer import Deployer, Parameters
from issuer.chain.deployment import Deployment, load
from issuer.chain.finality import Finality
from issuer.chain.keystore import Keystore
from issuer.chain.node import HttpNode, Node
from issuer.chain.outcomes import Outcomes
from issuer.chain.sender import Limits, Sender
from issuer.chain.signer import LocalSigner
from issuer.chain.watcher import Watcher
from issuer.chain.wiring import Limit, Table
from issuer.messages.report import Report, digest
from issuer.store import facts, intents, tables
from issuer.store.facts import Fact
from issuer.store.states import Door, IntentState, Outcome
from issuer.store.unit import Store
from tests import anvil, proxy
from tests.anvil import ETHER, TestChain
from tests.clock import ManualClock
from tests.proxy import Proxy

PASSPHRASE = "sandbox"
FAUCET = LocalSigner(FAUCET_KEY).address
CNH = 10**6
DELAY = 60
ATTESTORS = tuple(
    sorted((LocalSigner(bytes([n]) * 32) for n in (0xB1, 0xB2)), key=lambda signer: int(signer.address, 16))
)
PARAMETERS = Parameters(
    delay=DELAY,
    window=Limit(capacity=10_000_000 * CNH, refill=100 * CNH),
    bucket=Limit(capacity=5_000_000 * CNH, refill=50 * CNH),
    attestors=tuple(signer.address for signer in ATTESTORS),
    quorum=2,
    allowance=ETHER,
)


def deployer(node: Node, home: Path, parameters: Parameters = PARAMETERS) -> Deployer:
    """The deployer of a home; its keys are made when they are missing."""
    keystore = Keystore(home / "keys", PASSPHRASE)
    keystore.create(light=True)
    table = Table(CHECKOUT / "contracts" / "roles.toml")
    found = network.identify(node)
    return Deployer(node, found, keystore, parameters, compile_contracts(), table, home, home / "deployments")


@dataclass
class Sandbox:
    chain: TestChain
    proxy: Proxy
    node: HttpNode
    keys: Keystore
    deployment: Deployment
    store: Store
    clock: ManualClock
    reports: int = 0
    limits: Limits = field(default_factory=Limits)

    @property
    def sender(self) -> Sender:
        return Sender(self.store, self.node, self.keys, self.deployment, self.clock, self.limits)

    @property
    def watcher(self) -> Watcher:
        return Watcher(self.store, self.node, self.deployment, Finality(depth=None))

    @property
    def outcomes(self) -> Outcomes:
        return Outcomes(self.store, self.node, self.watcher)

    # -- what operations would do

    def emit(self, kind: str, **payload: Any) -> int:
        """Write an intent whose record is sealed; its id."""
        with self.store.unit("emit") as unit:
            body = json.dumps(payload).encode()
            sealed = insert(tables.audit_record).values(body=body, subject=kind, place=None)
            record_id = unit.connection.execute(sealed.returning(tables.audit_record.c.id)).scalar_one()
            place = update(tables.audit_record).where(tables.audit_record.c.id == record_id)
            unit.connection.execute(place.values(place=record_id))
            if unit.connection.execute(select(tables.log_tree)).first() is None:
                tree = insert(tables.log_tree).values(only=1, size=0, frontier=b"", published=2**40)
                unit.connection.execute(tree)
            return intents.emit(unit, Door.CHAIN, kind, f"{kind}:{record_id}", payload, record_id)

    def take(self) -> list[Fact]:
        """Take the new facts, in order, closing the intents whose nonce is final."""
        with self.store.unit("take") as unit:
            found = facts.new(unit.connection, limit=100_000)
            for fact in found:
                facts.apply(unit, fact.id)
                if fact.kind in ("sent", "refused"):
                    done = fact.payload.get("outcome") == Outcome.DONE
                    new = IntentState.DONE if done else IntentState.VOID
                    intents.move(unit, fact.payload["intent_id"], IntentState.BOUND, new)
        return found

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The payloads of the new facts of a kind; all new facts are taken."""
        return [fact.payload for fact in self.take() if fact.kind == kind]

    def settle(self) -> list[Fact]:
        """Send what is due, mine it to finality, and take all facts of it."""
        self.sender.send()
        self.chain.finalize()
        self.watcher.collect()
        self.outcomes.collect()
        return self.take()

    def state(self, intent_id: int) -> str:
        with self.store.read() as connection:
            return str(connection.scalar(select(tables.intent.c.state).where(tables.intent.c.id == intent_id)))

    def rows(self, table: Any) -> list[Any]:
        with self.store.read() as connection:
            return list(connection.execute(select(table)).all())

    # -- what the world would do

    def verify(self, *addresses: str) -> None:
        self.emit("verify", accounts=list(addresses))
        self.settle()

    def report(self, reserve: int, credited: int | None = None, paid: int = 0) -> dict[str, Any]:
        """The payload of a report intent that both attestors have signed; amounts in units."""
        self.reports += 1
        report = Report(
            token=self.deployment.token,
            number=self.reports,
            reserve=reserve,
            paid=paid,
            credited=reserve if credited is None else credited,
            as_of=rpc.head(self.node).timestamp,
            log_root="0x" + f"{self.reports:064x}",
            log_size=self.reports,
        )
        hashed = digest(report, self.deployment.chain_id, self.deployment.feed)
        return {"report": report.message, "signatures": [signer.sign_digest(hashed) for signer in ATTESTORS]}

    def attest(self, reserve: int, credited: int | None = None, paid: int = 0) -> None:
        self.emit("report", **self.report(reserve, credited, paid))
        self.settle()

    def close(self) -> None:
        self.node.close()
        self.store.close()


@dataclass(frozen=True)
class Snapshot:
    """A home and the chain's state just after deployment."""

    home: Path
    state: Path


def prepare(folder: Path) -> Snapshot:
    """Deploy once; the result can be opened any number of times."""
    state = folder / "state.json"
    with anvil.run(options=["--dump-state", str(state)]) as chain, proxy.before(chain.url) as gate:
        node = HttpNode(gate.url)
        deployer(node, folder / "home").run(chain.mine)
        chain.finalize()
        node.close()
    return Snapshot(home=folder / "home", state=state)


@contextmanager
def opened(snapshot: Snapshot, folder: Path, url: str, clock: ManualClock) -> Iterator[Sandbox]:
    """A sandbox of its own, from the snapshot."""
    home = folder / "home"
    shutil.copytree(snapshot.home, home)
    options = ["--load-state", str(snapshot.state)]
    with anvil.run(options=options) as chain, proxy.before(chain.url) as gate:
        # Anvil keeps no state of the blocks before the last; these make the finalized one readable.
        chain.mine(2)
        store = Store(url, clock)
        store.migrate()
        keys = Keystore(home / "keys", PASSPHRASE)
        node = HttpNode(gate.url)
        sandbox = Sandbox(chain, gate, node, keys, load(home / "deployment.json"), store, clock)
        try:
            yield sandbox
        finally:
            sandbox.close()
