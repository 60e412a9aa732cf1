"""A database restored from a backup catches up with the world: nothing is minted or paid again, and nothing is lost."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from issuer import cli, crash
from issuer.audit import schema, verify
from issuer.errors import BrokenInvariant
from issuer.ledger import chart
from issuer.messages import folder as documents
from issuer.money import parse_units
from issuer.operations import intake, mints, replay, wallets
from issuer.operations.redemptions import DEFAULT_INSTRUCTION
from issuer.operations.requests import Request, carry_out
from issuer.settings import Settings
from issuer.store import tables
from issuer.store.states import WalletState
from tests.anvil import TestChain
from tests.world import A_BANK, B_BANK, BLOCK_TIME, PASSPHRASE, Holder, World

A, B = Holder(0xA), Holder(0xB)
SUM = parse_units("1000")


@pytest.fixture
def shell(tmp_path: Path, anvil: TestChain, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command line in the world's home; its answer."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    places = {"ISSUER_HOME": tmp_path / "issuer", "BANK_FOLDER": tmp_path / "folder"}
    given = {"RPC_URL": anvil.url, "ISSUER_PASSPHRASE": PASSPHRASE, "ISSUER_OPERATOR": "ann"}
    for name, value in {**places, **given}.items():
        monkeypatch.setenv(name, str(value))

    def run(*arguments: str, status: int = 0) -> Any:
        capsys.readouterr()
        found = cli.run([*arguments, "--json"])
        printed = capsys.readouterr()
        assert found == status, printed
        return json.loads(printed.out)

    return run


@pytest.fixture
def world(tmp_path: Path, anvil: TestChain) -> Iterator[World]:
    opened = [World.create(tmp_path, anvil)]
    yield opened[0]
    opened[0].close()


def verified(world: World, customer_id: int, holder: Holder) -> bool:
    with world.issuer.store.read() as connection:
        return str(wallets.get(connection, holder.address)["state"]) == WalletState.VERIFIED


def waiting_wire(world: World) -> None:
    """A verified wallet, an order, and a wire that nobody has been told of yet."""
    customer_id = world.onboard("Platform A", A_BANK, A)
    world.until(lambda: verified(world, customer_id, A))
    world.request_mint(customer_id, A, "1000.00")
    world.wire(A_BANK, "Platform A", "1000.00")


def is_minted(world: World) -> bool:
    return all(state == "final" for state, _ in world.orders())


def burned_tokens(world: World) -> None:
    waiting_wire(world)
    world.until(lambda: is_minted(world))
    world.call(A, "redeem", parse_units("400"), DEFAULT_INSTRUCTION)
    world.chain.mine()


def is_paid(world: World) -> bool:
    return world.balances().get(chart.RESERVE) == parse_units("600")


def lose_and_restore(world: World, backup: Path, shell: Any) -> None:
    """The database is gone; the backup takes its place."""
    world.issuer.close()
    shell("restore", str(backup))
    reopen(world)


def reopen(world: World) -> None:
    world.bank.close()
    world.auditor.close()
    world.issuer.close()
    clock = world.clock
    world.__init__(world.path, world.chain)  # type: ignore[misc] # the same world, opened anew
    world.clock.advance(max(0, clock.now() - world.clock.now()))


def in_recovery(world: World) -> list[dict[str, Any]] | None:
    with world.issuer.store.read() as connection:
        row = connection.execute(select(tables.recovery.c.waits)).one_or_none()
    return None if row is None else row.waits


def catch_up(world: World) -> None:
    """The bank states its accounts once more; everybody goes on until recovery ends."""
    world.turn()
    world.bank.statement()
    for _ in range(15):
        if in_recovery(world) is None:
            return
        world.turn()
    raise AssertionError(in_recovery(world))


def check(world: World, *, mints_: int, paid_fen: int, reserve: int) -> None:
    """The one end, from everybody's own records."""
    assert len(world.minted()) == mints_
    assert world.balances() == {chart.RESERVE: reserve, chart.OUTSTANDING: reserve}
    assert world.view("totalSupply") == reserve
    accounts = {account.number: account.balance_fen for account in world.bank.accounts()}
    assert accounts[world.settings.reserve_account] * 10_000 == reserve
    assert (accounts[world.settings.collection_account], accounts[A_BANK]) == (0, paid_fen)
    orders = [name for name in world.issuer.bank_folder.names(documents.ISSUER_TO_BANK) if "pain.001" in name]
    assert len(orders) == len(set(orders)) == mints_ + (1 if paid_fen else 0)
    assert all(not line.difference for line in world.issuer.compare())
    with world.issuer.store.read() as connection:
        assert verify.verify(world.issuer.log, connection=connection).holds
        assert connection.execute(select(tables.lock).where(tables.lock.c.cleared_at.is_(None))).all() == []
        records = connection.execute(select(tables.audit_record.c.body)).scalars().all()
    assert len(records) == len(set(records)), "a record was written twice"


def test_a_backup_from_before_a_mint(world: World, shell: Any, tmp_path: Path) -> None:
    waiting_wire(world)
    shell("backup", str(tmp_path / "backup.db"))
    world.until(lambda: is_minted(world))
    lose_and_restore(world, tmp_path / "backup.db", shell)
    assert world.orders() == [("approved", "1000.000000 CNH of customer 1's money")]
    catch_up(world)
    assert is_minted(world)
    check(world, mints_=1, paid_fen=0, reserve=SUM)
