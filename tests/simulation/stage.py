"""Everything that a run starts from, made once for a process: homes, keys, contracts, an empty database.

A run begins with a copy of the homes and with the chain taken back to where it stood, so that no run sees another.
Files lie in memory where the system has such a folder; the programs under test sync them as they always do.
"""

import gc
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from eth_account import Account
from sqlalchemy import event

from issuer import recovery as recovering
from issuer.audit.folder import LogFolder
from issuer.audit.integrator import Integrator
from issuer.bank.inbox import Inbox
from issuer.bank.outbox import Outbox
from issuer.chain import network, rpc
from issuer.chain.compiler import CHECKOUT, compile_contracts
from issuer.chain.deployer import Deployer, Parameters
from issuer.chain.deployment import Deployment
from issuer.chain.finality import Finality
from issuer.chain.keystore import Job
from issuer.chain.lost import LostTransactions
from issuer.chain.outcomes import Outcomes
from issuer.chain.sender import Limits, Sender
from issuer.chain.signer import LocalSigner
from issuer.chain.watcher import Watcher
from issuer.chain.wiring import Limit, Table
from issuer.ledger import chart
from issuer.messages import folder as documents
from issuer.messages.contracts import TOKEN
from issuer.messages.folder import AUDITOR_KEY, BANK_KEY, ISSUER_KEY, KEYS
from issuer.mockbank import home
from issuer.mockbank.auditor import Auditor
from issuer.mockbank.bank import Bank
from issuer.mockbank.home import AttestorKey, Home
from issuer.operations import binding, intake
from issuer.operations.binding import Binding
from issuer.operations.policy import Policy
from issuer.recovery import Recovery
from issuer.reports import reconciliation
from issuer.reports.reconciliation import Line
from issuer.service import Service
from issuer.store import backup
from issuer.store.unit import Store
from issuer.tlog.note import Signer, Verifier
from tests.anvil import ETHER
from tests.clock import START, ManualClock
from tests.simulation import quick
from tests.simulation.chain import FINALITY, Chain
from tests.simulation.folder import BanksFolder, IssuersFolder, Post
from tests.simulation.node import SimulatedNode
from tests.simulation.numbers import Numbers

CNH = 10**6
COLLECTION, RESERVE = "012875000000001", "012875000000002"
HOLDERS = tuple(LocalSigner(bytes([0xA0 + place]) * 32) for place in range(8))
STRANGER = LocalSigner(b"\x57" * 32)
"""Somebody with ether, and with keys that are not theirs when a run says so."""

_PASSPHRASE = "only for tests"
_MEMORY = Path("/dev/shm")  # noqa: S108 - made fresh below


class Keys:
    """The keys of a home, always the same ones (`issuer.chain.signer.Keys`)."""

    def __init__(self) -> None:
        self._signers = {job.value: LocalSigner(bytes([place]) * 32) for place, job in enumerate(Job, start=1)}

    def address(self, name: str) -> str:
        return self._signers[name].address

    def has(self, name: str) -> bool:
        return name in self._signers

    def signer(self, name: str) -> LocalSigner:
        return self._signers[name]


POLICY = Policy(
    collection_account=COLLECTION,
    reserve_account=RESERVE,
    approval_threshold=100_000 * CNH,
    redemption_fee_fen=0,
    refused_jurisdictions=frozenset({"CN"}),
)
LIMITS = Limits()
_PARAMETERS = Parameters(
    delay=60,
    window=Limit(capacity=20_000_000 * CNH, refill=200 * CNH),
    bucket=Limit(capacity=10_000_000 * CNH, refill=100 * CNH),
    attestors=(),
    quorum=2,
    allowance=ETHER,
)


class Stage:
    """The things of a process that outlive a run."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="simulation-", dir=_MEMORY if _MEMORY.is_dir() else None))
        self.clock = ManualClock(START)
        self.keys = Keys()
        self.chain = Chain(genesis_time=START - 1)
        self.random = Random(0)  # noqa: S311 - a seed, so that a run repeats
        self._log_key = Ed25519PrivateKey.from_private_bytes(b"\x10" * 32)
        self.verifier = Verifier(name="simulation/log", public_key=self._log_key.public_key().public_bytes_raw())
        self.attestors = {name: _attestor(byte) for name, byte in (("bank", b"\xb1"), ("auditor", b"\xb2"))}
        url = f"sqlite:///{self.database}"
        self.store = Store(url, self.clock, random_bytes=lambda size: self.random.randbytes(size))
        quick.hasten(self.store._engine)
        quick.remember_documents()
        self.numbers = Numbers()
        event.listen(self.store._engine, "before_cursor_execute", self.numbers.give, retval=True)
        self.deployment = self._deploy()
        self._make_homes()
        self._watch_deployment()
        self.chain.base = self.chain.head.number
        self._accounts = dict(self.chain.head.accounts)
        gc.freeze()  # what is there now stays, and need not be looked through again and again

    @property
    def run(self) -> Path:
        """The folder of the run that is on."""
        return self.path / "run"

    @property
    def database(self) -> Path:
        return self.run / "issuer.db"

    @property
    def books(self) -> Path:
        """The bank's own database."""
        return self.run / "bank" / "books.db"

    def begin(self, random: Random) -> Post:
        """Take everything back to the start; the bank folder as it lies then."""
        self.random = random
        self.numbers.taken = None
        self.store.close()
        shutil.rmtree(self.run, ignore_errors=True)
        shutil.copytree(self.path / "template", self.run)
        chain = self.chain
        if chain.head.number > chain.base:
            chain.retreat(chain.head.number - chain.base)
        chain.blocks[-1] = replace(chain.head, accounts=dict(self._accounts))
        chain.pool.clear()
        chain.next_base_fee = chain.tip = 10**9
        self.clock.seconds = chain.head.timestamp
        return self._post()

    def close(self) -> None:
        self.store.close()
        shutil.rmtree(self.path, ignore_errors=True)

    def open_bank(self, post: Post, clock: ManualClock) -> Bank:
        return Bank(self._home("bank", post), clock, self.attestors["bank"])

    def open_auditor(self, post: Post, clock: ManualClock) -> Auditor:
        return Auditor(self._home("auditor", post), clock, self.attestors["auditor"])

    def open_log(self) -> LogFolder:
        return LogFolder(self.run / "log", self.verifier)

    def open_sender(self, node: SimulatedNode, minting: Job = Job.SENDER) -> Sender:
        return Sender(self.store, node, self.keys, self.deployment, self.clock, LIMITS, minting=minting)

    def open_service(
        self, node: SimulatedNode, folder: IssuersFolder, policy: Policy, minting: Job = Job.SENDER
    ) -> Service:
        """The issuer, as after a start, with one of its minting keys: nothing is remembered but what is stored."""
        log, store = self.open_log(), self.store
        integrator = Integrator(store, log, Signer(verifier=self.verifier, sign=self._log_key.sign))
        inbox, outbox = Inbox(store, folder), Outbox(store, folder, log.log.consistency)
        watcher = Watcher(store, node, self.deployment, Finality(depth=None))
        outcomes, sender = Outcomes(store, node, watcher), self.open_sender(node, minting)
        recovery = Recovery(
            store=store,
            policy=policy,
            folder=log,
            integrator=integrator,
            inbox=inbox,
            watcher=watcher,
            outcomes=outcomes,
            lost=LostTransactions(store, node, self.deployment),
            outbox=outbox,
            sender=sender,
            compare=lambda: self._compare(node),
        )
        return Service(
            store=store,
            policy=policy,
            integrator=integrator,
            sources=(inbox, watcher, outcomes),
            senders=(outbox, sender),
            recovery=recovery,
        )

    def back_up(self, target: Path) -> None:
        """Copy the database, as `issuer backup` does."""
        target.unlink(missing_ok=True)
        backup.save(self.store.url, target, self.clock.now())

    def restore(self, source: Path) -> None:
        """Put a copy in the database's place, as `issuer restore` does; nobody has it open."""
        known_until, ready = backup.saved_at(source), backup.prepare(self.store.url, source)
        store = Store(f"sqlite:///{ready}", self.clock)
        with store.unit("begin recovery", "operator:ann") as unit:
            recovering.begin(unit, "it was restored", known_until)
        store.close()
        backup.put_in_place(self.store.url, ready, self.clock.now())

    def _compare(self, node: SimulatedNode) -> list[Line]:
        """Chain, books and statements, as `issuer reconcile` compares them."""
        with self.store.read() as connection:
            books = reconciliation.read(connection, {COLLECTION: chart.COLLECTION, RESERVE: chart.RESERVE})

        def view(function: str, *arguments: str) -> int:
            answer = rpc.read(node, self.deployment.token, TOKEN.call(function, *arguments), books.block)
            return int(TOKEN.output(function, answer)["0"])

        balances = {holder: view("balanceOf", holder) for holder in books.holdings}
        chain = reconciliation.Chain(supply=view("totalSupply"), redeemed=view("redeemed"), balances=balances)
        return reconciliation.compare(books, chain)

    # -- made once

    def _deploy(self) -> Deployment:
        node, table = SimulatedNode(self.chain), Table(CHECKOUT / "contracts" / "roles.toml")
        attestors = sorted((key.address for key in self.attestors.values()), key=lambda address: int(address, 16))
        parameters = replace(_PARAMETERS, attestors=tuple(attestors))
        found, folder = network.identify(node), self.path / "deployer"
        deployer = Deployer(node, found, self.keys, parameters, compile_contracts(), table, folder, folder)
        for signer in (*HOLDERS, STRANGER):
            self.chain.fund(signer.address, 1000 * ETHER)
        made = deployer.run(lambda: self._mine())
        self._mine()
        return made

    def _mine(self) -> None:
        self.chain.mine(self.chain.head.timestamp + 12)

    def _make_homes(self) -> None:
        """Homes as `issuer init`, `mockbank init` and `mockbank auditor init` leave them."""
        template, nowhere = self.path / "template", self.path / "nowhere"
        opens: dict[str, Callable[..., Bank | Auditor]] = {"bank": Bank.create, "auditor": Auditor.create}
        for name, create in opens.items():
            create(template / name, nowhere, self.clock, _PASSPHRASE).close()
        self.run.mkdir()
        self.store.migrate()
        made = self.deployment
        bound = Binding(
            chain_id=made.chain_id,
            genesis=made.genesis,
            token=made.token,
            feed=made.feed,
            minter=made.minter,
            attestors=made.attestors,
            quorum=made.quorum,
        )
        with self.store.unit("bind") as unit:
            binding.bind(unit, bound)

    def _watch_deployment(self) -> None:
        """Have the events of the deployment taken and published, as every home has after its first minute."""
        for _ in range(FINALITY):
            self._mine()
        service = self.open_service(SimulatedNode(self.chain), IssuersFolder(Post(), self.random), POLICY)
        _, watcher, _ = service.sources
        watcher.collect()
        intake.take(self.store, POLICY)
        service.integrator.run()
        self.store.close()
        shutil.copytree(self.run, self.path / "template", dirs_exist_ok=True)

    def _home(self, name: str, post: Post) -> Home:
        found = home.load(self.run / name)
        return replace(found, folder=BanksFolder(post), address=self.attestors[name].address)

    def _post(self) -> Post:
        post = Post()
        post.write(KEYS, ISSUER_KEY, documents.write_log_key(self.verifier.vkey))
        for name, key in ((BANK_KEY, self.attestors["bank"]), (AUDITOR_KEY, self.attestors["auditor"])):
            post.write(KEYS, name, documents.write_attestor(key.address))
        return post


def _attestor(byte: bytes) -> AttestorKey:
    account = Account.from_key(byte * 32)
    return AttestorKey(address=account.address, account=account)
