"""The whole system on a real chain, wired from contracts/roles.toml by the bootstrap, for tests that press its buttons."""

import itertools
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.contract import Contract
from web3.types import TxReceipt

from issuer.chain.compiler import CHECKOUT, Compilation
from tests.anvil import TestChain

CNH = 10**6
FEN = 10**4
DELAY = 3600
DAY = 86_400
NO_REFERENCE = bytes(32)

_KEYS = ("deployer", "admin", "guardian", "registrar", "freezer", "sender", "alice", "bob", "carol", "mallory")
ATTESTORS: tuple[LocalAccount, ...] = tuple(
    sorted((Account.from_key(bytes(31) + bytes([n])) for n in (1, 2)), key=lambda key: int(key.address, 16))
)

REPORT_TYPES = {
    "Report": [
        {"name": "token", "type": "address"},
        {"name": "number", "type": "uint64"},
        {"name": "reserve", "type": "uint256"},
        {"name": "paid", "type": "uint256"},
        {"name": "credited", "type": "uint256"},
        {"name": "asOf", "type": "uint64"},
        {"name": "logRoot", "type": "bytes32"},
        {"name": "logSize", "type": "uint64"},
    ]
}


def table() -> dict[str, Any]:
    return tomllib.loads((CHECKOUT / "contracts" / "roles.toml").read_text())


def role_ids() -> dict[str, int]:
    return {role["name"]: role["id"] for role in table()["roles"]}


def order(recipient: str, value: int) -> int:
    return int(recipient, 16) << 96 | value


@dataclass(kw_only=True)
class System:
    chain: TestChain
    web3: Web3
    keys: Mapping[str, str]
    authority: Contract
    feed: Contract
    token: Contract
    minter: Contract
    bootstrap: Contract
    numbers: itertools.count = field(default_factory=lambda: itertools.count(1))  # type: ignore[type-arg]

    def now(self) -> int:
        return int(self.web3.eth.get_block("latest")["timestamp"])

    def pass_time(self, seconds: int) -> None:
        self.chain.mine_at(self.now() + seconds)

    def send(self, call: Any, by: str) -> TxReceipt:
        return self.web3.eth.wait_for_transaction_receipt(call.transact({"from": self.keys.get(by, by)}))

    def verify(self, *names: str) -> None:
        self.send(self.token.functions.verify([self.keys[name] for name in names]), "registrar")

    def report(self, reserve: int, credited: int | None = None, paid: int = 0, **changed: Any) -> dict[str, Any]:
        """The message of the next report, as of now."""
        message = {
            "token": self.token.address,
            "number": next(self.numbers),
            "reserve": reserve,
            "paid": paid,
            "credited": reserve if credited is None else credited,
            "asOf": self.now(),
            "logRoot": bytes(32),
            "logSize": 0,
        }
        return message | changed

    def sign(self, message: Mapping[str, Any], signers: Sequence[LocalAccount] = ATTESTORS) -> list[bytes]:
        domain = {
            "name": "ReserveFeed",
            "version": "1",
            "chainId": self.web3.eth.chain_id,
            "verifyingContract": self.feed.address,
        }
        return [bytes(s.sign_typed_data(domain, REPORT_TYPES, dict(message)).signature) for s in signers]

    def attest(self, reserve: int, credited: int | None = None, paid: int = 0) -> TxReceipt:
        message = self.report(reserve, credited, paid)
        self.pass_time(1)
        return self.send(self.feed.functions.post(tuple(message.values()), self.sign(message)), "mallory")

    def mint(self, *orders: tuple[str, int], reference: bytes = NO_REFERENCE) -> TxReceipt:
        packed = [order(self.keys[name], value) for name, value in orders]
        first = self.token.functions.nextNumber().call()
        return self.send(self.minter.functions.mint(first, reference, packed), "sender")

    def slowly(self, part: Contract, call: Any) -> TxReceipt:
        """Propose an act as admin, wait, accept it."""
        act = bytes.fromhex(call._encode_transaction_data()[2:])
        self.send(part.functions.propose(act), "admin")
        self.pass_time(DELAY)
        return self.send(part.functions.accept(act), "admin")


def deploy(chain: TestChain, compilation: Compilation) -> System:
    web3 = Web3(Web3.HTTPProvider(chain.url))
    keys = dict(zip(_KEYS, web3.eth.accounts, strict=True))

    def create(name: str, *arguments: Any) -> Contract:
        compiled = compilation.contracts[name]
        factory = web3.eth.contract(abi=list(compiled.abi), bytecode=compiled.creation_code)
        receipt = web3.eth.wait_for_transaction_receipt(
            factory.constructor(*arguments).transact({"from": keys["deployer"]})
        )
        return web3.eth.contract(address=receipt["contractAddress"], abi=list(compiled.abi))  # type: ignore[arg-type]

    ids = role_ids()
    bootstrap = create("Bootstrap", keys["deployer"], keys["admin"])
    authority = create("Authority", bootstrap.address, conflict_sets())
    feed = create("ReserveFeed", authority.address, ids["ATTESTOR"], DELAY)
    token = create("OffshoreYuan", authority.address, feed.address, DELAY)
    minter = create("Minter", authority.address, token.address, ids["MINTING_KEY"], DELAY)
    system = System(
        chain=chain,
        web3=web3,
        keys=keys,
        authority=authority,
        feed=feed,
        token=token,
        minter=minter,
        bootstrap=bootstrap,
    )
    system.send(bootstrap.functions.run(wiring(system, compilation)), "deployer")
    return system


def conflict_sets() -> list[int]:
    """For each role, the set of roles that conflict with it, bit i for role i."""
    ids = role_ids()
    sets = [0] * len(ids)
    for left, right in table()["conflicts"]:
        sets[ids[left]] |= 1 << ids[right]
        sets[ids[right]] |= 1 << ids[left]
    return sets


def wiring(system: System, compilation: Compilation) -> tuple[Any, ...]:
    """The argument of Bootstrap.run, as the comments of roles.toml say."""
    ids = role_ids()
    roles = table()["roles"]
    parts = {
        "OffshoreYuan": system.token.address,
        "Minter": system.minter.address,
        "ReserveFeed": system.feed.address,
        "Authority": system.authority.address,
    }
    addresses = {**system.keys, **parts}
    markers = {role["name"] for role in roles if role["admin"] != "ADMIN"}
    return (
        system.authority.address,
        system.token.address,
        system.minter.address,
        system.feed.address,
        [
            (r["id"], ids[r["admin"]], ids[r["guardian"]], DELAY if r["grant_delay"] == "delay" else 0, r["name"])
            for r in roles
        ],
        [
            (role["id"], addresses[holder])
            for role in roles
            if role["name"] not in {"ADMIN", *markers}
            for holder in role["holders"]
        ],
        [
            (parts[contract], ids[role], selectors)
            for contract, role, selectors in _permissions(compilation)
            if contract in parts
        ],
        list(parts.values()),
        DELAY,
        [(f"0x{0:040x}", 10_000_000 * CNH, 100 * CNH), (system.keys["sender"], 5_000_000 * CNH, 50 * CNH)],
        [key.address for key in ATTESTORS],
        2,
    )


def callers(entry: str | list[str]) -> list[str]:
    """Who stands behind an entry of the table's ``functions``."""
    return entry if isinstance(entry, list) else [entry]


def _permissions(compilation: Compilation) -> Iterable[tuple[str, str, list[bytes]]]:
    ids = role_ids()
    for contract, entries in table()["contracts"].items():
        selectors = compilation.contracts[contract].method_identifiers
        rights = {**{name: callers(entry)[0] for name, entry in entries["functions"].items()}, **entries["slow"]}
        for role in ids:
            names = [name for name, right in rights.items() if right == role and role != "ADMIN"]
            if names:
                yield contract, role, [bytes.fromhex(selectors[name]) for name in names]
