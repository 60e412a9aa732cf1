"""Whatever point the process dies at, the next start ends where no crash would have: once, and with nothing lost.

Every named crash point that a deposit, a mint, a redemption, a refund and a return pass through is found by running
them once, so a new point is tested as soon as it exists. For each, bank, auditor and issuer start from a snapshot of
their homes and of the chain, end at that point by os._exit, start again and run to the end.
"""

import contextlib
import os
import shutil
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from issuer import crash
from issuer.audit import verify
from issuer.ledger import chart
from issuer.money import parse_units
from issuer.operations import deposits, mints, wallets
from issuer.operations.redemptions import DEFAULT_INSTRUCTION
from issuer.operations.requests import Request, carry_out
from issuer.store.states import DepositState, WalletState
from tests.anvil import TestChain
from tests.world import A_BANK, Holder, World

A = Holder(0xA)
CRASHED = 77
SUM = parse_units("1000")
STRANGER = "999000000009"


@dataclass(frozen=True)
class Stage:
    """A part of the main job: what was before, what is asked for (again after every start), and how it ends."""

    name: str
    prepare: Callable[[World], None]
    ask: Callable[[World], None]
    reached: Callable[[World], bool]
    balances: dict[str, int]
    supply: int
    customer_fen: int  # what the bank has paid to the customer
    mints: int


def waiting_wire(world: World) -> None:
    """A customer whose wallet is verified, and a wire that nobody has been told of yet."""
    world.onboard("Platform A", A_BANK, A)
    world.until(lambda: wallet_state(world) == WalletState.VERIFIED)
    world.wire(A_BANK, "Platform A", "1000.00")


def wallet_state(world: World) -> str:
    with world.issuer.store.read() as connection:
        return str(wallets.get(connection, A.address)["state"])


def ask_for_mint(world: World) -> None:
    body: dict[str, Any] = {"customer_id": 1, "wallet": A.address, "value": SUM}
    asked = Request(caller="operator:test", key="mint", operation="mint request", body=body)
    policy = world.issuer.policy
    carry_out(world.issuer.store, asked, lambda unit: mints.request(unit, policy, **body))


def is_minted(world: World) -> bool:
    return world.orders() == [("final", None)]


def burned_tokens(world: World) -> None:
    waiting_wire(world)
    ask_for_mint(world)
    world.until(lambda: is_minted(world))
    world.call(A, "redeem", parse_units("400"), DEFAULT_INSTRUCTION)
    world.chain.mine()


def ask_for_nothing(_world: World) -> None:
    """A burn on chain is all that a redemption needs."""


def is_paid(world: World) -> bool:
    return world.balances().get(chart.RESERVE) == parse_units("600")


def credited_deposits(world: World) -> None:
    waiting_wire(world)
    world.turn()
    world.turn()
    world.wire(STRANGER, "Stranger", "77.00")


def ask_for_refund(world: World) -> None:
    asked = Request(caller="operator:test", key="refund", operation="deposit refund", body={"deposit_id": 1})
    policy = world.issuer.policy
    carry_out(world.issuer.store, asked, lambda unit: deposits.refund(unit, policy, deposit_id=1))


def is_sent_back(world: World) -> bool:
    with world.issuer.store.read() as connection:
        states = [row["state"] for row in deposits.every(connection)]
    return states == [DepositState.RETURNED, DepositState.RETURNED]


STAGES = [
    Stage(
        name="mint",
        prepare=waiting_wire,
        ask=ask_for_mint,
        reached=is_minted,
        balances={chart.RESERVE: SUM, chart.OUTSTANDING: SUM},
        supply=SUM,
        customer_fen=0,
        mints=1,
    ),
    Stage(
        name="redemption",
        prepare=burned_tokens,
        ask=ask_for_nothing,
        reached=is_paid,
        balances={chart.RESERVE: parse_units("600"), chart.OUTSTANDING: parse_units("600")},
        supply=parse_units("600"),
        customer_fen=400_00,
        mints=1,
    ),
    Stage(
        name="refund and return",
        prepare=credited_deposits,
        ask=ask_for_refund,
        reached=is_sent_back,
        balances={},
        supply=0,
        customer_fen=1000_00,
        mints=0,
    ),
]


class Snapshot:
    """The homes and the chain as they were; taken once, gone back to before every run."""

    def __init__(self, live: Path, chain: TestChain) -> None:
        self._live = live
        self._kept = live.with_name("kept")
        self._chain = chain
        shutil.copytree(live, self._kept)
        self._id = chain.ask("evm_snapshot")

    def restore(self) -> None:
        shutil.rmtree(self._live)
        shutil.copytree(self._kept, self._live)
        assert self._chain.ask("evm_revert", self._id)
        self._id = self._chain.ask("evm_snapshot")


@pytest.mark.parametrize("visit", ["first", pytest.param("last", marks=pytest.mark.slow)])
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_crash_point(
    stage: Stage, visit: str, tmp_path: Path, anvil: TestChain, record_property: Callable[[str, object], None]
) -> None:
    live = tmp_path / "live"
    live.mkdir()
    in_child(lambda: prepare(stage, live, anvil))
    snapshot = Snapshot(live, anvil)
    visited, imported = tmp_path / "visited", tmp_path / "imported"
    in_child(lambda: note(stage, live, anvil, visited, imported))
    warm(imported.read_text().splitlines())
    moments = list(chosen(Counter(visited.read_text().splitlines()), visit))
    for name, number in moments:
        snapshot.restore()
        at = f"{name}, visit {number}"
        assert in_child(partial(run, stage, live, anvil, Fatal(name, number)), may_end=True) == CRASHED, at
        assert in_child(partial(run, stage, live, anvil, None), may_end=True) == 0, f"not the same end after {at}"
    record_property("note", f"{stage.name}: ended at {len(moments)} crash points, at their {visit} visit")


def chosen(points: Counter[str], visit: str) -> Iterator[tuple[str, int]]:
    """Every point at its first visit, or those with several at their last."""
    for name, count in sorted(points.items()):
        if visit == "first":
            yield name, 1
        elif count > 1:
            yield name, count


class Noted:
    """Writes down every point passed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, name: str) -> None:
        with self._path.open("a") as file:
            file.write(f"{name}\n")


class Fatal:
    """Ends the process at one visit of one point, as a power cut would."""

    def __init__(self, name: str, visit: int) -> None:
        self._name = name
        self._left = visit

    def __call__(self, name: str) -> None:
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                os._exit(CRASHED)


def prepare(stage: Stage, live: Path, chain: TestChain) -> None:
    world = World.create(live, chain)
    stage.prepare(world)
    world.close()


def run(stage: Stage, live: Path, chain: TestChain, observer: Callable[[str], None] | None) -> None:
    """Start everything, ask, go on to the end, and check that it is the one end."""
    world = World(live, TestChain(chain.running))
    crash.observe(observer)
    stage.ask(world)
    world.until(lambda: stage.reached(world))
    world.turn()
    crash.observe(None)
    check(stage, world)
    world.close()


def check(stage: Stage, world: World) -> None:
    assert world.balances() == stage.balances
    assert world.view("totalSupply") == stage.supply
    assert len(world.minted()) == stage.mints
    accounts = {account.number: account.balance_fen for account in world.bank.accounts()}
    assert accounts[world.settings.reserve_account] * 10_000 == stage.balances.get(chart.RESERVE, 0)
    assert accounts[world.settings.collection_account] == 0
    assert accounts[A_BANK] == stage.customer_fen
    with world.issuer.store.read() as connection:
        assert verify.verify(world.issuer.log, connection=connection).holds


def note(stage: Stage, live: Path, chain: TestChain, visited: Path, imported: Path) -> None:
    """Run once, and write down the points that were passed and the modules that were needed."""
    run(stage, live, chain, Noted(visited))
    imported.write_text("\n".join(sys.modules))


def warm(modules: list[str]) -> None:
    """Import what a run has imported late, so that every later one finds it in its parent."""
    for name in modules:
        with contextlib.suppress(ImportError):
            import_module(name)


def in_child(act: Callable[[], None], *, may_end: bool = False) -> int:
    """Run something in a process of its own that starts warm; its exit status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert may_end or status == 0
    return status
