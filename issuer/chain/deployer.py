"""The deployer: looks at the chain, says what is missing, and does only that.

- What is wanted follows from the contracts, the chain's genesis, the keys and the parameters; so do the addresses
  (CREATE2). Running it again changes nothing; running it after an interruption goes on.
- Signed bytes are stored in the home before they are sent, and the same bytes are sent again after a crash.
- One transaction wires everything, by the bootstrap, from contracts/roles.toml.
- The deployer's key pays. On a local chain the faucet's published key pays the deployer, by a signed transfer.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from issuer import crash
from issuer.chain import create2, fees, rpc, wiring
from issuer.chain.anvil import FAUCET_KEY
from issuer.chain.compiler import Compilation
from issuer.chain.deployment import Deployment, load
from issuer.chain.keystore import MINTING, Job
from issuer.chain.network import Network
from issuer.chain.node import Node
from issuer.chain.rpc import Block, Call, Result
from issuer.chain.signer import Keys, LocalSigner, Signer
from issuer.chain.wiring import Limit, Table
from issuer.errors import Refused, Unreachable
from issuer.files import replace
from issuer.messages import contracts
from issuer.messages.abi import encode_values, keccak
from issuer.messages.contracts import AUTHORITY, BOOTSTRAP, CONSTRUCTORS, FEED, MINTER, TOKEN, WINDOW
from issuer.messages.transactions import decode

TRANSFER_GAS = 21_000
MAX_FEE = 500 * 10**9  # wei per gas

SOURCES = {short: name for name, short in wiring.CONTRACT_FILES.items()} | {"bootstrap": "Bootstrap"}
"""The contracts' source names by the names they go by here, in the order in which their constructors need them."""
_ORDER = ("bootstrap", "authority", "feed", "token", "minter")

FUNDED = (*MINTING, Job.REGISTRAR, Job.FREEZER, Job.GUARDIAN, Job.ADMIN)


class State(StrEnum):
    """How a part of the deployment is found."""

    EXISTS = "exists"
    MISSING = "missing"
    DIFFERS = "differs"  # it is there, and not as the parameters or the table say
    PENDING = "pending"  # done, and takes effect later


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line of the plan."""

    name: str
    state: State
    detail: str


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a deployment is made with; amounts in units, times in seconds, gas money in wei."""

    delay: int  # that a slow act waits
    window: Limit
    bucket: Limit  # of each minting key
    attestors: tuple[str, ...]
    quorum: int
    allowance: int  # gas money that each key is topped up to, once it has less than half


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something to send, by the deployer."""

    name: str
    target: str
    data: str
    value: int = 0


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A step's signed bytes."""

    step: str
    raw: str


class Deployer:
    def __init__(
        self,
        node: Node,
        network: Network,
        keys: Keys,
        parameters: Parameters,
        compilation: Compilation,
        table: Table,
        folder: Path,
        public: Path,
    ) -> None:
        """``folder`` is the home's own: signed bytes and the record are kept in it. ``public`` is where the record of a
        public chain is kept as well, with the compiler's input beside it.

        Raises Refused if this home has another deployment already.
        """
        self._node = node
        self._network = network
        self._keys = keys
        self._parameters = parameters
        self._compilation = compilation
        self._table = table
        self._record = folder / "deployment.json"
        self._public = public
        self._journal = folder / "deployment.signed.json"
        self._holders = {job.value: keys.address(job) for job in Job}
        self._code = dict(self._creation_codes())
        self._salt = create2.salt(network.genesis)
        self.addresses = {name: create2.address(self._salt, code) for name, code in self._code.items()}
        self._require_same()

    # -- what there is

    def plan(self) -> list[Item]:
        """Every part of the deployment, as it is found on chain now. Changes nothing."""
        parts = [self._part(name) for name in _ORDER]
        if any(item.state is State.MISSING for item in parts):
            wired = Item(name="wiring", state=State.MISSING, detail="roles, limits, attestors")
        elif any(item.state is State.DIFFERS for item in parts):
            wired = Item(name="wiring", state=State.DIFFERS, detail="other code lies at an address")
        else:
            wired = self._wiring()
        funds = [self._fund(job) for job in FUNDED]
        checks = list(self._checks()) if wired.state is State.EXISTS else []
        return [*parts, wired, *funds, *checks]

    # -- doing what is missing

    def advance(self) -> bool:
        """Send what is missing and not on its way; whether all is done, and the record saved.

        Raises Refused if other code lies at an address, the deployer lacks gas money, or a step would fail.
        """
        plan = self.plan()
        for item in plan:
            if item.state is State.DIFFERS and item.name in _ORDER:
                raise Refused(f"{item.name}: {item.detail}", "Another compiler made it; use the one it was made with.")
        missing = [item.name for item in plan if item.state is State.MISSING]
        if not missing:
            self._save()
            return True
        if not self._resend(missing):
            # What was sent may have been mined after the plan was made; nothing of ours waits now, so this one stays.
            missing = [item.name for item in self.plan() if item.state is State.MISSING]
            if missing:
                self._send(missing)
        return False

    def run(self, wait: Callable[[], None]) -> Deployment:
        """Advance until all is done, calling ``wait`` while transactions are to be mined."""
        while not self.advance():
            wait()
        return self._describe()

    def _send(self, missing: list[str]) -> None:
        if rpc.code(self._node, create2.FACTORY) == "0x":
            raise Refused(
                f"this chain has no deployment factory at {create2.FACTORY}",
                "Use a testnet that has it; every large one does.",
            )
        steps = list(self._steps(missing))
        offered = fees.suggest(self._node, MAX_FEE)
        head = rpc.head(self._node)
        gas = self._gas(steps, head)
        needed = sum(gas) * offered.max_fee + sum(step.value for step in steps)
        deployer = self._keys.address(Job.DEPLOYER)
        if rpc.balance(self._node, deployer) >= needed:
            self._sign(self._keys.signer(Job.DEPLOYER), steps, gas, offered, head)
        elif self._network.is_local:
            fund = Step(name="faucet", target=deployer, data="0x", value=2 * needed)
            self._sign(LocalSigner(FAUCET_KEY), [fund], [TRANSFER_GAS], offered, head)
        else:
            raise Refused(
                f"the deployer {deployer} has too little gas money: it needs {needed} wei",
                "Send it test ether from a faucet of this testnet, then run `issuer deploy` again.",
            )

    def _steps(self, missing: list[str]) -> Iterator[Step]:
        for name in _ORDER:
            if name in missing:
                data = create2.calldata(self._salt, self._code[name])
                yield Step(name=name, target=create2.FACTORY, data=data)
        if "wiring" in missing:
            yield Step(name="wiring", target=self.addresses["bootstrap"], data=BOOTSTRAP.call("run", self._argument()))
        for job in FUNDED:
            if _fund_name(job) in missing:
                lacking = self._parameters.allowance - rpc.balance(self._node, self._keys.address(job))
                yield Step(name=_fund_name(job), target=self._keys.address(job), data="0x", value=lacking)

    def _gas(self, steps: list[Step], head: Block) -> list[int]:
        """How much gas each step may use. Raises Refused if one would fail."""
        deployer = self._keys.address(Job.DEPLOYER)
        wanted = [Call(sender=deployer, target=step.target, data=step.data) for step in steps if step.data != "0x"]
        used = iter(rpc.simulate(self._node, wanted, head.number) if wanted else [])
        return [TRANSFER_GAS if step.data == "0x" else self._limit(step, next(used)) for step in steps]

    def _limit(self, step: Step, result: Result) -> int:
        if not result.succeeded:
            error, arguments = contracts.decode_error(result.data)
            raise Refused(f"the step {step.name} would fail: {error}{tuple(arguments.values())}")
        if step.target == create2.FACTORY and result.data != self.addresses[step.name].lower():
            raise Unreachable(f"the node says that the factory would put {step.name} at {result.data}")
        return result.gas_used * 3 // 2 + 30_000

    def _sign(self, signer: Signer, steps: list[Step], gas: list[int], offered: fees.Fees, head: Block) -> None:
        nonce = rpc.nonce(self._node, signer.address)
        signed = [
            signer.sign_transaction(
                {
                    "chainId": self._network.chain_id,
                    "nonce": nonce + place,
                    "to": step.target,
                    "value": step.value,
                    "data": step.data,
                    "gas": limit,
                    "maxFeePerGas": offered.max_fee,
                    "maxPriorityFeePerGas": offered.priority_fee,
                }
            )
            for place, (step, limit) in enumerate(zip(steps, gas, strict=True))
        ]
        stored = [Stored(step=step.name, raw=form.raw) for step, form in zip(steps, signed, strict=True)]
        self._keep(stored, head)
        for form in stored:
            rpc.broadcast(self._node, form.raw)

    def _resend(self, missing: list[str]) -> bool:
        """Send stored bytes again that are not in the chain yet; False if there are none to wait for."""
        _, stored = self._kept()
        waiting = [form for form in stored if self._waits(form, missing)]
        for form in waiting:
            rpc.broadcast(self._node, form.raw)
        return bool(waiting)

    def _waits(self, form: Stored, missing: list[str]) -> bool:
        if form.step not in (*missing, "faucet"):
            return False
        found = decode(form.raw)
        return rpc.nonce(self._node, found.sender) <= found.nonce

    def _keep(self, stored: list[Stored], head: Block) -> None:
        block, _ = self._kept()
        body = {
            "genesis": self._network.genesis,
            # Nothing of ours is in the chain up to here.
            "block": head.number if block is None else block,
            "transactions": [asdict(form) for form in stored],
        }
        with crash.around("deployment.sign"):
            replace(self._journal, json.dumps(body, indent=2).encode(), mode=0o600)

    def _kept(self) -> tuple[int | None, list[Stored]]:
        """The block before the deployment and the stored bytes; none if they belong to another chain."""
        if not self._journal.exists():
            return None, []
        body = json.loads(self._journal.read_bytes())
        if body["genesis"] != self._network.genesis:
            return None, []
        return body["block"], [Stored(**form) for form in body["transactions"]]

    # -- what is wanted

    def _creation_codes(self) -> Iterator[tuple[str, bytes]]:
        """Each contract's creation code with its constructor's arguments, which name each other's addresses."""
        delay, salt = self._parameters.delay, create2.salt(self._network.genesis)
        found: dict[str, str] = {}

        def made(name: str, *arguments: Any) -> tuple[str, bytes]:
            source = SOURCES[name]
            code = self._compilation.contracts[source].creation_code
            code += encode_values(CONSTRUCTORS[source].inputs, arguments)
            found[name] = create2.address(salt, code)
            return name, code

        roles = self._table.roles
        yield made("bootstrap", self._holders[Job.DEPLOYER], self._holders[Job.ADMIN])
        yield made("authority", found["bootstrap"], self._table.conflicts())
        yield made("feed", found["authority"], roles["ATTESTOR"], delay)
        yield made("token", found["authority"], found["feed"], delay)
        yield made("minter", found["authority"], found["token"], roles["MINTING_KEY"], delay)

    def _argument(self) -> dict[str, Any]:
        return wiring.argument(
            self._table,
            self.addresses,
            self._holders,
            delay=self._parameters.delay,
            limits=self._limits(),
            attestors=self._parameters.attestors,
            quorum=self._parameters.quorum,
        )

    def _limits(self) -> list[tuple[str, Limit]]:
        """The window above all keys, and each minting key's bucket."""
        buckets = [(self._holders[job], self._parameters.bucket) for job in MINTING]
        return [(WINDOW, self._parameters.window), *buckets]

    def _describe(self) -> Deployment:
        block, _ = self._kept()
        return Deployment(
            chain_id=self._network.chain_id,
            genesis=self._network.genesis,
            block=block or 0,
            delay=self._parameters.delay,
            quorum=self._parameters.quorum,
            attestors=self._parameters.attestors,
            keys=self._holders,
            code={name: keccak(bytes.fromhex(rpc.code(self._node, self.addresses[name])[2:])) for name in _ORDER},
            compiler_input=self._compilation.digest,
            former={},
            **self.addresses,
        )

    def _save(self) -> None:
        found = self._describe()
        if self._known() != found:
            found.save(self._record)
        if not self._network.is_local:
            name = f"{found.chain_id}-{found.token}"
            found.save(self._public / f"{name}.json")
            source = json.dumps(self._compilation.standard_input, indent=2, sort_keys=True)
            replace(self._public / f"{name}.input.json", source.encode())

    def _known(self) -> Deployment | None:
        return load(self._record) if self._record.exists() else None

    def _require_same(self) -> None:
        """What cannot change after deployment is in the addresses: another one would be a second issuer."""
        known = self._known()
        if known is not None and {name: known.address(name) for name in _ORDER} != self.addresses:
            raise Refused(
                f"this home has token {known.token}, deployed with another chain, delay, table, keys or compiler",
                "Use the settings and the version it was deployed with, or start another home.",
            )

    # -- looking

    def _part(self, name: str) -> Item:
        address = self.addresses[name]
        code = bytes.fromhex(rpc.code(self._node, address)[2:])
        if not code:
            return Item(name=name, state=State.MISSING, detail=address)
        if not self._compilation.contracts[SOURCES[name]].matches(code):
            return Item(name=name, state=State.DIFFERS, detail=f"the code at {address} is not the compiler's")
        return Item(name=name, state=State.EXISTS, detail=address)

    def _wiring(self) -> Item:
        done = self._view("bootstrap", BOOTSTRAP, "done")["0"]
        return Item(name="wiring", state=State.EXISTS if done else State.MISSING, detail="roles, limits, attestors")

    def _fund(self, job: Job) -> Item:
        address, allowance = self._keys.address(job), self._parameters.allowance
        balance = rpc.balance(self._node, address)
        state = State.EXISTS if balance >= allowance // 2 else State.MISSING
        return Item(name=_fund_name(job), state=state, detail=f"{address} has {balance} of {allowance} wei")

    def _checks(self) -> Iterator[Item]:
        """Whether chain, parameters and table still say the same, once everything is wired."""
        wanted = self._parameters
        yield _equal("minter of the token", self._view("token", TOKEN, "minter")["0"], self.addresses["minter"])
        yield _equal("feed of the token", self._view("token", TOKEN, "feed")["0"], self.addresses["feed"])
        for key, limit in self._limits():
            found = self._view("minter", MINTER, "bucketOf", key)
            name = "window" if key == WINDOW else f"bucket of {key}"
            yield _equal(name, (found["capacity"], found["refill"]), (limit.capacity, limit.refill))
        found = self._view("feed", FEED, "attestorSet")
        yield _equal("attestors", (found["quorum"], found["count"]), (wanted.quorum, len(wanted.attestors)))
        for attestor in wanted.attestors:
            yield _equal(f"attestor {attestor}", self._view("feed", FEED, "isAttestor", attestor)["0"], True)
        yield from self._grants()
        yield from self._permissions()

    def _grants(self) -> Iterator[Item]:
        names = {number: name for name, number in self._table.roles.items()}
        holders = {**self._holders, **{name: self.addresses[short] for name, short in wiring.CONTRACT_FILES.items()}}
        for role, account in [(self._table.roles["ADMIN"], holders["admin"]), *self._table.grants(holders)]:
            since = self._view("authority", AUTHORITY, "getAccess", role, account)["since"]
            holds = self._view("authority", AUTHORITY, "hasRole", role, account)["isMember"]
            state = State.EXISTS if holds else State.PENDING if since else State.DIFFERS
            detail = f"{account} from {since} on" if since else f"{account} does not hold it"
            yield Item(name=f"role {names[role]}", state=state, detail=detail)

    def _permissions(self) -> Iterator[Item]:
        for item in self._table.permissions():
            target = self.addresses[item.contract]
            found = {
                self._view("authority", AUTHORITY, "getTargetFunctionRole", target, selector)["0"]
                for selector in item.selectors
            }
            yield _equal(f"permissions of role {item.role} on {item.contract}", found, {item.role})

    def _view(self, name: str, contract: contracts.Contract, function: str, *arguments: Any) -> dict[str, Any]:
        data = rpc.read(self._node, self.addresses[name], contract.call(function, *arguments))
        return contract.output(function, data)


def _fund_name(job: Job) -> str:
    return f"gas of {job}"


def _equal(name: str, found: Any, wanted: Any) -> Item:
    if found == wanted:
        return Item(name=name, state=State.EXISTS, detail=str(found))
    return Item(name=name, state=State.DIFFERS, detail=f"{found} on chain, {wanted} wanted")
