"""The main job on a real chain with a real bank and auditor, all in one process, on both engines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from issuer.chain.node import NodeError
from issuer.errors import Conflict, Unreachable
from issuer.ledger import chart
from issuer.money import parse_units
from issuer.operations.redemptions import DEFAULT_INSTRUCTION
from tests.anvil import TestChain
from tests.world import A_BANK, B_BANK, Holder, World

MILLION = parse_units("1000000")
A, B = Holder(0xA), Holder(0xB)


@pytest.fixture
def world(tmp_path: Path, anvil: TestChain, database_url: str) -> Iterator[World]:
    world = World.create(tmp_path, anvil, database_url=database_url)
    yield world
    world.close()


def test_money_becomes_tokens_moves_and_becomes_money(world: World) -> None:
    alice = world.onboard("Platform A", A_BANK, A)
    world.onboard("Platform B", B_BANK, B)
    world.wire(A_BANK, "Platform A", "1000000.00")
    world.request_mint(alice, A, "1000000.00")
    world.until(lambda: world.orders() == [("final", None)])
    assert world.balance(A) == MILLION

    world.call(A, "transferWithMemo", B.address, parse_units("250000"), "0x" + b"invoice 7".ljust(32, b"\0").hex())
    world.turn()
    world.call(B, "redeem", parse_units("100000"), DEFAULT_INSTRUCTION)
    world.until(lambda: world.balances().get(chart.RESERVE) == parse_units("900000"))
    assert world.balances() == {chart.RESERVE: parse_units("900000"), chart.OUTSTANDING: parse_units("900000")}
    assert world.view("totalSupply") == parse_units("900000")
    assert len(world.minted()) == 1


def test_orders_that_fit_the_minting_limit_one_by_one_are_minted(world: World) -> None:
    """Together they are more than it ever holds."""
    alice = world.onboard("Platform A", A_BANK, A)
    world.wire(A_BANK, "Platform A", "10999989.00")
    for _ in range(11):
        world.request_mint(alice, A, "999999.00")
    world.until(lambda: len(world.minted()) == 1)
    world.clock.advance(12 * 3600)  # the limit has refilled
    world.until(lambda: set(world.orders()) == {("final", None)})
    assert world.balance(A) == parse_units("10999989")
    assert len(world.minted()) == 2


def test_a_chain_that_was_not_read_yet_compares_with_nothing(world: World) -> None:
    with pytest.raises(Conflict, match="not read yet"):
        world.issuer.compare()


@pytest.mark.parametrize(
    "refusal", [NodeError("eth_call", -32005, "daily request limit reached"), Unreachable("the node did not answer")]
)
def test_a_node_that_gives_no_answer_does_not_stop_the_bank(
    world: World, monkeypatch: pytest.MonkeyPatch, refusal: Unreachable
) -> None:
    """A stranger's money goes back all the same."""

    def refuse(*_: Any) -> Any:
        raise refusal

    world.turn()
    world.wire(B_BANK, "Stranger", "5.00")
    monkeypatch.setattr(world.issuer.raw_node, "call", refuse)
    for _ in range(4):
        world.bank.step()
        with pytest.raises(Unreachable):
            world.issuer.service.step()
    (account,) = [account for account in world.bank.accounts() if account.number == B_BANK]
    assert account.balance_fen == 500
