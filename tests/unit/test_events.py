"""From logs to facts, without a chain."""

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from issuer.chain import events
from issuer.chain.rpc import Block, Log
from issuer.errors import MalformedDocument
from issuer.messages import contracts
from issuer.messages.abi import checksum
from tests.unit.test_calls import DEPLOYMENT

NOBODY = "0x" + "00" * 20
BLOCKS = {
    number: Block(
        number=number, hash=f"0x{number:064x}", parent="0x", timestamp=1000 + number, base_fee=1, bloom=0, size=1
    )
    for number in range(1, 4)
}
TOPICS = {item.name: item.topic for item in contracts.TOKEN.events.values()}

addresses = st.integers(1, 2**160 - 1).map(lambda number: checksum(f"0x{number:040x}"))
orders = st.lists(st.tuples(addresses, st.integers(1, 2**96)), min_size=1, max_size=5)


class Chain:
    """Writes logs as the token would."""

    def __init__(self) -> None:
        self.logs: list[Log] = []

    def emit(self, block: int, transaction: str, name: str, indexed: list[tuple[str, object]], data: bytes) -> None:
        topics = [TOPICS[name], *("0x" + encode([type_], [value]).hex() for type_, value in indexed)]
        index = sum(log.block_number == block for log in self.logs)
        self.logs.append(
            Log(
                block_number=block,
                block_hash=BLOCKS[block].hash,
                index=index,
                transaction=transaction,
                address=DEPLOYMENT.token,
                topics=tuple(topics),
                data="0x" + data.hex(),
            )
        )

    def transfer(self, block: int, transaction: str, sender: str, recipient: str, value: int) -> None:
        sides: list[tuple[str, object]] = [("address", sender), ("address", recipient)]
        self.emit(block, transaction, "Transfer", sides, encode(["uint256"], [value]))

    def mint(self, block: int, transaction: str, first: int, made: list[tuple[str, int]], count: int) -> None:
        for recipient, value in made:
            self.transfer(block, transaction, NOBODY, recipient, value)
        named: list[tuple[str, object]] = [("uint64", first), ("bytes32", first.to_bytes(32, "big"))]
        self.emit(block, transaction, "Minted", named, encode(["uint64"], [count]))


@given(st.lists(st.tuples(st.integers(1, 3), orders), max_size=4))
def test_every_mint_has_its_own_orders_and_every_transfer_is_told_once(
    batches: list[tuple[int, list[tuple[str, int]]]],
) -> None:
    chain, first = Chain(), 1
    for number, (block, made) in enumerate(sorted(batches, key=lambda batch: batch[0])):
        chain.mint(block, f"0x{number:064x}", first, made, len(made))
        first += len(made)
    found = events.facts(DEPLOYMENT, chain.logs, BLOCKS)
    told = [[tuple(order) for order in fact.payload["orders"]] for fact in found if fact.kind == "minted"]
    assert told == [made for _, made in sorted(batches, key=lambda batch: batch[0])]
    moved = [tuple(one) for fact in found if fact.kind == "moved" for one in fact.payload["transfers"]]
    assert moved == [(NOBODY, to, value) for made in told for to, value in made]
    assert len({fact.key for fact in found}) == len(found)


@pytest.mark.parametrize("count", [0, 2, 4])
def test_a_mint_that_shows_other_than_its_orders_is_malformed(count: int) -> None:
    chain = Chain()
    chain.transfer(1, "0xaa", "0x" + "11" * 20, "0x" + "22" * 20, 5)
    chain.mint(1, "0xaa", 1, [("0x" + "33" * 20, 1)], max(count, 2))
    with pytest.raises(MalformedDocument, match="minted"):
        events.facts(DEPLOYMENT, chain.logs, BLOCKS)


def test_transfers_of_another_transaction_are_not_a_mint_s_orders() -> None:
    chain = Chain()
    chain.transfer(1, "0xbb", NOBODY, "0x" + "33" * 20, 1)
    chain.mint(1, "0xaa", 1, [], 1)
    with pytest.raises(MalformedDocument):
        events.facts(DEPLOYMENT, chain.logs, BLOCKS)


def test_an_event_that_is_not_ours_is_passed_over() -> None:
    log = Log(
        block_number=1,
        block_hash=BLOCKS[1].hash,
        index=0,
        transaction="0xaa",
        address=DEPLOYMENT.token,
        topics=("0x" + "99" * 32,),
        data="0x",
    )
    assert events.facts(DEPLOYMENT, [log], BLOCKS) == []
