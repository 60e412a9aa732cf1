"""Several processes on one PostgreSQL, each in a thread with its own connections: together they do what one would."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, func, insert, select, text, update

from issuer.audit import trail
from issuer.audit.folder import LogFolder
from issuer.audit.integrator import Integrator
from issuer.errors import Conflict, Refused
from issuer.ledger import chart, journal
from issuer.money import fen_to_units
from issuer.operations import deposits, locks, mints, redemptions
from issuer.operations.replay import Replay
from issuer.operations.requests import Answer, Request, carry_out
from issuer.service import Service
from issuer.store import facts, recovery, tables, turn
from issuer.store.facts import News
from issuer.store.states import Door, OrderState, PayoutKind, PayoutState, ReportState
from issuer.store.unit import Store, Unit
from tests.bank_folder import signer
from tests.clock import START
from tests.integration.desk import AUDITOR, BANK, COLLECTION, FEED, POLICY, RESERVE, TOKEN, Desk

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

WORKERS = 4
CUSTOMERS = 5
ORDERS = 24
FEN = 1_000_00
UNITS = fen_to_units(FEN)
DEADLOCKS = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
LOCK_WAITS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
SMALL_BATCHES = replace(POLICY, batch_limit=3)


@pytest.fixture
def desk(store: Store) -> Desk:
    desk = Desk(store, policy=SMALL_BATCHES)
    begin_the_log(store)
    return desk


def begin_the_log(store: Store) -> None:
    """The desk's log is none: here is an integrator that makes one."""
    with store.unit("begin the log") as unit:
        for table in (tables.log_tree, tables.checkpoint):
            unit.connection.execute(delete(table))


def address(number: int) -> str:
    return f"0x{number:040x}"


def account(number: int) -> str:
    return f"3880000000{number:02}"


@contextmanager
def workers(desk: Desk, log: Path) -> Iterator[Callable[[], None]]:
    """Services that step and step, without doors; the yielded call raises what any of them has raised."""
    ended = threading.Event()
    key = signer()

    def work(store: Store) -> None:
        integrator = Integrator(store, LogFolder(log, key.verifier), key)
        service = Service(store=store, policy=desk.policy, integrator=integrator, sources=(), senders=())
        while not ended.is_set():
            if not service.step():
                ended.wait(0.02)

    with ExitStack() as stack, ThreadPoolExecutor(WORKERS) as pool:
        stores = [Store(desk.store.url, desk.store._clock) for _ in range(WORKERS)]
        for store in stores:
            stack.callback(store.close)
        running = [pool.submit(work, store) for store in stores]

        def check() -> None:
            for worker in running:
                if worker.done():
                    worker.result()

        try:
            yield check
        finally:
            ended.set()
        for worker in running:
            worker.result()


Told = tuple[str, dict[str, object]]


class World:
    """Bank and chain: they tell facts, and apply none."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.booked: set[int] = set()
        self.signed: set[int] = set()
        self.minted = 0
        self.credited = 0
        self.paid = 0
        self.seen: set[int] = set()
        self.burned = 0

    def tell(self, door: Door, *news: Told) -> None:
        items = [News(key=f"{kind}:{next(self.desk.numbers)}", kind=kind, payload=told) for kind, told in news]
        with self.desk.store.unit("tell") as unit:
            facts.bring(unit, door, items)

    def entry(self, direction: str, bank_account: str, amount_fen: int, **told: object) -> Told:
        blank = {"end_to_end_id": None, "counterparty_account": "", "counterparty_name": "", "reversal": False}
        return "entry", {**blank, "account": bank_account, "direction": direction, "amount_fen": amount_fen, **told}

    def turn(self) -> None:
        self.desk.pass_time()
        self.book()
        self.sign()
        self.mine()

    def book(self) -> None:
        for kind in PayoutKind:
            for found in self.desk.payouts(kind):
                if found.id in self.booked:
                    continue
                self.booked.add(found.id)
                total = found.amount_fen + found.fee_fen
                news = [self.entry("debit", found.debtor_account, total, end_to_end_id=found.message_id)]
                if kind is PayoutKind.MINT:
                    told = {"end_to_end_id": found.message_id, "counterparty_account": found.debtor_account}
                    news.append(self.entry("credit", RESERVE, total, **told))
                    self.credited += found.par
                elif kind is PayoutKind.REDEEM:
                    self.paid += found.par
                self.tell(Door.BANK, *news)

    def sign(self) -> None:
        with self.desk.store.read() as connection:
            asked = connection.execute(
                select(tables.report).where(tables.report.c.state == ReportState.REQUESTED)
            ).all()
            time = connection.execute(select(tables.cursor.c.head_timestamp)).scalar_one()
        for row in asked:
            if row.number in self.signed:
                continue
            self.signed.add(row.number)
            figures = {"reserve": self.credited - self.paid, "credited": self.credited, "paid": self.paid, "asOf": time}
            report = {"token": TOKEN, "number": row.number, "logSize": row.log_size, "logRoot": row.log_root, **figures}
            told = {"number": row.number, "chain_id": 31337, "feed": FEED, "report": report}
            answers = [("report", told | {"signer": by, "signature": "0x" + by[2:4] * 65}) for by in (BANK, AUDITOR)]
            self.tell(Door.BANK, *answers)

    def mine(self) -> None:
        """Every mint intent becomes a final mint, and a third of it is burned again."""
        place = {"transaction": "0x" + "77" * 32, "block": 2, "timestamp": START}
        with self.desk.store.read() as connection:
            minting = select(tables.intent).where(tables.intent.c.kind == "mint").order_by(tables.intent.c.id)
            found = [row for row in connection.execute(minting) if row.id not in self.seen]
        for row in found:
            self.seen.add(row.id)
            orders = row.payload["orders"]
            self.burned += UNITS // 2
            burn = {"account": orders[0][0], "id": self.burned, "value": UNITS // 2}
            self.tell(
                Door.CHAIN,
                ("minted", {**place, **row.payload, "first": self.minted + 1}),
                ("redeemed", {**place, **burn, "reference": redemptions.DEFAULT_INSTRUCTION}),
            )
            self.minted += len(orders)


def test_many_workers_do_what_one_would(desk: Desk, tmp_path: Path) -> None:
    for number in range(1, CUSTOMERS + 1):
        desk.customer(f"Customer {number}", account(number), address(number))
    world = World(desk)
    choose = random.Random(5)  # noqa: S311 - a seed, so that a test repeats
    with workers(desk, tmp_path / "log") as check:
        for order in range(ORDERS):
            number = order % CUSTOMERS + 1
            paid_in = {"counterparty_account": account(number), "counterparty_name": f"Customer {number}"}
            world.tell(Door.BANK, world.entry("credit", COLLECTION, FEN, **paid_in))
            desk.act(mints.request, desk.policy, customer_id=number, wallet=address(number), value=UNITS)
            if choose.random() < 0.4:
                world.turn()
            check()
        for _ in range(2000):
            world.turn()
            check()
            paid = [found for found in desk.payouts(PayoutKind.REDEEM) if found.state is PayoutState.PAID]
            if world.minted == ORDERS and len(paid) == len(world.seen):
                break
    payouts = {kind: desk.payouts(kind) for kind in PayoutKind}
    assert len(payouts[PayoutKind.MINT]) == len(world.seen), "one transfer and one mint for each batch"
    assert sum(found.par for found in payouts[PayoutKind.MINT]) == ORDERS * UNITS
    assert len(payouts[PayoutKind.REDEEM]) == len(world.seen), "one payment for each burn"
    with desk.store.read() as connection:
        states = Counter(row["state"] for row in mints.every(connection))
        assert connection.scalar(DEADLOCKS) == 0
    assert states == {OrderState.FINAL: ORDERS}
    left = ORDERS * UNITS - world.burned
    assert desk.balances() == {chart.RESERVE: left, chart.OUTSTANDING: left}


def test_money_is_not_bound_and_sent_back_at_once(desk: Desk) -> None:
    """One process reserves a customer's money for an order while a person has it refunded."""
    customer_id = desk.customer("Alice Limited", account(1), address(1))
    desk.wire(account(1), "Alice Limited", FEN)
    desk.act(mints.request, desk.policy, customer_id=customer_id, wallet=address(1), value=UNITS)
    with ThreadPoolExecutor(1) as pool:
        with desk.store.unit("reserve") as unit:
            assert turn.take(unit)
            assert mints.reserve(unit) == 1
            refund = pool.submit(desk.act, deposits.refund, desk.policy, deposit_id=1)
        with pytest.raises(Refused, match="less than"):
            refund.result()


def test_two_calls_with_one_key_at_once_get_one_answer(desk: Desk) -> None:
    """The second passes the look at the key, waits for the turn, and finds done what it was to do."""
    desk.customer("Alice Limited", account(1), address(1))
    desk.wire(account(1), "Alice Limited", FEN)
    asked = Request(caller="operator:ann", key="k-1", operation="deposit.refund", body={"deposit_id": 1})

    def refund(unit: Unit) -> dict[str, object]:
        return deposits.refund(unit, POLICY, deposit_id=1)

    with ThreadPoolExecutor(1) as pool:
        second: list[Future[Answer]] = []

        def refund_slowly(unit: Unit) -> dict[str, object]:
            done = refund(unit)
            second.append(pool.submit(carry_out, desk.store, asked, refund))
            until_one_waits(desk.store)
            return done

        first = carry_out(desk.store, asked, refund_slowly)
        again = second[0].result()
    assert (first.replayed, again.replayed, again.body) == (False, True, first.body)
    with desk.store.read() as connection:
        actions = [entry.record.action for entry in trail.latest(connection, 100)]
    assert "request.refused" not in actions


@pytest.mark.parametrize("applied", [False, True])
def test_a_person_leaves_a_record_out_after_whoever_has_the_turn(desk: Desk, applied: bool) -> None:
    with desk.store.unit("lose the effect of the first record") as unit:
        first = unit.connection.scalar(select(func.min(tables.audit_record.c.id)))
        unit.connection.execute(update(tables.audit_record).where(tables.audit_record.c.id == first).values(place=0))
        unit.connection.execute(insert(tables.unapplied).values(place=0))
    replay = Replay(desk.store, POLICY)
    with ThreadPoolExecutor(1) as pool:
        other = Store(desk.store.url, desk.store._clock)
        with other.unit("decide") as unit:
            assert turn.take(unit)
            left = pool.submit(replay.leave_out, 0, case="C-1", actor="operator:ann")
            until_one_waits(desk.store)
            if applied:
                unit.connection.execute(delete(tables.unapplied))
        other.close()
        if applied:
            with pytest.raises(Conflict, match="another process has applied it"):
                left.result()
        else:
            assert left.result()["place"] == 0
    with desk.store.read() as connection:
        assert recovery.behind(connection) == 0
        assert bool(locks.live(connection)) is not applied


def until_one_waits(store: Store) -> None:
    """Until some process waits for a lock of the database."""
    for _ in range(200):
        with store.read() as connection:
            if connection.scalar(LOCK_WAITS):
                return
        time.sleep(0.05)
    raise AssertionError("nobody waits")


def test_who_does_not_have_the_turn_goes_on_with_something_else(desk: Desk, tmp_path: Path) -> None:
    desk.customer("Alice Limited", account(1), address(1))
    other = Service(
        store=desk.store,
        policy=desk.policy,
        integrator=Integrator(desk.store, LogFolder(tmp_path, signer().verifier), signer()),
        sources=(),
        senders=(),
    )
    World(desk).tell(Door.BANK, World(desk).entry("credit", COLLECTION, FEN, counterparty_account=account(1)))
    store = Store(desk.store.url, desk.store._clock)
    with store.unit("decide") as unit:
        assert turn.take(unit)
        assert other.step() > 0, "it seals the log meanwhile"
        with desk.store.read() as connection:
            assert len(facts.new(connection)) == 1
    store.close()
    other.step()
    with desk.store.read() as connection:
        assert facts.new(connection) == []


def test_accounts_are_written_in_one_order(store: Store) -> None:
    """Postings that name the same accounts in every order never wait for each other in a circle."""
    names = [chart.customer(number) for number in range(6)]

    def post(seed: int) -> None:
        choose = random.Random(seed)  # noqa: S311 - a seed, so that a test repeats
        own = Store(store.url, store._clock)
        for _ in range(25):
            chosen = choose.sample(names, 4)
            entries = [journal.transfer("in", "test", debit=chart.COLLECTION, credit=name, units=1) for name in chosen]
            with own.unit("post") as unit:
                journal.post(unit, *entries)
        own.close()

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(post, range(WORKERS)))
    with store.read() as connection:
        journal.verify(connection)
        assert journal.balance(connection, chart.COLLECTION) == WORKERS * 25 * 4
        assert connection.scalar(DEADLOCKS) == 0
