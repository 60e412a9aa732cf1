"""The questions the issuer asks a node, typed. Source: Ethereum Execution APIs (ethereum/execution-apis).

An answer that cannot be read is no answer: it raises Unreachable, and nothing is decided from it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from issuer import crash
from issuer.chain.node import HEX, Node, NodeError, data_text
from issuer.errors import InvalidInput, Unreachable
from issuer.messages.abi import checksum, keccak

_HASH_LENGTH = 2 + 64
_QUANTITY = re.compile("0x[0-9a-fA-F]+")

_COUNT = 63
"""Bits of what is counted: as many as a column of the database holds."""

_TIME = 37
"""Bits of a time in seconds: up to the year 6325."""

_WORD = 256
_BLOOM = 2048

Place = int | str
"""A block by number, by hash, or by tag (``latest``, ``finalized``)."""


@dataclass(frozen=True, kw_only=True)
class Block:
    number: int
    hash: str
    parent: str
    timestamp: int  # seconds since 1970 UTC
    base_fee: int  # wei per gas
    bloom: int  # of the addresses and topics of its logs, 2048 bits
    size: int  # transactions in it

    def may_have_logs_of(self, address: str) -> bool:
        """False only if no log in the block is of the contract (Ethereum's yellow paper, 4.4.1 and 4.4.3)."""
        digest = bytes.fromhex(keccak(bytes.fromhex(address[2:]))[2:])
        bits = (int.from_bytes(digest[place : place + 2], "big") % 2048 for place in (0, 2, 4))
        return all(self.bloom >> bit & 1 for bit in bits)


@dataclass(frozen=True, kw_only=True)
class Mined:
    """A transaction as its block has it."""

    hash: str
    sender: str
    nonce: int
    target: str | None  # None: it creates a contract
    data: str
    value: int  # wei


@dataclass(frozen=True, kw_only=True)
class Receipt:
    transaction: str
    block_number: int
    block_hash: str
    succeeded: bool
    gas_used: int


@dataclass(frozen=True, kw_only=True)
class Log:
    block_number: int
    block_hash: str
    index: int  # within the block
    transaction: str
    address: str
    topics: tuple[str, ...]
    data: str


@dataclass(frozen=True, kw_only=True)
class Call:
    sender: str
    target: str
    data: str
    gas: int | None = None
    value: int = 0  # wei


@dataclass(frozen=True, kw_only=True)
class Result:
    succeeded: bool
    data: str  # returned, or reverted with
    gas_used: int


def chain_id(node: Node) -> int:
    return _number(node.call("eth_chainId"))


def block(node: Node, place: Place) -> Block | None:
    """A block's header, or None if the node does not have it (yet, or any more)."""
    answer = _raw_block(node, place, full=False)
    return None if answer is None else _block(answer)


def head(node: Node) -> Block:
    """The newest block of the node's chain."""
    latest = block(node, "latest")
    if latest is None:
        raise Unreachable("the node has no latest block")
    return latest


def senders(node: Node, number: int) -> tuple[Block, list[tuple[str, int, str]]] | None:
    """A block with the (sender, nonce, hash) of each of its transactions."""
    answer = _raw_block(node, number, full=True)
    if answer is None:
        return None
    with _reading("a block's transactions"):
        found = [
            (checksum(item["from"]), _number(item["nonce"]), _hash(item["hash"])) for item in answer["transactions"]
        ]
    return _block(answer), found


def transactions(node: Node, number: int) -> list[Mined]:
    """The transactions of a block. Raises Unreachable if the node does not have it."""
    answer = _raw_block(node, number, full=True)
    if answer is None:
        raise Unreachable(f"the node does not have block {number}, which was final")
    with _reading("a block's transactions"):
        return [
            Mined(
                hash=_hash(item["hash"]),
                sender=checksum(item["from"]),
                nonce=_number(item["nonce"]),
                target=checksum(item["to"]) if item["to"] else None,
                data=_data(item["input"]),
                value=_number(item["value"], _WORD),
            )
            for item in answer["transactions"]
        ]


def receipt(node: Node, transaction: str) -> Receipt | None:
    """The receipt of a mined transaction; None says nothing, because a node may lag behind itself."""
    answer = node.call("eth_getTransactionReceipt", [transaction])
    with _reading("a receipt"):
        if answer is None or answer["blockHash"] is None:
            return None
        return Receipt(
            transaction=_hash(answer["transactionHash"]),
            block_number=_number(answer["blockNumber"]),
            block_hash=_hash(answer["blockHash"]),
            succeeded=_number(answer["status"]) == 1,
            gas_used=_number(answer["gasUsed"]),
        )


def knows(node: Node, transaction: str) -> bool:
    """Whether a transaction waits in the node's pool, or is mined."""
    return node.call("eth_getTransactionByHash", [transaction]) is not None


def nonce(node: Node, address: str, place: Place = "latest") -> int:
    """How many transactions of the account are in the chain at that block."""
    return _number(node.call("eth_getTransactionCount", [address, _place(place)]))


def balance(node: Node, address: str, place: Place = "latest") -> int:
    """The account's gas money in wei."""
    return _number(node.call("eth_getBalance", [address, _place(place)]), _WORD)


def code(node: Node, address: str, place: Place = "latest") -> str:
    """The account's code, 0x-hex; ``0x`` if there is none."""
    return _data(node.call("eth_getCode", [address, _place(place)]))


def logs(node: Node, addresses: Sequence[str], first: int, last: int) -> list[Log]:
    """The logs of these contracts in blocks first to last, in the chain's order."""
    wanted = {"address": list(addresses), "fromBlock": hex(first), "toBlock": hex(last)}
    answer = node.call("eth_getLogs", [wanted])
    if not isinstance(answer, list):
        raise _nonsense("logs")
    with _reading("logs"):
        found = [_log(item) for item in answer if not item.get("removed")]
    return sorted(found, key=lambda item: (item.block_number, item.index))


def block_logs(node: Node, where: Block, addresses: Sequence[str]) -> list[Log]:
    """The logs of these contracts in one block, from its receipts: all of them, or Unreachable.

    Unlike a search for logs, a node that does not have the block cannot answer as if there were none.
    """
    answer = node.call("eth_getBlockReceipts", [where.hash])
    if not isinstance(answer, list) or len(answer) != where.size:
        raise _nonsense("a block's receipts")
    with _reading("a block's receipts"):
        found = [_log(item) for receipt in answer for item in receipt["logs"]]
    if any(log.block_hash != where.hash for log in found):
        raise _nonsense(f"the receipts of block {where.hash}")
    return sorted((log for log in found if log.address in addresses), key=lambda log: log.index)


def read(node: Node, target: str, data: str, place: Place = "latest", *, sender: str | None = None) -> str:
    """What a call returns, without sending it. Raises NodeError with the reverted bytes."""
    call = {"to": target, "data": data} | ({"from": sender} if sender else {})
    return _data(node.call("eth_call", [call, _place(place)]))


def run(node: Node, code: str, place: Place) -> str:
    """What creation code returns, run as if it were sent and never kept: several reads of one state in one call."""
    return _data(node.call("eth_call", [{"data": code}, _place(place)]))


def simulate(node: Node, calls: Iterable[Call], place: Place) -> list[Result]:
    """What the calls would do one after another in a block on top of ``place`` (eth_simulateV1)."""
    wanted = [_call(item) for item in calls]
    blocks = {"blockStateCalls": [{"calls": wanted}], "validation": False}
    answer = node.call("eth_simulateV1", [blocks, _place(place)])
    with _reading("a simulation"):
        found = [_result(item) for item in answer[0]["calls"]]
    if len(found) != len(wanted):
        raise _nonsense("a simulation")
    return found


def priority_fee(node: Node) -> int:
    """The tip per gas, in wei, that the node suggests."""
    return _number(node.call("eth_maxPriorityFeePerGas"), _WORD)


def next_base_fee(node: Node) -> int:
    """The base fee per gas, in wei, of the block that comes next."""
    answer = node.call("eth_feeHistory", ["0x1", "latest", []])
    with _reading("a fee history"):
        return _number(answer["baseFeePerGas"][-1], _WORD)


def gas_limit(node: Node) -> int:
    """How much gas the newest block may hold."""
    answer = _raw_block(node, "latest", full=False)
    with _reading("a block's gas limit"):
        return _number((answer or {})["gasLimit"])


def broadcast(node: Node, raw: str) -> str | None:
    """Hand signed bytes to the node. None if it took them, or else its reason, which never proves that they are lost.

    "Already known" and "nonce too low" are answers to look after, so a refusal is returned and not raised.
    """
    with crash.around("chain.broadcast"):
        try:
            node.call("eth_sendRawTransaction", [raw])
        except NodeError as refusal:
            return refusal.message
    return None


def _raw_block(node: Node, place: Place, *, full: bool) -> dict[str, Any] | None:
    by_hash = isinstance(place, str) and place.startswith("0x")
    try:
        answer = node.call("eth_getBlockByHash" if by_hash else "eth_getBlockByNumber", [_place(place), full])
    except NodeError as refusal:
        if "not found" in refusal.message or "unknown block" in refusal.message:
            return None
        raise
    if answer is not None and not isinstance(answer, dict):
        raise _nonsense("a block")
    return answer


def _block(answer: dict[str, Any]) -> Block:
    with _reading("a block"):
        return Block(
            number=_number(answer["number"]),
            hash=_hash(answer["hash"]),
            parent=_hash(answer["parentHash"]),
            timestamp=_number(answer["timestamp"], _TIME),
            base_fee=_number(answer["baseFeePerGas"], _WORD),
            bloom=_number(answer["logsBloom"], _BLOOM),
            size=len(answer["transactions"]),
        )


def _log(item: dict[str, Any]) -> Log:
    return Log(
        block_number=_number(item["blockNumber"]),
        block_hash=_hash(item["blockHash"]),
        index=_number(item["logIndex"]),
        transaction=_hash(item["transactionHash"]),
        address=checksum(item["address"]),
        topics=tuple(map(_hash, item["topics"])),
        data=_data(item["data"]),
    )


def _call(call: Call) -> dict[str, str]:
    wanted = {"from": call.sender, "to": call.target, "input": call.data, "value": hex(call.value)}
    return wanted if call.gas is None else wanted | {"gas": hex(call.gas)}


def _result(item: dict[str, Any]) -> Result:
    # geth gives the reverted bytes in the error, Anvil as the returned data.
    error = item.get("error") or {}
    return Result(
        succeeded=_number(item["status"]) == 1,
        data=data_text(error.get("data")) or _data(item["returnData"]),
        gas_used=_number(item["gasUsed"]),
    )


def _place(place: Place) -> str:
    return hex(place) if isinstance(place, int) else place


def _number(answer: Any, bits: int = _COUNT) -> int:
    if not isinstance(answer, str) or not _QUANTITY.fullmatch(answer) or (found := int(answer, 16)) >> bits:
        raise _nonsense("a number")
    return found


def _data(answer: Any) -> str:
    if not isinstance(answer, str) or not HEX.fullmatch(answer):
        raise _nonsense("bytes")
    return answer.lower()


def _hash(answer: Any) -> str:
    found = _data(answer)
    if len(found) != _HASH_LENGTH:
        raise _nonsense("a hash")
    return found


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Whatever is wrong with an answer's form makes it no answer."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, IndexError, InvalidInput) as error:
        raise _nonsense(what) from error


def _nonsense(what: str) -> Unreachable:
    return Unreachable(f"the node answered with something that is not {what}")
