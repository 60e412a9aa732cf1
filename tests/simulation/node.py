"""A node in front of the simulated chain, as JSON-RPC: honest, or in trouble as its holder says.

Whatever is wrong with it, it never invents: what it tells was so at some block of the chain. It may lag, be silent,
leave things out, answer nonsense, take a transaction without saying so, or say so and forget it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from eth_utils.crypto import keccak

from issuer.chain.anvil import CHAIN_ID
from issuer.chain.node import NodeError
from issuer.errors import Unreachable
from tests.simulation.chain import Block, Chain, Log, Mined, Result, read

_SIMULATED_LATER = 12
"""Seconds that eth_simulateV1 puts between a block and the one it makes on top of it."""


@dataclass(kw_only=True)
class Trouble:
    """What is wrong with the node; probabilities are of one call."""

    silent: float = 0  # no answer, and nothing done
    hasty: float = 0  # a broadcast is taken, and no answer given
    forgetful: float = 0  # a broadcast is answered as taken, and thrown away
    crowded: float = 0  # "limit exceeded"
    garbled: float = 0  # an answer of the wrong form
    blind: float = 0  # a receipt that is there is not found
    lag: int = 0  # blocks that it is behind
    jitter: int = 0  # blocks that it is behind at most, another number at each call (several nodes behind one address)
    narrow: int = 0  # blocks that it gives logs of at once, if not 0


@dataclass
class SimulatedNode:
    """The node port (`issuer.chain.node.Node`)."""

    chain: Chain
    random: Random = field(default_factory=lambda: Random(0))  # noqa: S311 - a seed, so that a run repeats
    trouble: Trouble = field(default_factory=Trouble)
    seen: Callable[[str], None] = lambda _: None  # told the name of each trouble that it made
    sent: Callable[[str], None] = lambda _: None  # told the signed bytes that were handed to it

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        if self._strikes("node silent", self.trouble.silent):
            raise Unreachable(f"the simulated node did not answer {method}")
        if self._strikes("node crowded", self.trouble.crowded):
            raise NodeError(method, -32005, "limit exceeded")
        if method == "eth_sendRawTransaction":
            return self._send(method, params[0])
        answer = _ANSWERS[method](self, self._newest(), *params)
        if self._strikes("answer garbled", self.trouble.garbled):
            return self.random.choice([None, {}, [], "soon", "0x", 7, [None], {"hash": None}])
        return answer

    # -- trouble

    def _strikes(self, name: str, chance: float) -> bool:
        if not chance or self.random.random() >= chance:
            return False
        self.seen(name)
        return True

    def _newest(self) -> int:
        """The newest block that this call knows of."""
        behind = self.trouble.lag
        if self.trouble.jitter:
            behind = max(behind, self.random.randint(0, self.trouble.jitter))
        if behind:
            self.seen("node behind")
        return max(self.chain.base, self.chain.head.number - behind)

    def _send(self, method: str, raw: str) -> str:
        self.sent(raw)
        if self._strikes("transaction forgotten", self.trouble.forgetful):
            return read(raw).hash
        refusal = self.chain.submit(raw)
        if self._strikes("broadcast unanswered", self.trouble.hasty):
            raise Unreachable("the simulated node did not answer eth_sendRawTransaction")
        if refusal is not None:
            raise NodeError(method, -32000, refusal)
        return read(raw).hash

    # -- answers, each as from a node whose newest block is `newest`

    def _chain_id(self, _newest: int) -> str:
        return hex(CHAIN_ID)

    def _block_by_number(self, newest: int, place: str, full: bool) -> Any:
        number = self._number(newest, place)
        return None if number > newest else _block(self.chain.blocks[number], full)

    def _block_by_hash(self, newest: int, hash_: str, full: bool) -> Any:
        found = next((block for block in self.chain.blocks[: newest + 1] if block.hash == hash_), None)
        return None if found is None else _block(found, full)

    def _receipt(self, newest: int, hash_: str) -> Any:
        found = self.chain.mined(hash_)
        if found is None or found[0].number > newest or self._strikes("receipt missing", self.trouble.blind):
            return None
        block, mined = found
        return {
            "transactionHash": hash_,
            "blockNumber": hex(block.number),
            "blockHash": block.hash,
            "status": hex(mined.result.succeeded),
            "gasUsed": hex(mined.result.gas_used),
        }

    def _nonce(self, newest: int, address: str, place: str) -> str:
        if place == "pending":
            nonce = self.chain.account(address, newest).nonce
            while (address, nonce) in self.chain.pool:
                nonce += 1
            return hex(nonce)
        return hex(self.chain.account(address, self._state(newest, place)).nonce)

    def _balance(self, newest: int, address: str, place: str) -> str:
        return hex(self.chain.account(address, self._state(newest, place)).balance)

    def _code(self, _newest: int, address: str, _place: str) -> str:
        return "0x" + self.chain.code(address).hex()

    def _logs(self, newest: int, wanted: dict[str, Any]) -> list[Any]:
        first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        if self.trouble.narrow and last - first >= self.trouble.narrow:
            self.seen("range refused")
            raise NodeError("eth_getLogs", -32602, f"at most {self.trouble.narrow} blocks")
        found: list[Any] = []
        # Like geth, it says nothing of blocks that it does not have.
        for block in self.chain.blocks[first : min(last, newest) + 1]:
            told = [item for item in block.logs() if item[2].address in wanted["address"]]
            found += [_log(block, place, mined, log) for place, mined, log in told]
        return found

    def _receipts(self, newest: int, hash_: str) -> Any:
        block = next((block for block in self.chain.blocks[: newest + 1] if block.hash == hash_), None)
        if block is None or self._strikes("receipt missing", self.trouble.blind):
            return None
        logs = [(mined.transaction.hash, _log(block, place, mined, log)) for place, mined, log in block.logs()]
        return [{"logs": [log for hash_, log in logs if hash_ == mined.transaction.hash]} for mined in block.mined]

    def _call(self, newest: int, call: dict[str, Any], place: str) -> str:
        data = call.get("data") or call["input"]
        sender = call.get("from", "0x" + "00" * 20)
        result = self.chain.call(sender, call["to"], data, number=self._state(newest, place))
        if not result.succeeded:
            raise NodeError("eth_call", 3, "execution reverted", result.data)
        return result.data

    def _simulate(self, newest: int, wanted: dict[str, Any], place: str) -> list[Any]:
        calls = [
            (item["from"], item["to"], item["input"], int(item["gas"], 16) if "gas" in item else None)
            for item in wanted["blockStateCalls"][0]["calls"]
        ]
        results = self.chain.simulate(calls, number=self._state(newest, place), later=_SIMULATED_LATER)
        return [{"calls": [_simulated(result) for result in results]}]

    def _tip(self, _newest: int) -> str:
        return hex(self.chain.tip)

    def _fees(self, newest: int, _count: str, _newest_block: str, _rewards: list[Any]) -> Any:
        last = self.chain.blocks[newest].base_fee
        following = self.chain.blocks[newest + 1].base_fee if newest < self.chain.head.number else None
        return {"baseFeePerGas": [hex(last), hex(following or self.chain.next_base_fee)]}

    def _number(self, newest: int, place: str) -> int:
        if place == "latest":
            return newest
        return self.chain.final(newest).number if place == "finalized" else int(place, 16)

    def _state(self, newest: int, place: str) -> int:
        """The block whose state is asked for. Raises NodeError if this node does not have it."""
        number = self._number(newest, place)
        if number > newest:
            raise NodeError("eth_state", -32001, f"block height is {newest} but requested was {number}")
        return number


_ANSWERS: dict[str, Callable[..., Any]] = {
    "eth_chainId": SimulatedNode._chain_id,
    "eth_getBlockByNumber": SimulatedNode._block_by_number,
    "eth_getBlockByHash": SimulatedNode._block_by_hash,
    "eth_getTransactionReceipt": SimulatedNode._receipt,
    "eth_getTransactionCount": SimulatedNode._nonce,
    "eth_getBalance": SimulatedNode._balance,
    "eth_getCode": SimulatedNode._code,
    "eth_getLogs": SimulatedNode._logs,
    "eth_getBlockReceipts": SimulatedNode._receipts,
    "eth_call": SimulatedNode._call,
    "eth_simulateV1": SimulatedNode._simulate,
    "eth_maxPriorityFeePerGas": SimulatedNode._tip,
    "eth_feeHistory": SimulatedNode._fees,
}


def _block(block: Block, full: bool) -> dict[str, Any]:
    hashes = [item.transaction.hash for item in block.mined]
    bodies = [
        {
            "hash": item.hash,
            "from": item.sender.lower(),
            "nonce": hex(item.nonce),
            "to": item.target.lower(),
            "value": hex(item.value),
            "input": item.data,
        }
        for item in (mined.transaction for mined in block.mined)
    ]
    return {
        "number": hex(block.number),
        "hash": block.hash,
        "parentHash": block.parent,
        "timestamp": hex(block.timestamp),
        "baseFeePerGas": hex(block.base_fee),
        "logsBloom": hex(_bloom(block)),
        "transactions": bodies if full else hashes,
    }


def _bloom(block: Block) -> int:
    """The bits of the addresses of its logs (Ethereum's yellow paper, 4.4.1); those of topics are left out."""
    found = 0
    for address in {log.address for _, _, log in block.logs()}:
        digest = keccak(bytes.fromhex(address[2:]))
        for place in (0, 2, 4):
            found |= 1 << int.from_bytes(digest[place : place + 2], "big") % 2048
    return found


def _log(block: Block, place: int, mined: Mined, log: Log) -> dict[str, Any]:
    return {
        "blockNumber": hex(block.number),
        "blockHash": block.hash,
        "logIndex": hex(place),
        "transactionHash": mined.transaction.hash,
        "address": log.address.lower(),
        "topics": list(log.topics),
        "data": log.data,
        "removed": False,
    }


def _simulated(result: Result) -> dict[str, Any]:
    told: dict[str, Any] = {"status": hex(result.succeeded), "gasUsed": hex(result.gas_used), "returnData": result.data}
    if not result.succeeded:
        told["error"] = {"code": 3, "message": "execution reverted", "data": result.data}
    return told
