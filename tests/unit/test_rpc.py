"""What a node answers is read, or it is no answer: nothing in between, whatever the form of the nonsense."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from issuer.chain import rpc
from issuer.chain.node import Node
from issuer.errors import Unreachable

ADDRESS, HASH = "0x" + "11" * 20, "0x" + "22" * 32
BLOCK = rpc.Block(number=1, hash=HASH, parent=HASH, timestamp=1, base_fee=1, bloom=0, size=2)


class Babbler:
    """A node with one answer to everything."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:  # noqa: ARG002 - the port's own form
        return self._answer


QUESTIONS: dict[str, Callable[[Node], Any]] = {
    "chain id": rpc.chain_id,
    "head": rpc.head,
    "block": lambda node: rpc.block(node, 1),
    "senders": lambda node: rpc.senders(node, 1),
    "receipt": lambda node: rpc.receipt(node, HASH),
    "nonce": lambda node: rpc.nonce(node, ADDRESS),
    "balance": lambda node: rpc.balance(node, ADDRESS),
    "code": lambda node: rpc.code(node, ADDRESS),
    "block's logs": lambda node: rpc.block_logs(node, BLOCK, [ADDRESS]),
    "logs": lambda node: rpc.logs(node, [ADDRESS], 1, 2),
    "read": lambda node: rpc.read(node, ADDRESS, "0x"),
    "simulate": lambda node: rpc.simulate(node, [rpc.Call(sender=ADDRESS, target=ADDRESS, data="0x")], 1),
    "priority fee": rpc.priority_fee,
    "base fee": rpc.next_base_fee,
}
NONSENSE: tuple[Any, ...] = (
    {},
    "soon",
    7,
    True,
    [None],
    [{}],
    [{"calls": [{}]}],
    [{"calls": None}],
    {"hash": None},
    {"blockHash": HASH, "transactionHash": None, "blockNumber": "0x1", "status": "0x1", "gasUsed": "0x1"},
    {"baseFeePerGas": []},
    {"baseFeePerGas": ["many"]},
    "0x0_1",
    "0xzz",
    "-0x1",
    hex(2**256),
)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("answer", NONSENSE, ids=repr)
def test_nonsense_is_no_answer(question: str, answer: Any) -> None:
    with pytest.raises(Unreachable):
        QUESTIONS[question](Babbler(answer))


@pytest.mark.parametrize(
    "change",
    [
        {"hash": "0x12"},
        {"hash": "0x" + "zz" * 32},
        {"parentHash": None},
        {"timestamp": None},
        {"timestamp": hex(2**37)},
        {"number": 1},
        {"number": hex(2**64)},
    ],
)
def test_a_block_of_another_form_is_no_answer(change: dict[str, Any]) -> None:
    whole: dict[str, Any] = {
        "number": "0x1",
        "hash": HASH,
        "parentHash": HASH,
        "timestamp": "0x1",
        "baseFeePerGas": "0x1",
    }
    whole |= {"logsBloom": "0x0", "transactions": []}
    assert rpc.head(Babbler(whole)).number == 1
    with pytest.raises(Unreachable):
        rpc.head(Babbler(whole | change))


@pytest.mark.parametrize("receipts", [0, 1, 3])
def test_the_receipts_of_a_block_are_as_many_as_its_transactions(receipts: int) -> None:
    assert rpc.block_logs(Babbler([{"logs": []}] * 2), BLOCK, [ADDRESS]) == []
    with pytest.raises(Unreachable):
        rpc.block_logs(Babbler([{"logs": []}] * receipts), BLOCK, [ADDRESS])


def test_what_is_not_there_is_none() -> None:
    assert rpc.block(Babbler(None), 1) is None
    assert rpc.senders(Babbler(None), 1) is None
    assert rpc.receipt(Babbler(None), HASH) is None
