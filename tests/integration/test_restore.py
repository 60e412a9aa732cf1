"""A database restored from a backup catches up with the world: nothing is minted or paid again, and nothing is lost."""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import delete, select, update

from issuer import cli, crash
from issuer.audit import restoration, schema, verify
from issuer.audit.integrator import Integrator
from issuer.chain import parts, rpc, transactions
from issuer.chain.node import NodeError
from issuer.errors import BrokenInvariant, NotFound, Unreachable
from issuer.ledger import chart
from issuer.messages import folder as documents
from issuer.money import parse_units
from issuer.operations import causes, intake, locks, wallets
from issuer.operations.policy import Policy
from issuer.operations.redemptions import DEFAULT_INSTRUCTION
from issuer.service import Role
from issuer.store import tables
from issuer.store.states import Scope, WalletState
from issuer.store.unit import Store
from issuer.tlog import checkpoint, tiles
from tests import shell as shells
from tests import stranger
from tests.anvil import TestChain
from tests.world import A_BANK, B_BANK, BLOCK_TIME, Holder, World

A, B = Holder(0xA), Holder(0xB)
SUM = parse_units("1000")


@pytest.fixture
def shell(tmp_path: Path, anvil: TestChain, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command line in the world's home; its answer."""
    shells.enter(monkeypatch, tmp_path, anvil.url)

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


def verified(world: World, holder: Holder) -> bool:
    with world.issuer.store.read() as connection:
        return str(wallets.get(connection, holder.address)["state"]) == WalletState.VERIFIED


def waiting_wire(world: World) -> None:
    """A verified wallet, an order, and a wire that nobody has been told of yet."""
    customer_id = world.onboard("Platform A", A_BANK, A)
    world.until(lambda: verified(world, A))
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


def reopen(world: World, database_url: str | None = None) -> None:
    world.bank.close()
    world.auditor.close()
    world.issuer.close()
    clock = world.clock
    world.__init__(world.path, world.chain, database_url=database_url)  # type: ignore[misc] # the same world
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
    # Of the fences, several may come to nothing in one second.
    others = [body for body in records if b'"kind":"fence"' not in body]
    assert len(others) == len(set(others)), "a record was written twice"


# -- a crash at any moment of a mint or a redemption


Moment = Callable[[World], bool]


def rows(world: World, table: Any, *where: Any) -> list[Any]:
    with world.issuer.store.read() as connection:
        return list(connection.execute(select(table).where(*where)).all())


def written(prefix: str) -> Moment:
    """A document of that kind lies in the bank's folder, and nobody has read it."""
    return lambda world: any(name.startswith(prefix) for name in world.issuer.bank_folder.names("issuer-to-bank"))


def answered(prefix: str) -> Moment:
    return lambda world: any(name.startswith(prefix) for name in world.issuer.bank_folder.names("bank-to-issuer"))


def signed(kind: str) -> Moment:
    def moment(world: World) -> bool:
        intents = [row.id for row in rows(world, tables.intent, tables.intent.c.kind == kind)]
        return any(row.intent_id in intents for row in rows(world, tables.transaction))

    return moment


def mined(world: World) -> bool:
    return bool(world.minted())


def paid(world: World) -> bool:
    return any(row.state == "paid" for row in rows(world, tables.payout, tables.payout.c.kind == "REDEEM"))


def go_on_until(world: World, moment: Moment) -> None:
    """One party after the other does one thing, until it is so."""
    parties = (world.issuer.service.step, world.bank.step, world.auditor.step, lambda: mine(world))
    for number in range(400):
        if moment(world):
            return
        parties[number % len(parties)]()
    raise AssertionError("the moment never came")


def mine(world: World) -> None:
    world.clock.advance(BLOCK_TIME)
    world.chain.mine_at(world.clock.now())


def dropped(world: World) -> bool:
    """The mint was sent, and every node has forgotten it."""
    if not signed("mint")(world):
        return False
    world.chain.drop_pool()
    return True


MINT: dict[str, Moment] = {
    "instructed": written("pain.001-MINT"),
    "booked": answered("camt.054-00000003"),
    "report asked": written("report-request-"),
    "report signed": answered("report-"),
    "sent": signed("mint"),
    "sent and forgotten": dropped,
    "mined": mined,
    "final": is_minted,
}

REDEMPTION: dict[str, Moment] = {
    "instructed": written("pain.001-REDEEM"),
    "accepted": answered("pain.002-REDEEM"),
    "paid": paid,
}


class Shelf:
    """The world as it was, homes and chain, to be gone back to before each moment."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kept = world.path.with_name(world.path.name + "-kept")
        shutil.copytree(world.path, self._kept)
        self._id = world.chain.ask("evm_snapshot")

    def take_back(self) -> None:
        world = self._world
        for part in (world.issuer, world.bank, world.auditor):
            part.close()
        shutil.rmtree(world.path)
        shutil.copytree(self._kept, world.path)
        assert world.chain.ask("evm_revert", self._id)
        self._id = world.chain.ask("evm_snapshot")
        world.__init__(world.path, world.chain)  # type: ignore[misc] # the same world, opened anew


def restored_at(world: World, moments: dict[str, Moment], shell: Any, end: Callable[[], None]) -> None:
    backup = world.path / "backup.db"
    shell("backup", str(backup))
    shelf = Shelf(world)
    for name, moment in moments.items():
        shelf.take_back()
        go_on_until(world, moment)
        lose_and_restore(world, backup, shell)
        catch_up(world)
        try:
            end()
        except AssertionError as error:
            raise AssertionError(f"not the same end after a restore when it was {name}") from error


def test_a_mint_restored_at_any_moment(world: World, shell: Any) -> None:
    waiting_wire(world)

    def end() -> None:
        world.until(lambda: is_minted(world))
        check(world, mints_=1, paid_fen=0, reserve=SUM)

    restored_at(world, MINT, shell, end)


def test_a_redemption_restored_at_any_moment(world: World, shell: Any) -> None:
    burned_tokens(world)

    def end() -> None:
        world.until(lambda: is_paid(world))
        check(world, mints_=1, paid_fen=400_00, reserve=parse_units("600"))

    restored_at(world, REDEMPTION, shell, end)


# -- what only a person knows, and what nobody may do


def waits(world: World) -> str:
    return " ".join(item["why"] for item in in_recovery(world) or [])


def lose_a_customer(world: World, shell: Any) -> Path:
    """A customer added after the backup has money in a batch."""
    backup = world.path / "backup.db"
    world.turn()
    shell("backup", str(backup))
    waiting_wire(world)
    world.until(lambda: is_minted(world))
    lose_and_restore(world, backup, shell)
    return backup


def test_a_lost_customer_is_entered_again_by_a_person(world: World, shell: Any) -> None:
    lose_a_customer(world, shell)
    world.turn()
    assert "customer.added of customer:1" in waits(world)
    (held,) = shell("lock", "list")
    assert (held["scope"], held["code"]) == ("everything", "recovery")
    assert "issuer recovery enter NAME ACCOUNT" in held["remedy"]
    assert shell("status")["locks"] == [held]
    assert (
        shell("customer", "add", "Other", "--jurisdiction", "HK", "--account", B_BANK, status=1)["error"]["code"]
        == "locked"
    )
    shell("recovery", "enter", "Platform A", A_BANK)
    catch_up(world)
    check(world, mints_=1, paid_fen=0, reserve=SUM)
    world.call(A, "redeem", parse_units("400"), DEFAULT_INSTRUCTION)
    world.until(lambda: is_paid(world))
    check(world, mints_=1, paid_fen=400_00, reserve=parse_units("600"))


def test_a_customer_entered_wrong_is_found_out_by_what_the_bank_says(world: World, shell: Any) -> None:
    lose_a_customer(world, shell)
    world.turn()
    shell("recovery", "enter", "Platform A", B_BANK)
    world.bank.statement()
    for _ in range(4):
        world.turn()
    assert "deposit.taken" in waits(world)
    assert len(world.minted()) == 1


def test_an_effect_that_is_left_out_locks_everything_until_a_person_has_settled_it(world: World, shell: Any) -> None:
    lose_a_customer(world, shell)
    world.turn()
    assert shell("recovery", "leave-out", "99", "--case", "C-1", status=1)["error"]["code"] == "refused"
    place = int(waits(world).split()[1])
    shell("recovery", "leave-out", str(place), "--case", "C-1")
    world.turn()
    codes = {(row["scope"], row["code"]) for row in shell("lock", "list")}
    assert {("minting", f"left-out-{place}"), ("payouts", f"left-out-{place}")} <= codes


def test_recovery_goes_on_after_a_crash_at_any_point_of_it(world: World, shell: Any) -> None:
    waiting_wire(world)
    backup = world.path / "backup.db"
    shell("backup", str(backup))
    go_on_until(world, signed("mint"))
    lose_and_restore(world, backup, shell)
    world.bank.statement()
    dead: set[str] = set()

    def die(name: str) -> None:
        if name not in dead:
            dead.add(name)
            raise KeyboardInterrupt

    for _ in range(80):
        mine(world)
        world.bank.step()
        world.auditor.step()
        crash.observe(die)
        try:
            world.issuer.service.step()
        except KeyboardInterrupt:
            crash.observe(None)
            reopen(world)
        finally:
            crash.observe(None)
        if in_recovery(world) is None:
            break
    assert in_recovery(world) is None
    recovering = {"take records back", "apply records again", "adopt a document", "fence lost transactions"}
    assert {f"{when} commit {name}" for name in recovering for when in ("before", "after")} <= dead
    assert "after commit end recovery" in dead
    world.until(lambda: is_minted(world))
    check(world, mints_=1, paid_fen=0, reserve=SUM)


def test_a_backup_of_a_recovery_begins_it_anew(world: World, shell: Any) -> None:
    """The nonces that were used up before it are not those that what was sent after it may have."""
    waiting_wire(world)
    first, second = world.path / "first.db", world.path / "second.db"
    shell("backup", str(first))
    go_on_until(world, dropped)
    lose_and_restore(world, first, shell)
    world.bank.statement()
    go_on_until(world, lambda world: bool(rows(world, tables.recovery, tables.recovery.c.fenced)))
    shell("backup", str(second))
    catch_up(world)
    world.until(lambda: is_minted(world))
    lose_and_restore(world, second, shell)
    assert rows(world, tables.recovery, tables.recovery.c.fenced) == []
    catch_up(world)
    check(world, mints_=1, paid_fen=0, reserve=SUM)


def test_without_recovery_the_restored_database_is_stopped_by_its_log(world: World, shell: Any) -> None:
    """The row taken away by hand: the log folder turns it on again; without even that, nothing is signed or sent."""
    waiting_wire(world)
    backup = world.path / "backup.db"
    shell("backup", str(backup))
    world.until(lambda: is_minted(world))
    lose_and_restore(world, backup, shell)
    off_by_hand(world)
    with pytest.raises(BrokenInvariant, match="never made"):
        replace(world.issuer.service, recovery=None).step()
    world.issuer.service.step()
    assert in_recovery(world) is not None, "the log folder is ahead"
    assert len(world.minted()) == 1


def test_without_recovery_the_restored_database_is_stopped_by_what_it_has_taken_back(world: World, shell: Any) -> None:
    waiting_wire(world)
    backup = world.path / "backup.db"
    shell("backup", str(backup))
    world.until(lambda: is_minted(world))
    lose_and_restore(world, backup, shell)
    restoration.take_back(world.issuer.store, world.issuer.log)
    off_by_hand(world)
    world.issuer.service.step()
    assert in_recovery(world) is not None, "records wait to be applied again"
    assert len(world.minted()) == 1


def off_by_hand(world: World) -> None:
    with world.issuer.store.unit("off by hand") as unit:
        unit.connection.execute(delete(tables.recovery))


def test_without_recovery_and_without_its_log_the_bank_and_the_chain_still_refuse(
    world: World, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second lines of defence, alone: the bank knows the order's id, and the contract what was credited."""
    waiting_wire(world)
    backup = world.path / "backup.db"
    shell("backup", str(backup))
    world.until(lambda: is_minted(world))
    lose_and_restore(world, backup, shell)
    off_by_hand(world)
    with world.issuer.store.unit("forget the log") as unit:
        unit.connection.execute(update(tables.audit_record).values(place=None))
        for table in (tables.checkpoint, tables.log_tree):
            unit.connection.execute(delete(table))
    shutil.rmtree(world.path / "issuer" / "log")
    monkeypatch.setattr("issuer.store.recovery.has_whole_log", lambda _: True)  # nor what the chain anchors
    world.issuer.service = replace(world.issuer.service, recovery=None)
    for _ in range(8):
        world.turn()
    codes = {row.code for row in rows(world, tables.lock, tables.lock.c.cleared_at.is_(None))}
    assert codes & {"foreign-nonce", "unknown-mint", "unknown-report", "duplicate-message"}
    assert len(world.minted()) == 1
    accounts = {account.number: account.balance_fen for account in world.bank.accounts()}
    assert accounts[world.settings.reserve_account] == 1000_00, "the money was moved once"


def test_a_thief_is_told_from_what_was_lost(world: World, shell: Any) -> None:
    waiting_wire(world)
    backup = world.path / "backup.db"
    shell("backup", str(backup))
    world.until(lambda: is_minted(world))
    steal(world)
    lose_and_restore(world, backup, shell)
    world.turn()
    world.turn()
    (key,) = rows(world, tables.signer, tables.signer.c.role == "sender")
    assert "carries out no order of ours" in key.halted
    codes = {row.code for row in rows(world, tables.lock)}
    assert "foreign-nonce" in codes
    shell("key", "resume", "sender")
    catch_up(world)


def steal(world: World) -> None:
    """Somebody else sends with the sender's key."""
    node = world.chain.node
    signer = world.issuer.keystore.signer("sender")
    nonce = int(node.call("eth_getTransactionCount", [signer.address, "latest"]), 16)
    fees = {"maxFeePerGas": 10**11, "maxPriorityFeePerGas": 10**9}
    fields = {"chainId": 31337, "nonce": nonce, "to": "0x" + "11" * 20, "value": 1, "data": "0x", "gas": 21_000}
    node.call("eth_sendRawTransaction", [signer.sign_transaction({**fields, **fees}).raw])
    for _ in range(4):
        mine(world)


def test_the_log_folder_must_continue_the_backup(world: World, shell: Any) -> None:
    waiting_wire(world)
    backup = world.path / "backup.db"
    shell("backup", str(backup))
    world.until(lambda: is_minted(world))
    lose_and_restore(world, backup, shell)
    with world.issuer.store.unit("another history") as unit:
        (tree,) = unit.connection.execute(select(tables.log_tree)).all()
        other = bytes([tree.frontier[0] ^ 1]) + tree.frontier[1:]
        unit.connection.execute(update(tables.log_tree).values(frontier=other))
    with pytest.raises(BrokenInvariant, match="do not continue"):
        world.issuer.service.step()
    assert rows(world, tables.unapplied) == []


def restore_with_an_old_log(world: World, shell: Any) -> tuple[Path, Path]:
    """Database and log are of before a mint; the log folder, and where the whole log lies."""
    waiting_wire(world)
    backup, log = world.path / "backup.db", world.path / "issuer" / "log"
    shell("backup", str(backup))
    old, whole = world.path / "old-log", world.path / "whole-log"
    shutil.copytree(log, old)
    world.until(lambda: is_minted(world))
    log.rename(whole)
    old.rename(log)
    lose_and_restore(world, backup, shell)
    return log, whole


def test_a_log_folder_that_was_lost_too_must_be_put_back(world: World, shell: Any) -> None:
    """The chain anchors more records than both have: nothing is signed in their place."""
    log, whole = restore_with_an_old_log(world, shell)
    published = (log / "checkpoint").read_bytes()
    for _ in range(2):
        world.turn()
    assert "the log folder to have the" in waits(world)
    assert (log / "checkpoint").read_bytes() == published
    shutil.rmtree(log)
    whole.rename(log)
    catch_up(world)
    check(world, mints_=1, paid_fen=0, reserve=SUM)


def log_copied_while_it_grew(world: World, shell: Any) -> tuple[Path, Path, int]:
    """A backup, a copy of the log that has its `checkpoint` from before a decision and the rest from after it."""
    waiting_wire(world)
    world.until(lambda: is_minted(world))
    world.turn()
    backup, log, copy = world.path / "backup.db", world.path / "issuer" / "log", world.path / "copy"
    shell("backup", str(backup))
    copy.mkdir()
    shutil.copy(log / "checkpoint", copy)
    shell("customer", "add", "Platform B", "--jurisdiction", "HK", "--account", B_BANK)
    world.issuer.service.step()
    for part in ("checkpoints", "tile"):
        shutil.copytree(log / part, copy / part)
    size = world.issuer.log.end().size
    shutil.rmtree(log)
    shutil.copytree(copy, log)
    return backup, copy, size


def test_a_log_that_was_copied_while_it_grew_loses_no_decision(world: World, shell: Any) -> None:
    backup, copy, size = log_copied_while_it_grew(world, shell)
    assert int((copy / "checkpoint").read_text().split("\n")[1]) < size
    assert stranger.check(world, copy).failure == ""
    lose_and_restore(world, backup, shell)
    world.turn()
    shell("recovery", "enter", "Platform B", B_BANK)
    catch_up(world)
    world.turn()
    assert [row["id"] for row in shell("customer", "list")] == [1, 2]
    check(world, mints_=1, paid_fen=0, reserve=SUM)
    assert stranger.check(world).failure == ""


def test_a_copy_of_the_log_that_lacks_a_file_is_told_and_copied_again(world: World, shell: Any) -> None:
    backup, _, size = log_copied_while_it_grew(world, shell)
    log = world.path / "issuer" / "log"
    missing = [log / tiles.tile_at(0, 0, size).path, log / tiles.entries_path(0, size)]
    lose_and_restore(world, backup, shell)
    for file in missing:
        kept = file.read_bytes()
        file.unlink()
        with pytest.raises(NotFound, match=f"{file.relative_to(log)}, and a checkpoint of {size} records") as refused:
            world.issuer.service.step()
        assert "Copy the log folder again" in refused.value.do
        assert rows(world, tables.unapplied) == []
        file.write_bytes(kept)
    world.turn()
    assert "customer.added of customer:2" in waits(world)


def test_a_copy_of_the_log_with_two_histories_is_refused(world: World, shell: Any) -> None:
    backup, _, size = log_copied_while_it_grew(world, shell)
    lose_and_restore(world, backup, shell)
    other = checkpoint.sign(size, bytes(32), stranger.signer(world))
    (world.path / "issuer" / "log" / tiles.checkpoint_path(size)).write_text(other)
    with pytest.raises(BrokenInvariant, match="do not continue"):
        world.issuer.service.step()
    assert rows(world, tables.unapplied) == []


def test_a_log_folder_that_is_ahead_only_by_a_past_checkpoint_begins_recovery(world: World, shell: Any) -> None:
    """Nobody said that the database is an old one, and its own last note lies in the folder."""
    backup, _, size = log_copied_while_it_grew(world, shell)
    lose_and_restore(world, backup, shell)
    off_by_hand(world)
    with pytest.raises(BrokenInvariant, match=f"size {size} that this database never made"):
        Integrator(world.issuer.store, world.issuer.log, stranger.signer(world)).run()
    world.issuer.service.step()
    assert in_recovery(world) is not None


def test_a_transaction_that_an_earlier_recovery_ended_hides_none_that_was_lost(world: World, shell: Any) -> None:
    """The log says how it ended, and not in which block."""
    waiting_wire(world)
    with world.issuer.store.unit("end by the log alone") as unit:
        unit.connection.execute(update(tables.transaction).values(mined_block=None))
    backup = world.path / "backup.db"
    shell("backup", str(backup))
    customer_id = world.onboard("Platform B", B_BANK, B)
    world.until(lambda: is_minted(world) and verified(world, B))
    lose_and_restore(world, backup, shell)
    world.turn()
    shell("recovery", "enter", "Platform B", B_BANK)
    catch_up(world)
    assert (customer_id, verified(world, B)) == (2, True)
    check(world, mints_=1, paid_fen=0, reserve=SUM)


def test_an_order_that_a_lock_held_back_is_not_waited_for(
    world: World, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes were stored, the folder did not take them, and then came the lock: the bank can never answer."""
    burned_tokens(world)
    world.issuer.service.step()

    def refuse(*_: Any) -> Any:
        raise Unreachable("the bank's folder is full")

    with monkeypatch.context() as patch:
        patch.setattr(world.issuer.bank_folder, "write", refuse)
        while not rows(world, tables.document, tables.document.c.name.contains("REDEEM")):
            mine(world)
            with contextlib.suppress(Unreachable):
                world.issuer.service.step()
    with world.issuer.store.unit("lock") as unit:
        locks.engage(unit, Scope.PAYOUTS, "unexplained-entry", "a test", "Clear it.")
    backup = world.path / "backup.db"
    shell("backup", str(backup))
    lose_and_restore(world, backup, shell)
    catch_up(world)
    assert not is_paid(world)
    shell("lock", "clear", "1")
    world.until(lambda: is_paid(world))


def roll_back(world: World) -> Path:
    """Database and log folder are of one old moment, and nobody says so; where the whole log lies."""
    waiting_wire(world)
    world.until(lambda: is_minted(world))
    home, snapshot, whole = world.path / "issuer", world.path / "snapshot", world.path / "whole-log"
    world.issuer.close()
    shutil.copytree(home, snapshot)
    reopen(world)
    world.request_mint(1, A, "1000.00")
    world.wire(A_BANK, "Platform A", "1000.00")
    world.until(lambda: is_minted(world))
    world.turn()
    world.issuer.close()
    shutil.copytree(home / "log", whole)
    shutil.rmtree(home)
    shutil.copytree(snapshot, home)
    reopen(world)
    return whole


def put_back(world: World, whole: Path) -> None:
    log = world.path / "issuer" / "log"
    shutil.rmtree(log)
    whole.rename(log)
    catch_up(world)
    check(world, mints_=2, paid_fen=0, reserve=2 * SUM)
    assert [row.halted for row in rows(world, tables.signer) if row.halted] == []


def test_a_machine_that_was_rolled_back_looks_for_what_it_has_lost(world: World) -> None:
    """The chain says that it is old, once it was read further."""
    whole = roll_back(world)
    for _ in range(2):
        world.turn()
    assert "the log folder to have the" in waits(world)
    put_back(world, whole)


def test_a_machine_that_was_rolled_back_signs_nothing_while_its_node_falls_silent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocks that say so are read, and then the node has had enough questions."""
    whole = roll_back(world)
    log = world.path / "issuer" / "log"
    published = (log / "checkpoint").read_bytes()
    world.issuer.service  # noqa: B018 - it asks the node once, when it is opened

    def refuse(*_: Any) -> Any:
        raise NodeError("eth_getBlockReceipts", -32005, "daily request limit reached")

    with monkeypatch.context() as patch:
        patch.setattr("issuer.chain.watcher.NEAR", 3)

        def follow(*_: Any) -> Any:
            patch.setattr(world.issuer.raw_node, "call", refuse)
            refuse()

        patch.setattr("issuer.chain.watcher.Watcher._follow", follow)
        with contextlib.suppress(Unreachable):
            world.issuer.service.step()
    for _ in range(2):
        world.turn()
    assert (log / "checkpoint").read_bytes() == published
    put_back(world, whole)


def test_a_process_that_decides_does_not_overtake_the_one_that_reads_the_chain(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one brings what shows that the machine was rolled back, just after this one has looked for it."""
    whole = roll_back(world)
    decides, take = world.issuer.service_for(Role.OPERATIONS), intake.take

    def overtaken(store: Store, policy: Policy) -> int:
        world.issuer.watcher.collect()
        return take(store, policy)

    with monkeypatch.context() as patch:
        patch.setattr(intake, "take", overtaken)
        decides.step()
    put_back(world, whole)


def test_a_log_folder_may_be_put_back_before_the_machine_knows_that_it_is_old(world: World) -> None:
    whole = roll_back(world)
    world.issuer.watcher.collect()  # and it ends
    reopen(world)
    put_back(world, whole)


def test_a_restored_database_signs_nothing_before_it_has_read_the_chain(
    world: World, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log folder is old too, and its node does not answer at first."""
    log, whole = restore_with_an_old_log(world, shell)
    published = (log / "checkpoint").read_bytes()
    world.issuer.service  # noqa: B018 - it asks the node once, when it is opened

    def refuse(*_: Any) -> Any:
        raise NodeError("eth_getBlockByNumber", -32005, "daily request limit reached")

    with monkeypatch.context() as patch:
        patch.setattr(world.issuer.raw_node, "call", refuse)
        with pytest.raises(Unreachable):
            world.issuer.service.step()
    assert (log / "checkpoint").read_bytes() == published
    shutil.rmtree(log)
    whole.rename(log)
    catch_up(world)
    check(world, mints_=1, paid_fen=0, reserve=SUM)


def test_a_key_is_not_resumed_before_all_that_it_has_sent_is_found(
    world: World, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be counted on over what was lost."""
    world.onboard("Platform A", A_BANK, A)
    world.until(lambda: verified(world, A))
    registrar = world.issuer.deployment.keys["registrar"]
    with world.issuer.store.unit("halt") as unit:
        transactions.halt(unit, registrar, "a test")
    world.onboard("Platform B", B_BANK, B)
    world.turn()
    backup = world.path / "backup.db"
    shell("backup", str(backup))
    shell("key", "resume", "registrar")
    world.until(lambda: verified(world, B))
    sent = rpc.nonce(world.chain.node, registrar)
    lose_and_restore(world, backup, shell)
    monkeypatch.setattr("issuer.chain.lost.BLOCKS", 1)
    world.turn()
    assert shell("key", "resume", "registrar", status=1)["error"]["code"] == "locked"
    monkeypatch.setattr("issuer.chain.lost.BLOCKS", 500)
    for _ in range(3):
        world.turn()
    shell("key", "resume", "registrar")
    catch_up(world)
    assert verified(world, B)
    fences = [row for row in rows(world, tables.intent, tables.intent.c.kind == "fence") if row.state == "done"]
    assert rpc.nonce(world.chain.node, registrar) == sent + len(fences), "nothing was sent a second time"


def test_a_lost_mint_may_be_mined_after_the_transfer_that_was_to_take_its_place(
    world: World, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nodes forget the transfer and bring the mint back, further on than is searched at once."""
    waiting_wire(world)
    go_on_until(world, written("report-request-"))
    backup = world.path / "backup.db"
    shell("backup", str(backup))
    go_on_until(world, signed("mint"))
    lost = [form.raw for form in rows(world, tables.attempt)]
    world.chain.drop_pool()
    lose_and_restore(world, backup, shell)
    world.turn()
    world.bank.statement()
    assert signed("fence")(world)
    monkeypatch.setattr("issuer.chain.lost.BLOCKS", 10)
    world.chain.drop_pool()
    for _ in range(25):
        mine(world)
    for raw in lost:
        rpc.broadcast(world.chain.node, raw)
    for _ in range(4):
        mine(world)
    catch_up(world)
    check(world, mints_=1, paid_fen=0, reserve=SUM)


def test_a_lost_mint_through_a_minter_that_was_replaced_is_ours(world: World, shell: Any) -> None:
    """The home's record names the minter that was deployed, the database the one that speaks now."""
    waiting_wire(world)
    go_on_until(world, written("report-request-"))
    now = world.issuer.deployment
    with world.issuer.store.unit("replace the minter") as unit:
        parts.keep(unit, now)
    replace(now, minter=B.address).save(world.path / "issuer" / "deployment.json")
    reopen(world)
    backup = world.path / "backup.db"
    shell("backup", str(backup))
    world.until(lambda: is_minted(world))
    lose_and_restore(world, backup, shell)
    catch_up(world)
    check(world, mints_=1, paid_fen=0, reserve=SUM)


def test_every_action_of_the_log_can_be_applied_again() -> None:
    """Or is recorded only beside another one, in the same unit of work."""
    beside = {"mint.failed", "report.attested"}
    told = {f"chain.{kind}" for kind in intake.KINDS}
    known = set(causes.ACTS) | set(causes.TOLD_BY) | beside | set(causes.ENTERED) | told
    assert set(schema.ACTIONS) <= known
    assert {kind for kinds in causes.TOLD_BY.values() for kind in kinds} <= set(intake.KINDS)


# -- the copy itself


def test_a_backup_is_one_consistent_file_of_its_owner(world: World, shell: Any) -> None:
    backup = world.path / "backup.db"
    shell("backup", str(backup))
    assert backup.stat().st_mode & 0o777 == 0o600
    assert shell("backup", str(backup), status=1)["error"]["code"] == "conflict"
    assert shell("restore", str(world.path / "none.db"), status=1)["error"]["code"] == "invalid-input"
    (world.path / "torn.db").write_bytes(backup.read_bytes()[:5000])
    assert shell("restore", str(world.path / "torn.db"), status=1)["error"]["code"] == "invalid-input"


def test_a_database_in_use_is_not_replaced(world: World, shell: Any) -> None:
    backup = world.path / "backup.db"
    shell("backup", str(backup))
    with world.issuer.store.read() as connection:
        connection.execute(select(tables.customer)).all()
        assert shell("restore", str(backup), status=1)["error"]["code"] == "refused"


def test_a_key_stays_bound_though_the_database_has_lost_its_request(world: World, shell: Any) -> None:
    backup = world.path / "backup.db"
    shell("backup", str(backup))
    asked = ("customer", "add", "Platform A", "--jurisdiction", "HK", "--account", A_BANK, "--key", "k-1")
    first = shell(*asked)
    world.turn()
    lose_and_restore(world, backup, shell)
    world.turn()
    shell("recovery", "enter", "Platform A", A_BANK)
    catch_up(world)
    assert [row["id"] for row in shell("customer", "list")] == [first["id"]]
    refused = shell(*asked, status=1)["error"]
    assert (refused["code"], "its answer is lost" in refused["what"]) == ("conflict", True)
    assert len(shell("customer", "list")) == 1


def test_what_was_asked_for_is_not_accepted_again_before_the_log_is_back(world: World, shell: Any) -> None:
    customer_id = world.onboard("Platform A", A_BANK, A)
    world.until(lambda: verified(world, A))
    backup = world.path / "backup.db"
    shell("backup", str(backup))
    asked = ("mint", "request", "1000.00", "--customer", str(customer_id), "--wallet", A.address, "--key", "k-1")
    shell(*asked)
    world.turn()
    lose_and_restore(world, backup, shell)
    later, needed = (*asked[:-1], "k-2"), ("transaction", "cancel", "99")
    for early in (asked, needed):
        assert shell(*early, status=1)["error"]["code"] == "locked"
    world.turn()
    assert rows(world, tables.unapplied) == []
    assert in_recovery(world)
    assert shell(*needed, status=1)["error"]["code"] == "not-found", "what recovery may need is looked at"
    assert shell(*later, status=1)["error"]["code"] == "locked", "what the bank has booked is not known yet"
    catch_up(world)
    assert shell(*asked, status=1)["error"]["code"] == "conflict"
    assert len(world.orders()) == 1
    shell(*later)
    assert len(world.orders()) == 2


def test_a_key_that_was_bound_before_the_backup_answers_in_recovery(world: World, shell: Any) -> None:
    asked = ("customer", "add", "Platform A", "--jurisdiction", "HK", "--account", A_BANK, "--key", "k-1")
    first, backup = shell(*asked), world.path / "backup.db"
    shell("backup", str(backup))
    lose_and_restore(world, backup, shell)
    assert shell(*asked)["id"] == first["id"]


# -- PostgreSQL, whose own means copy it


def test_a_postgresql_that_was_brought_back_catches_up_likewise(
    request: pytest.FixtureRequest, tmp_path: Path, anvil: TestChain, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: str = request.getfixturevalue("postgresql")
    url = server.replace("/postgres?", "/lost?")
    monkeypatch.setenv("DATABASE_URL", url)
    ask(server, "CREATE DATABASE lost")
    world = World.create(tmp_path, anvil, database_url=url)
    try:
        waiting_wire(world)
        world.issuer.close()
        ask(server, "CREATE DATABASE kept TEMPLATE lost")
        reopen(world, database_url=url)
        assert shell("backup", str(tmp_path / "backup.db"), status=1)["error"]["code"] == "misconfigured"
        go_on_until(world, signed("mint"))
        world.issuer.close()
        ask(server, "DROP DATABASE lost")
        ask(server, "CREATE DATABASE lost TEMPLATE kept")
        shell("restore")
        reopen(world, database_url=url)
        catch_up(world)
        world.until(lambda: is_minted(world))
        check(world, mints_=1, paid_fen=0, reserve=SUM)
        world.call(A, "redeem", parse_units("400"), DEFAULT_INSTRUCTION)
        world.until(lambda: is_paid(world))
    finally:
        world.close()


def ask(server: str, statement: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement.encode())
