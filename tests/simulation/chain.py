"""A chain inside the test: the contracts' real bytecode in revm, with a pool, blocks, fees and reorganisations.

It does what a real chain does and nothing at random: which transactions a block takes, which are dropped and how deep
a reorganisation goes is decided by whoever holds it. A node that answers from it, and may lie, is in `node.py`.

Left out, because the issuer cannot notice it: contracts that see ether, contract creation other than by the factory,
and gas that depends on what an earlier transaction of another block has warmed.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256

from pyrevm import EVM, AccountInfo, BlockEnv, CfgEnv, Env, JournalCheckpoint

from issuer.chain.anvil import CHAIN_ID, FAUCET_KEY
from issuer.chain.create2 import FACTORY
from issuer.chain.signer import LocalSigner
from issuer.messages.abi import checksum
from issuer.messages.transactions import Transaction, decode

FINALITY = 2
"""A block is final once so many lie on it."""

GAS_LIMIT = 30_000_000  # of a block
TRANSFER_GAS = 21_000
LEAST_BUMP = (110, 100)
"""A replacement offers at least so much more of both fees (geth's `--txpool.pricebump`)."""

# Its published code (Nick Johnson's deterministic deployment proxy), which every chain has at this address.
_FACTORY_CODE = bytes.fromhex(
    "7f" + "ff" * 31 + "e03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
)
# revm pads the code that it gives, so it is copied by a contract: EXTCODECOPY of the address in the calldata.
_COPIER, _COPIER_CODE = "0x" + "c0" * 20, bytes.fromhex("5f35803b805f5f843c5ff3")
_REVERT = re.compile(r"output: (0x[0-9a-f]*)")
_FAUCET = LocalSigner(FAUCET_KEY).address


Takes = Callable[[Transaction], bool]
"""Whether a block takes a transaction that could be in it."""


@dataclass(frozen=True, slots=True)
class Account:
    nonce: int = 0
    balance: int = 0  # wei


@dataclass(frozen=True, slots=True)
class Log:
    address: str  # EIP-55
    topics: tuple[str, ...]
    data: str


@dataclass(frozen=True, slots=True)
class Result:
    succeeded: bool
    data: str  # returned, or reverted with
    gas_used: int
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True)
class Mined:
    transaction: Transaction
    result: Result


@dataclass(frozen=True, slots=True)
class Block:
    number: int
    hash: str
    parent: str
    timestamp: int
    base_fee: int
    mined: tuple[Mined, ...]
    accounts: dict[str, Account]  # after it
    checkpoint: JournalCheckpoint  # of the contracts' state after it

    def logs(self) -> Iterator[tuple[int, Mined, Log]]:
        """Every log with its place in the block."""
        place = 0
        for item in self.mined:
            for log in item.result.logs:
                yield place, item, log
                place += 1


@dataclass
class Chain:
    """The one chain that is; `blocks` is the canonical one, from genesis to head."""

    genesis_time: int
    evm: EVM = field(default_factory=lambda: EVM(Env(cfg=CfgEnv(chain_id=CHAIN_ID)), spec_id="PRAGUE"))
    blocks: list[Block] = field(default_factory=list)
    pool: dict[tuple[str, int], Transaction] = field(default_factory=dict)
    next_base_fee: int = 10**9
    tip: int = 10**9  # that the node suggests
    base: int = 0  # blocks up to this one are never taken away
    places: dict[str, int] = field(default_factory=dict)  # number of the canonical block of each mined transaction

    def __post_init__(self) -> None:
        for address, code in ((FACTORY, _FACTORY_CODE), (_COPIER, _COPIER_CODE)):
            self.evm.insert_account_info(address, AccountInfo(nonce=1, code=code))
        self._append(self.genesis_time, (), {_FAUCET: Account(balance=10**24)}, salt=b"genesis")

    # -- what is so

    @property
    def head(self) -> Block:
        return self.blocks[-1]

    def final(self, head: int | None = None) -> Block:
        """The newest block that is final when `head` is the newest block."""
        newest = self.head.number if head is None else head
        return self.blocks[max(0, newest - FINALITY)]

    def mined(self, transaction: str) -> tuple[Block, Mined] | None:
        """Where a transaction lies in the canonical chain."""
        number = self.places.get(transaction)
        if number is None:
            return None
        block = self.blocks[number]
        return block, next(item for item in block.mined if item.transaction.hash == transaction)

    def account(self, address: str, number: int | None = None) -> Account:
        block = self.head if number is None else self.blocks[number]
        return block.accounts.get(address, Account())

    def code(self, address: str) -> bytes:
        return bytes.fromhex(self.call(_FAUCET, _COPIER, "0x" + address[2:].rjust(64, "0")).data[2:])

    def call(self, sender: str, target: str, data: str, *, number: int | None = None) -> Result:
        """What a call returns on a block's state (the head's by default); nothing is changed."""
        return self.simulate([(sender, target, data, None)], number=number)[0]

    def simulate(
        self, calls: Sequence[tuple[str, str, str, int | None]], *, number: int | None = None, later: int = 0
    ) -> list[Result]:
        """What calls (sender, target, data, gas) do one after another, some seconds after a block."""
        block = self.head if number is None else self.blocks[number]
        with self._state_of(block):
            self._enter(block.number + (later > 0), block.timestamp + later, block.base_fee)
            return [self._run(sender, target, data, gas) for sender, target, data, gas in calls]

    # -- what happens

    def submit(self, raw: str) -> str | None:
        """Take signed bytes into the pool; None, or why not, in geth's words."""
        found = read(raw)
        if found.chain_id != CHAIN_ID:
            return "invalid chain id for signer"
        key = (found.sender, found.nonce)
        known = self.pool.get(key)
        if known is not None and known.hash == found.hash:
            return "already known"
        account = self.account(found.sender)
        if found.nonce < account.nonce:
            return "nonce too low"
        if found.gas * found.max_fee + found.value > account.balance:
            return "insufficient funds for gas * price + value"
        if known is not None and not _replaces(found, known):
            return "replacement transaction underpriced"
        self.pool[key] = found
        return None

    def mine(
        self, timestamp: int, takes: Callable[[Transaction], bool] = lambda _: True, *, salt: bytes = b""
    ) -> Block:
        """Mine a block of the waiting transactions that pay its base fee and that it is to take."""
        accounts = dict(self.head.accounts)
        self._enter(self.head.number + 1, timestamp, self.next_base_fee)
        mined: list[Mined] = []
        while (found := self._next(accounts, takes, {item.transaction.hash for item in mined})) is not None:
            mined.append(self._execute(found, accounts))
        block = self._append(timestamp, tuple(mined), accounts, salt=salt)
        for key in [key for key in self.pool if key[1] < self.account(key[0]).nonce]:
            del self.pool[key]
        return block

    def retreat(self, depth: int) -> list[Transaction]:
        """Take the newest blocks away; their transactions, oldest first, which nothing holds any more."""
        gone = self.blocks[-depth:]
        del self.blocks[-depth:]
        self._return_to(self.head)
        lost = [item.transaction for block in gone for item in block.mined]
        for item in lost:
            del self.places[item.hash]
        return lost

    def put_back(self, transactions: Sequence[Transaction]) -> None:
        """Have transactions wait again that were taken away with their blocks."""
        for item in transactions:
            self.pool.setdefault((item.sender, item.nonce), item)

    def fund(self, address: str, wei: int) -> None:
        """Give an account ether from nowhere."""
        accounts = self.head.accounts
        accounts[address] = replace(accounts.get(address, Account()), balance=wei)

    # -- within

    def _next(self, accounts: dict[str, Account], takes: Takes, done: set[str]) -> Transaction | None:
        """The waiting transaction that pays most among those that can come next; the older of two that pay alike."""
        ready = [
            item
            for (sender, nonce), item in self.pool.items()
            if item.hash not in done
            and nonce == accounts.get(sender, Account()).nonce
            and item.max_fee >= self.next_base_fee
            and accounts[sender].balance >= item.gas * item.max_fee + item.value
            and takes(item)
        ]
        return max(ready, key=lambda item: min(item.priority_fee, item.max_fee - self.next_base_fee), default=None)

    def _execute(self, item: Transaction, accounts: dict[str, Account]) -> Mined:
        result = self._run(item.sender, item.target, item.data, item.gas, value=item.value)
        price = min(item.max_fee, self.next_base_fee + item.priority_fee)
        moved = item.value if result.succeeded else 0
        sender = accounts[item.sender]
        paid = sender.balance - result.gas_used * price - moved
        accounts[item.sender] = Account(nonce=sender.nonce + 1, balance=paid)
        target = accounts.get(item.target, Account())
        accounts[item.target] = replace(target, balance=target.balance + moved)
        return Mined(item, result)

    def _run(self, sender: str, target: str, data: str, gas: int | None, *, value: int = 0) -> Result:
        if self.evm.get_code(target) is None:
            return Result(succeeded=True, data="0x", gas_used=TRANSFER_GAS, logs=())
        if value:
            # No contract here takes ether.
            return Result(succeeded=False, data="0x", gas_used=TRANSFER_GAS, logs=())
        self.evm.reset_transient_storage()
        try:
            returned = self.evm.message_call(
                caller=sender, to=target, calldata=bytes.fromhex(data[2:]), gas=gas or GAS_LIMIT
            )
        except RuntimeError as refusal:
            result = self.evm.result
            if result is None:
                raise  # revm would not even begin
            found = _REVERT.search(str(refusal))
            return Result(succeeded=False, data=found[1] if found else "0x", gas_used=result.gas_used, logs=())
        result = self.evm.result
        assert result is not None
        logs = tuple(Log(checksum(log.address), tuple(log.topics), "0x" + log.data[1].hex()) for log in result.logs)
        return Result(succeeded=True, data="0x" + returned.hex(), gas_used=result.gas_used, logs=logs)

    def _append(self, timestamp: int, mined: tuple[Mined, ...], accounts: dict[str, Account], *, salt: bytes) -> Block:
        number = len(self.blocks)
        parent = self.blocks[-1].hash if self.blocks else "0x" + "00" * 32
        told = [parent, str(number), str(timestamp), *(item.transaction.hash for item in mined)]
        block = Block(
            number=number,
            hash="0x" + sha256("|".join(told).encode() + salt).hexdigest(),
            parent=parent,
            timestamp=timestamp,
            base_fee=self.next_base_fee,
            mined=mined,
            accounts=accounts,
            checkpoint=self._checkpoint(),
        )
        self.blocks.append(block)
        self.places |= {item.transaction.hash: number for item in mined}
        return block

    def _enter(self, number: int, timestamp: int, base_fee: int) -> None:
        self.evm.set_block_env(BlockEnv(number=number, timestamp=timestamp, basefee=base_fee, gas_limit=GAS_LIMIT))

    @contextmanager
    def _state_of(self, block: Block) -> Iterator[None]:
        """The contracts' state after a block of the canonical chain; afterwards the head's again."""
        if block is not self.head:
            self._return_to(block)
        try:
            yield
        finally:
            self._return_to(block)
            for later in self.blocks[block.number + 1 :]:
                self._replay(later)

    def _replay(self, block: Block) -> None:
        self._enter(block.number, block.timestamp, block.base_fee)
        for item in block.mined:
            found = item.transaction
            self._run(found.sender, found.target, found.data, found.gas, value=found.value)
        self.blocks[block.number] = replace(block, checkpoint=self._checkpoint())

    def _checkpoint(self) -> JournalCheckpoint:
        """A point to return to. It is closed at once, or a thousand of them would be as deep as calls may nest."""
        point = self.evm.snapshot()
        self.evm.commit()
        return point

    def _return_to(self, block: Block) -> None:
        self.evm.snapshot()  # going back closes one
        self.evm.revert(block.checkpoint)
        self.blocks[block.number] = replace(block, checkpoint=self._checkpoint())


@lru_cache(maxsize=10_000)
def read(raw: str) -> Transaction:
    """Signed bytes, decoded once."""
    return decode(raw)


def _replaces(new: Transaction, old: Transaction) -> bool:
    much, of = LEAST_BUMP
    return new.max_fee * of >= old.max_fee * much and new.priority_fee * of >= old.priority_fee * much
