"""Recovery in unlucky company: restored twice, two processes at once, answers and orders that come between."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from issuer import recovery
from issuer.audit import restoration
from issuer.audit.folder import LogFolder
from issuer.audit.integrator import Integrator
from issuer.operations import deposits, intake, locks, mints, powers, redemptions, reserve
from issuer.operations.policy import Policy
from issuer.operations.replay import Replay
from issuer.store import backup, tables
from issuer.store.states import Door, IntentState, PayoutKind, RedemptionState
from issuer.store.unit import Store, Unit
from tests.clock import ManualClock
from tests.integration.desk import ALICE, ALICE_BANK, BOB, BOB_BANK, POLICY
from tests.integration.test_audit_log import SIGNER, record
from tests.integration.test_replay import COURT, FEN, UNITS, Copied, catch_up, copied_desk, lose

CASE = "HCA-1"
SEIZED = {"account": ALICE, "id": UNITS, "value": UNITS, "reference": "0x" + "cc" * 32, "case": powers.case_id(CASE)}
PAYEE: dict[str, Any] = {"redemption_id": UNITS, "account": COURT[1], "name": COURT[0], "case": CASE}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Copied]:
    yield from copied_desk(tmp_path)


def seized(desk: Copied) -> None:
    """Alice's tokens are seized; a copy is taken before anybody has said who is paid."""
    alice = desk.customer("Alice Limited", ALICE_BANK, ALICE)
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.to_funded()
    desk.attest(reserve_units=UNITS, credited=UNITS)
    desk.mint()
    desk.chain("redeemed", **SEIZED)


def copied(source: Path, target: Path) -> Path:
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)
    return target


def test_whom_one_person_enters_after_a_restore_another_must_approve(desk: Copied) -> None:
    """That it was approved before tells nothing of what is entered now: only the log knew whom, and not in words."""
    seized(desk)
    lost = desk.copies[-1]
    desk.act(redemptions.direct, POLICY, **PAYEE, actor="operator:ann")
    desk.act(redemptions.approve, redemption_id=UNITS, actor="operator:ben")
    store = Store(f"sqlite:///{lost}", desk.clock)
    lose(desk, store)
    again = Replay(store, POLICY)
    again.run()
    again.enter(name="Mallory", account="999000000009", actor="operator:mallory")
    again.run()
    assert again.obstacle() is None
    intake.take(store, POLICY)
    with store.unit("instruct") as unit:
        assert redemptions.instruct(unit, POLICY) == 0
        row = redemptions.get(unit.connection, UNITS)
    assert (row["state"], row["payee_by"]) == (RedemptionState.HELD, "operator:mallory")
    with store.unit("approve", "operator:ben") as unit:
        redemptions.approve(unit, redemption_id=UNITS)
        assert redemptions.instruct(unit, POLICY) == 1
    store.close()


def test_a_backup_can_be_restored_twice(desk: Copied, tmp_path: Path) -> None:
    """What a person entered the first time is not asked for again once it was paid."""
    seized(desk)
    first, second = desk.copies[-1], copied(desk.copies[-1], tmp_path / "second.db")
    desk.act(redemptions.direct, POLICY, **PAYEE, actor="operator:ann")
    desk.act(redemptions.approve, redemption_id=UNITS, actor="operator:ben")
    desk.act(redemptions.instruct, POLICY)
    desk.book(desk.payouts(PayoutKind.REDEEM)[-1])
    once = Store(f"sqlite:///{first}", desk.clock)
    catch_up(desk, once)
    desk.store.close()
    desk.store = once
    desk.clock.advance(10)
    twice = Store(f"sqlite:///{second}", desk.clock)
    catch_up(desk, twice)
    twice.close()


def test_what_is_left_out_twice_locks_once(desk: Copied, tmp_path: Path) -> None:
    desk.customer("Alice Limited", ALICE_BANK, ALICE)
    first, second = desk.copies[-1], copied(desk.copies[-1], tmp_path / "second.db")
    desk.customer("Bob", BOB_BANK, BOB)
    left = []
    for path in (first, second):
        store = Store(f"sqlite:///{path}", desk.clock)
        left.append(leave_all_out(desk, store))
        desk.store.close()
        desk.store = store
        desk.clock.advance(10)
    assert left[0] == left[1] > 0


def leave_all_out(desk: Copied, store: Store) -> int:
    lose(desk, store)
    again, left = Replay(store, POLICY), 0
    again.run()
    while (obstacle := again.obstacle()) is not None:
        again.leave_out(obstacle.lost.place, case="C", actor="operator:cho")
        again.run()
        left += 1
    return left


def test_a_persons_order_may_come_between_a_deposit_and_its_standing_order(
    desk: Copied, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL a request takes no turn: its record may get an id between the two of a deposit's unit."""
    alice = desk.customer("Alice Limited", ALICE_BANK, ALICE)
    desk.customer("Bob", BOB_BANK, BOB, standing=True)
    lost = desk.copies[-1]
    follow = deposits._follow_standing_instruction

    def between(unit: Unit, policy: Policy, customer_id: int, units: int) -> None:
        person = replace(unit, actor="operator:ann")
        mints.request(person, policy, customer_id=alice, wallet=ALICE, value=UNITS // 100)
        follow(unit, policy, customer_id, units)

    with monkeypatch.context() as patch:
        patch.setattr(deposits, "_follow_standing_instruction", between)
        desk.wire(BOB_BANK, "Bob", FEN)
    store = Store(f"sqlite:///{lost}", desk.clock)
    lose(desk, store)
    again = Replay(store, POLICY)
    again.run()
    assert again.obstacle() is None
    store.close()


def test_an_answer_is_not_lost_while_the_answer_to_no_order_locks(desk: Copied) -> None:
    """The bank's answers are read in the order of their names: one may come before its order is known again."""
    alice = desk.customer("Alice Limited", ALICE_BANK, ALICE)
    for _ in range(2):
        desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    one = desk.to_funding()
    unknown = {"message_id": "REDEEM-nobody-1", "accepted": True, "code": None, "reason": ""}
    desk.tell(Door.BANK, "status", **unknown)
    lost = desk.copies[-1]
    desk.status(one)
    desk.act(locks.clear, lock_id=1)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.status(desk.to_funding())
    store = Store(f"sqlite:///{lost}", desk.clock)
    lose(desk, store)
    with store.unit("tell them in another order") as unit:
        waiting = (tables.fact.c.kind == "status", tables.fact.c.state == "new")
        rows = unit.connection.execute(select(tables.fact).where(*waiting).order_by(tables.fact.c.id)).all()
        for row, other in zip(rows, reversed(rows), strict=True):
            named = {"key": f"other:{other.id}", "payload": other.payload}
            unit.connection.execute(update(tables.fact).where(tables.fact.c.id == row.id).values(**named))
    again = Replay(store, POLICY)
    again.run()
    assert (len(rows), again.obstacle()) == (2, None)
    store.close()


def test_a_report_is_asked_for_again_in_the_same_words(desk: Copied) -> None:
    """Its file was written before the database was lost, and is not seen yet: another one must not take its name."""
    desk.customer("Alice Limited", ALICE_BANK, ALICE)
    lost = desk.copies[-1]
    desk.act(reserve.request)
    (asked,) = desk.intents("report-request")
    desk.pass_time()
    store = Store(f"sqlite:///{lost}", desk.clock)
    catch_up(desk, store)
    desk.store.close()
    desk.store = store
    assert desk.intents("report-request") == [asked]


def test_an_order_that_the_bank_calls_a_duplicate_has_its_answer(desk: Copied) -> None:
    """It stays as it is until it is booked, which may be never, and recovery must not wait for another answer."""
    alice = desk.customer("Alice Limited", ALICE_BANK, ALICE)
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    order = desk.to_funding()
    with desk.store.unit("send") as unit:
        sent = update(tables.intent).where(tables.intent.c.kind == "payment")
        unit.connection.execute(sent.values(state=IntentState.DONE))
    with desk.store.read() as connection:
        assert [item.message_id for item in recovery._unanswered(connection, [])] == [order.message_id]
    key = f"status:{order.message_id}"
    answer = {"message_id": order.message_id, "accepted": False, "code": "DU01", "reason": "known"}
    desk.tell(Door.BANK, "status", key, **answer)
    with desk.store.read() as connection:
        assert recovery._unanswered(connection, []) == []


def test_two_processes_take_the_log_back_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, folder = opened(tmp_path / "a.db"), LogFolder(tmp_path / "log", SIGNER.verifier)
    record(store, 3)
    Integrator(store, folder, SIGNER).run()
    lost = copied(tmp_path / "a.db", tmp_path / "b.db")
    record(store, 5)
    Integrator(store, folder, SIGNER).run()
    store.close()
    one, two = (Store(f"sqlite:///{lost}", ManualClock()) for _ in range(2))
    check = restoration._require_continuation

    def overtaken(*arguments: Any) -> None:
        monkeypatch.setattr(restoration, "_require_continuation", check)
        check(*arguments)
        assert restoration.take_back(two, folder) == 5

    monkeypatch.setattr(restoration, "_require_continuation", overtaken)
    assert restoration.take_back(one, folder) == 0
    one.close()
    two.close()


def test_the_journal_of_a_database_that_was_lost_is_not_played_into_the_restored_one(tmp_path: Path) -> None:
    """Its process was killed, so its journal stays; then its file is lost, or moved away by a person."""
    url, live = f"sqlite:///{tmp_path}/issuer.db", tmp_path / "issuer.db"
    store = opened(live)
    record(store, 3)
    backup.save(url, tmp_path / "saved", 1)
    record(store, 50)
    with closing(sqlite3.connect(live)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    record(store, 5)
    shutil.copy(f"{live}-wal", tmp_path / "wal")
    store.close()
    live.unlink()
    shutil.copy(tmp_path / "wal", f"{live}-wal")
    ready = backup.prepare(url, tmp_path / "saved")
    restored = Store(f"sqlite:///{ready}", ManualClock())
    with restored.unit("begin recovery") as unit:
        recovery.begin(unit, "restored", 1)
    restored.close()
    backup.put_in_place(url, ready, 2)
    with closing(sqlite3.connect(live)) as found:
        assert found.execute("SELECT count(*) FROM audit_record").fetchone() == (4,)
        assert found.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def opened(path: Path) -> Store:
    store = Store(f"sqlite:///{path}", ManualClock())
    store.migrate()
    return store
