"""The parts of a home, composed here, for commands, tests and the demo alike.

The doors and the machine are imported where they are opened: most commands open none, and would wait for all of them.
"""

from collections.abc import Callable, Iterable
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from issuer import files
from issuer.audit.folder import LogFolder
from issuer.bank.folder import DirectoryFolder
from issuer.chain import deployment, network, parts, rpc
from issuer.chain.deployment import Deployment
from issuer.chain.finality import Finality
from issuer.chain.keystore import Job, Keystore
from issuer.chain.node import HttpNode, NodeError
from issuer.cli import layout
from issuer.cli.layout import Home
from issuer.clock import Clock, SystemClock
from issuer.errors import Conflict, InvalidInput, Misconfigured, Unreachable
from issuer.ledger import chart, journal
from issuer.messages import folder as documents
from issuer.messages.abi import Item, parse_address
from issuer.messages.contracts import CONTRACTS
from issuer.messages.signatures import personal_digest, recover
from issuer.operations import binding
from issuer.operations.binding import Binding
from issuer.operations.policy import Policy
from issuer.reports import reconciliation
from issuer.reports.reconciliation import Chain, Line
from issuer.settings import Settings, remembered
from issuer.store.unit import Store
from issuer.tlog import note
from issuer.tlog.note import Signer, Verifier

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from issuer.audit.integrator import Integrator
    from issuer.bank.inbox import Inbox
    from issuer.bank.outbox import Outbox
    from issuer.chain.deployer import Deployer
    from issuer.chain.outcomes import Outcomes
    from issuer.chain.sender import Sender
    from issuer.chain.watcher import Watcher
    from issuer.chain.witness import Witness
    from issuer.recovery import Recovery
    from issuer.service import Role, Service

IS_VALID_SIGNATURE = Item.parse("isValidSignature(bytes32 hash, bytes signature) returns (bytes4)")
"""ERC-1271; a contract answers with the function's own selector."""

_QUORUM = 2  # bank and auditor

_LOCAL_DELAY = 5  # seconds that a slow act waits
_PUBLIC_DELAY = 2 * 86400

_LOCAL_ALLOWANCE = 10**18  # wei of gas money for each key
_PUBLIC_ALLOWANCE = 2 * 10**16


class Issuer:
    """The parts of one home; each is opened when it is first used."""

    def __init__(self, settings: Settings, clock: Clock, passphrase: Callable[[], str]) -> None:
        self.settings = settings
        self.home = Home(settings.issuer_home)
        self.clock = clock
        self._passphrase = passphrase

    def close(self) -> None:
        """End the connections that were opened."""
        for name in ("store", "raw_node", "second_node"):
            if self.__dict__.get(name) is not None:
                self.__dict__[name].close()

    @cached_property
    def store(self) -> Store:
        """Raises Misconfigured for a database of another version, Unreachable if it does not answer."""
        store = Store(self.settings.database_url, self.clock)
        store.check()
        return store

    @cached_property
    def policy(self) -> Policy:
        return Policy(
            collection_account=self.settings.collection_account,
            reserve_account=self.settings.reserve_account,
            approval_threshold=self.settings.approval_threshold,
            batch_wait=self.settings.batch_wait,
            redemption_fee_fen=self.settings.redemption_fee,
            refused_jurisdictions=self.settings.refused_jurisdictions,
        )

    @cached_property
    def keystore(self) -> Keystore:
        """The keys, ready to sign; may ask for the passphrase."""
        return Keystore(self.home.keys, self._passphrase())

    @cached_property
    def addresses(self) -> Keystore:
        """The keys' addresses, which need no passphrase."""
        return Keystore(self.home.keys, "")

    def address(self, account: str) -> str:
        """The address that a person wrote, or that of the local key so named. Raises NotFound."""
        return parse_address(account) if account.startswith("0x") else self.addresses.address(account)

    @cached_property
    def raw_node(self) -> HttpNode:
        """The node behind the RPC address, whatever chain it serves."""
        return HttpNode(self.settings.rpc_url)

    @cached_property
    def node(self) -> HttpNode:
        """A node of this home's own chain. Raises Misconfigured if it serves another one."""
        network.require(self.raw_node, chain_id=self.deployment.chain_id, genesis=self.deployment.genesis)
        return self.raw_node

    def view(self, contract: str, function: str, *arguments: Any, block: int | None = None) -> dict[str, Any]:
        """What a contract's view returns, by name, at a block or the newest one."""
        form, address = CONTRACTS[contract], self.speaking.address(contract)
        place = "latest" if block is None else block
        return form.output(function, rpc.read(self.node, address, form.call(function, *arguments), place))

    def chain_at(self, block: int, holders: Iterable[str]) -> Chain:
        """What the chain says at a block.

        Raises Conflict before the chain was first read, and Unreachable if the node has forgotten the block, as local
        ones soon do.
        """
        if block <= self.deployment.block:
            raise Conflict("the chain was not read yet, so there is nothing to compare", "Run `issuer step` first.")
        try:
            return Chain(
                supply=self.view("token", "totalSupply", block=block)["0"],
                redeemed=self.view("token", "redeemed", block=block)["0"],
                balances={holder: self.view("token", "balanceOf", holder, block=block)["0"] for holder in holders},
            )
        except NodeError as error:
            what = f"the node does not have the state of block {block} any more: {error.message}"
            raise Unreachable(what, "Run `issuer step`, and this again at once.") from error

    def anchor(self) -> tuple[int, str] | None:
        """Size and root of the log as the feed on chain has them now; None before the first report."""
        latest = self.view("feed", "latestReport")["report"]
        return (latest["logSize"], latest["logRoot"]) if latest["number"] else None

    def controls(self, address: str, text: str, signature: str) -> bool:
        """Whether a signature over a text is the wallet's: its key's (EIP-191), or its contract's (ERC-1271)."""
        digest = personal_digest(text)
        if recover(digest, signature) == address:
            return True
        try:
            answer = rpc.read(self.node, address, IS_VALID_SIGNATURE.encode("0x" + digest.hex(), signature))
        except NodeError:
            return False
        return answer[:10] == IS_VALID_SIGNATURE.selector

    def create_holder(self, name: str) -> str:
        """Make a holder's wallet whose key lies in this home; its address. Raises InvalidInput, or Misconfigured if the
        passphrase does not open the home's other keys: they would not be opened by one.
        """
        self.keystore.signer(Job.SENDER)
        return self.keystore.create_holder(name, light=is_local_sandbox(self.settings))

    @cached_property
    def deployment(self) -> Deployment:
        """Raises Misconfigured before the first deployment."""
        return deployment.load(self.home.deployment)

    @property
    def speaking(self) -> Deployment:
        """The deployment, with the minter and the feed that the token has had finally since."""
        with self.store.read() as connection:
            return parts.current(connection, self.deployment)

    def part(self, name: str) -> str:
        """The address of a contract by its name. Raises InvalidInput."""
        if name not in CONTRACTS:
            raise InvalidInput(f"{name!r} is no contract", f"Give one of {', '.join(CONTRACTS)}, or an address.")
        return self.speaking.address(name)

    def adopt_deployer(self, *, light: bool) -> None:
        """Take DEPLOYER_KEY, if it is set, as this home's deployer. Raises InvalidInput if there is another one."""
        if self.settings.deployer_key is not None:
            key = bytes.fromhex(self.settings.deployer_key.get_secret_value().removeprefix("0x"))
            self.keystore.adopt(Job.DEPLOYER, key, light=light)

    def deployer(self) -> "Deployer":
        """What compares the contracts with the chain behind the RPC address, and deploys what is missing.

        Raises Misconfigured for a chain that is no testnet, or before bank and auditor have given their keys.
        """
        from issuer.chain.compiler import CHECKOUT, compile_contracts
        from issuer.chain.deployer import Deployer, Parameters
        from issuer.chain.wiring import Limit, Table

        found = network.identify(self.raw_node)
        self.adopt_deployer(light=found.is_local)
        parameters = Parameters(
            delay=self.settings.slow_act_delay or (_LOCAL_DELAY if found.is_local else _PUBLIC_DELAY),
            window=Limit(capacity=self.settings.window_capacity, refill=self.settings.window_refill),
            bucket=Limit(capacity=self.settings.bucket_capacity, refill=self.settings.bucket_refill),
            attestors=tuple(self._attestor(name) for name in (documents.BANK_KEY, documents.AUDITOR_KEY)),
            quorum=_QUORUM,
            allowance=_LOCAL_ALLOWANCE if found.is_local else _PUBLIC_ALLOWANCE,
        )
        return Deployer(
            self.raw_node,
            found,
            self.keystore,
            parameters,
            compile_contracts(),
            Table(CHECKOUT / "contracts" / "roles.toml"),
            self.home.path,
            CHECKOUT / "deployments",
        )

    def bind(self, made: Deployment) -> None:
        """Bind the database to a deployment, for ever. Raises Conflict if it is bound to another."""
        bound = Binding(
            chain_id=made.chain_id,
            genesis=made.genesis,
            token=made.token,
            feed=made.feed,
            minter=made.minter,
            attestors=made.attestors,
            quorum=made.quorum,
        )
        with self.store.unit("bind the database") as unit:
            binding.bind(unit, bound)

    @cached_property
    def bank_folder(self) -> DirectoryFolder:
        return DirectoryFolder(self.settings.bank_folder)

    @cached_property
    def log(self) -> LogFolder:
        return LogFolder(self.home.log, self._verifier)

    @cached_property
    def integrator(self) -> "Integrator":
        from issuer.audit.integrator import Integrator

        signer = Signer(verifier=self._verifier, sign=self.keystore.log_key().sign)
        return Integrator(self.store, self.log, signer)

    @cached_property
    def watcher(self) -> "Watcher":
        from issuer.chain.watcher import Watcher

        return Watcher(self.store, self.node, self.deployment, self._finality, self._witness)

    @property
    def _finality(self) -> Finality:
        return Finality.parse(self.settings.finality)

    @property
    def _witness(self) -> "Witness | None":
        from issuer.chain.witness import Witness

        second = self.second_node
        return None if second is None else Witness(self.store, self.node, second, self._finality)

    @cached_property
    def second_node(self) -> HttpNode | None:
        """The node that must know the same final blocks, if one is set."""
        return None if self.settings.rpc_url_2 is None else HttpNode(self.settings.rpc_url_2)

    @cached_property
    def outcomes(self) -> "Outcomes":
        from issuer.chain.outcomes import Outcomes

        return Outcomes(self.store, self.node, self.watcher)

    @cached_property
    def inbox(self) -> "Inbox":
        from issuer.bank.inbox import Inbox

        return Inbox(self.store, self.bank_folder)

    @cached_property
    def outbox(self) -> "Outbox":
        from issuer.bank.outbox import Outbox

        return Outbox(self.store, self.bank_folder, self.log.log.consistency)

    @cached_property
    def recovery(self) -> "Recovery":
        """What catches up when the database is older than the world."""
        from issuer.chain.lost import LostTransactions
        from issuer.recovery import Recovery

        return Recovery(
            store=self.store,
            policy=self.policy,
            folder=self.log,
            integrator=self.integrator,
            inbox=self.inbox,
            watcher=self.watcher,
            outcomes=self.outcomes,
            lost=LostTransactions(self.store, self.node, self.deployment),
            outbox=self.outbox,
            sender=self.sender,
            compare=self.compare,
        )

    def compare(self) -> list[Line]:
        """Chain, books and statements, line by line. Raises BrokenInvariant, Conflict or Unreachable."""
        with self.store.read() as connection:
            journal.verify(connection)
            books = reconciliation.read(connection, self.accounts)
        return reconciliation.compare(books, self.chain_at(books.block, books.holdings))

    @property
    def accounts(self) -> dict[str, str]:
        """The issuer's accounts at the bank, and their names in the books."""
        return {self.policy.collection_account: chart.COLLECTION, self.policy.reserve_account: chart.RESERVE}

    @cached_property
    def sender(self) -> "Sender":
        from issuer.chain.sender import Sender

        return Sender(self.store, self.node, self.keystore, self.deployment, self.clock, minting=self._minting)

    @property
    def _minting(self) -> Job:
        """The key that signs reports and mints in this process."""
        return Job(self.settings.minting_key)

    @cached_property
    def service(self) -> "Service":
        """The whole machine: raises what its parts raise when they are opened."""
        from issuer.service import Role

        return self.service_for(Role.ALL)

    def service_for(self, role: "Role") -> "Service":
        """What one process of the machine does."""
        from issuer.service import Role, Service

        bank, chain = role in (Role.ALL, Role.BANK), role in (Role.ALL, Role.CHAIN)
        if chain and self.keystore.has(self._minting):
            self.keystore.signer(self._minting)  # now, so that no order waits for it
        return Service(
            store=self.store,
            policy=self.policy,
            integrator=self.integrator,
            sources=(*((self.inbox,) if bank else ()), *((self.watcher, self.outcomes) if chain else ())),
            senders=(*((self.outbox,) if bank else ()), *((self.sender,) if chain else ())),
            decides=role in (Role.ALL, Role.OPERATIONS),
            recovery=self.recovery,
        )

    def _attestor(self, name: str) -> str:
        if name not in self.bank_folder.names(documents.KEYS):
            raise Misconfigured(
                f"{name.removesuffix('.json')} has not put its key into the bank folder yet",
                "Run `mockbank init` with the same bank folder.",
            )
        return documents.read_attestor(self.bank_folder.read(documents.KEYS, name))

    @cached_property
    def _verifier(self) -> Verifier:
        try:
            return note.parse_vkey(self.home.log_key.read_text().strip())
        except FileNotFoundError:
            raise Misconfigured("this home has no log key", "Restore log.vkey from a backup.") from None


def open_issuer(settings: Settings, *, clock: Clock | None = None, passphrase: Callable[[], str]) -> Issuer:
    """Open a home. Raises Misconfigured if there is none; its parts raise when they are first used."""
    layout.require(settings.issuer_home)
    return Issuer(settings, clock or SystemClock(), passphrase)


def create_home(settings: Settings, passphrase: str, *, light: bool) -> Issuer:
    """Make a home, or finish one whose making was cut short; `light` is the quick key derivation of a local sandbox.

    A key that a deployed home does not have lies on another machine, or is lost: no other can take its place.

    Raises Misconfigured if keys are there already that the passphrase does not open.
    """
    home = Home(settings.issuer_home)
    home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    issuer = Issuer(settings, SystemClock(), lambda: passphrase)
    begun = home.keys.exists()
    issuer.adopt_deployer(light=light)
    if not home.deployment.exists():
        issuer.keystore.create(light=light)
    log_key = issuer.keystore.log_key()
    if begun:
        for job in issuer.keystore.addresses():
            issuer.keystore.signer(job)
    _publish_log_key(issuer, log_key)
    store = Store(settings.database_url, issuer.clock)
    store.migrate()
    store.close()
    files.replace(home.memory, remembered().encode(), mode=0o600)
    return issuer


def is_local_sandbox(settings: Settings) -> bool:
    """Whether keys guard play money only: the node is on this machine, and serves no public testnet."""
    if not network.is_loopback(settings.rpc_url):
        return False
    node = HttpNode(settings.rpc_url, timeout=2)
    try:
        return rpc.chain_id(node) in network.LOCAL
    except NodeError:
        return False
    except Unreachable:
        return True
    finally:
        node.close()


def _publish_log_key(issuer: Issuer, log_key: "Ed25519PrivateKey") -> None:
    """Keep the log's public key in the home, and give it to bank and auditor."""
    public_key = log_key.public_key().public_bytes_raw()
    name = f"offshore-yuan-sandbox/{sha256(public_key).hexdigest()[:8]}"
    vkey = Verifier(name=name, public_key=public_key).vkey
    files.replace(issuer.home.log_key, f"{vkey}\n".encode())
    issuer.bank_folder.write(documents.KEYS, documents.ISSUER_KEY, documents.write_log_key(vkey))
