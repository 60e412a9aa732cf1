"""The whole system on a real chain, wired by the bootstrap from contracts/roles.toml, its buttons within reach."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.contract import Contract
from web3.types import TxReceipt

from issuer.chain.compiler import CHECKOUT, Compilation
from issuer.chain.wiring import Limit, Table, argument
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


TABLE = Table(CHECKOUT / "contracts" / "roles.toml")
WINDOW = f"0x{0:040x}"
LIMITS = {
    WINDOW: Limit(capacity=10_000_000 * CNH, refill=100 * CNH),
    "sender": Limit(capacity=5_000_000 * CNH, refill=50 * CNH),
}


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
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def parts(self) -> dict[str, Contract]:
        return {"token": self.token, "minter": self.minter, "feed": self.feed, "authority": self.authority}

    def wiring(self) -> dict[str, Any]:
        return argument(
            TABLE,
            {name: part.address for name, part in self.parts.items()},
            self.keys,
            delay=DELAY,
            limits=[(self.keys.get(key, key), limit) for key, limit in LIMITS.items()],
            attestors=[key.address for key in ATTESTORS],
            quorum=2,
        )

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

    @property
    def domain(self) -> dict[str, Any]:
        return {
            "name": "ReserveFeed",
            "version": "1",
            "chainId": self.web3.eth.chain_id,
            "verifyingContract": self.feed.address,
        }

    def sign(
        self,
        message: Mapping[str, Any],
        signers: Sequence[LocalAccount] = ATTESTORS,
        domain: Mapping[str, Any] | None = None,
    ) -> list[bytes]:
        domain = dict(domain or self.domain)
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
        address = receipt["contractAddress"]
        assert address is not None
        return factory(address)

    roles = TABLE.roles
    bootstrap = create("Bootstrap", keys["deployer"], keys["admin"])
    authority = create("Authority", bootstrap.address, TABLE.conflicts())
    feed = create("ReserveFeed", authority.address, roles["ATTESTOR"], DELAY)
    token = create("OffshoreYuan", authority.address, feed.address, DELAY)
    minter = create("Minter", authority.address, token.address, roles["MINTING_KEY"], DELAY)
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
    system.send(bootstrap.functions.run(system.wiring()), "deployer")
    return system
