"""From any earlier copy of the database, the log and the world lead back to the same state, whatever had happened.

The database is copied after every act. From each copy the records written since are applied again, with the facts of
bank and chain told in another order than they came in: all tables must be as they were.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from issuer import crash
from issuer.errors import Refused
from issuer.ledger import journal
from issuer.messages.contracts import TOKEN
from issuer.money import fen_to_units
from issuer.operations import (
    batches,
    causes,
    customers,
    deposits,
    intake,
    locks,
    mints,
    powers,
    redemptions,
    replay,
    reserve,
    wallets,
)
from issuer.operations.payouts import Payout
from issuer.operations.policy import Policy
from issuer.operations.replay import Replay
from issuer.operations.requests import Request, carry_out
from issuer.store import facts, recovery, tables
from issuer.store.facts import News
from issuer.store.states import Door, IntentState, PayoutKind, TooLarge
from issuer.store.unit import Store, Unit
from tests.clock import START, ManualClock
from tests.integration.desk import ALICE, ALICE_BANK, AUDITOR, BANK, BOB, BOB_BANK, COLLECTION, POLICY, RESERVE, Desk

FEN = 50_000_00
UNITS = fen_to_units(FEN)
COURT = ("High Court", "012879000000001")
NAMES = {f"redemption:{UNITS}": COURT, "customer:1": ("Alice Limited", ALICE_BANK), "customer:2": ("Bob", BOB_BANK)}

OURS = frozenset(("refused", "sent", "stuck", "halted", "low-gas"))
"""Facts that only the sender knew: nobody tells them again."""


@dataclass
class Copied(Desk):
    """A desk whose database is copied after everything that happens."""

    today: Policy = POLICY  # the copies are recovered under it
    clock: ManualClock = field(default_factory=ManualClock)
    path: Path = Path()
    copies: list[Path] = field(default_factory=list)

    def act(self, function: Any, *arguments: Any, actor: str = "operator:ann", **named: Any) -> Any:
        self.clock.advance(1)
        found = super().act(function, *arguments, actor=actor, **named)
        self.copy()
        return found

    def tell(self, *arguments: Any, **named: Any) -> None:
        self.clock.advance(1)
        super().tell(*arguments, **named)
        self.copy()

    def copy(self) -> None:
        copy = self.path / f"copy-{len(self.copies)}.db"
        with closing(sqlite3.connect(self.path / "issuer.db")) as live, closing(sqlite3.connect(copy)) as target:
            live.backup(target)
        self.copies.append(copy)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Copied]:
    yield from copied_desk(tmp_path)


def copied_desk(tmp_path: Path) -> Iterator[Copied]:
    clock = ManualClock()
    store = Store(f"sqlite:///{tmp_path}/issuer.db", clock)
    store.migrate()
    yield Copied(store, clock=clock, path=tmp_path)
    store.close()


def the_main_job(desk: Copied) -> None:
    """A large order of one customer and a standing one of another; a redemption that comes back and is paid again."""
    alice = desk.customer("Alice Limited", ALICE_BANK, ALICE)
    desk.customer("Bob", BOB_BANK, BOB, standing=True)
    large = POLICY.approval_threshold + UNITS
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=large, actor="operator:ann")
    desk.act(mints.approve, order_id=1, actor="operator:ben")
    desk.wire(BOB_BANK, "Bob", FEN)
    desk.wire(ALICE_BANK, "Alice Limited", large // 10_000)
    desk.wire("999000000009", "Mallory", 100_00)
    desk.act(deposits.return_to_senders, POLICY)
    back = desk.payouts(PayoutKind.RETURN)[-1]
    desk.status(back)
    desk.book(back)
    desk.status(desk.to_funded())
    desk.attest(reserve_units=large + UNITS, credited=large + UNITS)
    desk.mint()
    told = {"account": ALICE, "id": UNITS, "value": UNITS, "reference": redemptions.DEFAULT_INSTRUCTION}
    desk.chain("redeemed", **told)
    desk.act(redemptions.instruct, POLICY)
    first = desk.payouts(PayoutKind.REDEEM)[-1]
    desk.book(first)
    debit = {"end_to_end_id": first.message_id, "reversal": True}
    desk.entry("credit", first.debtor_account, first.amount_fen - 20_00, **debit)
    desk.entry("credit", first.debtor_account, 20_00, **debit)
    desk.act(locks.clear, lock_id=1)
    desk.act(redemptions.release, POLICY, redemption_id=UNITS)
    desk.act(redemptions.instruct, POLICY)
    desk.book(desk.payouts(PayoutKind.REDEEM)[-1])


def trouble(desk: Copied) -> None:
    """A frozen recipient, a refused payment, a recalled wire, locks, a refund, powers, a cancelled order."""
    alice = desk.customer("Alice Limited", ALICE_BANK, ALICE)
    bob = desk.customer("Bob", BOB_BANK, BOB)
    for customer_id, account, name, address in [
        (alice, ALICE_BANK, "Alice Limited", ALICE),
        (bob, BOB_BANK, "Bob", BOB),
    ]:
        desk.wire(account, name, FEN)
        desk.act(mints.request, POLICY, customer_id=customer_id, wallet=address, value=UNITS)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=7 * UNITS)
    desk.act(mints.cancel, order_id=3)
    desk.to_funded()
    desk.attest(reserve_units=2 * UNITS, credited=2 * UNITS)
    refuse(desk, "ReportTooOld", [])
    desk.clock.advance(60)
    desk.act(batches.send)
    refuse(desk, "AccountFrozen", [BOB])
    desk.act(batches.send)
    desk.mint()
    number = desk.attest(reserve_units=UNITS, credited=UNITS)
    with desk.store.read() as connection:
        as_of = reserve.get(connection, number)["as_of"]
    desk.chain("reported", number=number, reserve=UNITS, credited=UNITS, paid=0, as_of=as_of)
    desk.act(batches.unfund, POLICY)
    unfunding = desk.payouts(PayoutKind.UNFUND)[-1]
    desk.status(unfunding, code="AM04")
    desk.act(locks.clear, lock_id=1)
    desk.act(batches.unfund, POLICY)
    desk.book(desk.payouts(PayoutKind.UNFUND)[-1])
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    recalled = {"counterparty_account": ALICE_BANK, "counterparty_name": "Alice Limited", "reversal": True}
    desk.entry("debit", COLLECTION, FEN, **recalled)
    desk.act(deposits.refund, POLICY, deposit_id=2)
    desk.book(desk.payouts(PayoutKind.REFUND)[-1])
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.entry("debit", COLLECTION, 1_00)
    desk.act(powers.freeze, accounts=[BOB], case="C-1")
    act = TOKEN.call("unfreeze", BOB, 1)
    desk.act(powers.propose, contract="token", act=act, case="C-2")


def people_and_powers(desk: Copied) -> None:
    """Requests, refusals, slow acts, a seizure, a thief's mint, reports that came to nothing, an erased person."""
    alice = ask(desk, "add", lambda unit: add(unit, "Alice Limited", ALICE_BANK))["id"]
    wallet = {"customer_id": alice, "address": ALICE, "standing": False}
    given = desk.act(wallets.challenge, POLICY, **wallet)
    desk.act(wallets.register, address=ALICE, text=given["challenge"], controlled=True)
    fail(desk, "verify", f"wallet:{ALICE}")
    fail(desk, "verify", f"wallet:{ALICE}")
    desk.chain("verified", account=ALICE)
    with pytest.raises(Refused):
        ask(desk, "again", lambda unit: add(unit, "Alice Limited", ALICE_BANK))
    large = POLICY.approval_threshold + UNITS
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=large, actor="operator:ann")
    desk.act(mints.reject, order_id=1, actor="operator:ben")
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.to_funded()
    desk.pass_time()
    desk.act(reserve.request)
    desk.tell_refusal(1, reserve.TOO_EARLY)
    desk.clock.advance(reserve.PAUSE)
    desk.attest(reserve_units=UNITS, credited=UNITS)
    fail(desk, "report", "report:2")
    desk.attest(reserve_units=UNITS, credited=UNITS)
    fail(desk, "mint", f"batch:{desk.intents('mint')[-1]['reference']}")
    desk.clock.advance(60)
    desk.act(batches.send)
    desk.mint()
    desk.chain("minted", first=2, reference="0x" + "66" * 32, orders=[[BOB, UNITS]])
    desk.act(powers.use, "stop", {"stops": 2}, case="C-3")
    told = {"intent_id": desk.last_intent("stop"), "kind": "stop", "subject": "case:C-3"}
    desk.void_intents("stop")
    desk.chain("refused", **told, error="NothingToStop", arguments=[])
    act = TOKEN.call("unfreeze", ALICE, 1)
    act_id = desk.act(powers.propose, contract="token", act=act, case="C-4")["act_id"]
    shown = {"actId": act_id, "contract": "token", "by": ALICE}
    desk.chain("proposed", event="Proposed", act=act, readyAt=desk.clock.now() - 3600, **shown)
    desk.pass_time()
    desk.act(powers.accept_ready)
    fail(desk, "accept", "case:act:" + act_id)
    desk.act(powers.accept_ready)
    desk.chain("accepted", event="Accepted", **shown)
    seized = {"account": ALICE, "id": UNITS, "value": UNITS, "reference": "0x" + "00" * 32}
    desk.chain("redeemed", **seized, case=powers.case_id("HCMP/12"))
    payee = {"account": COURT[1], "name": COURT[0], "case": "HCMP/12"}
    desk.act(redemptions.direct, POLICY, redemption_id=UNITS, **payee, actor="operator:ann")
    desk.act(redemptions.approve, redemption_id=UNITS, actor="operator:ben")
    for lock in (1, 2):
        desk.act(locks.clear, lock_id=lock) if lock_is_live(desk, lock) else None
    desk.act(redemptions.instruct, POLICY)
    desk.book(desk.payouts(PayoutKind.REDEEM)[-1])
    desk.chain("unverified", account=ALICE)


def a_small_limit(desk: Copied) -> None:
    """A batch above the minting limit is split, twice; one order of it is above the limit by itself."""
    alice = desk.customer("Alice Limited", ALICE_BANK, ALICE)
    desk.wire(ALICE_BANK, "Alice Limited", 3 * FEN)
    for _ in range(3):
        desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.to_funded()
    desk.attest(reserve_units=3 * UNITS, credited=3 * UNITS)
    for _ in range(3):
        refuse(desk, TooLarge.CAPACITY, [])
        desk.act(batches.send)
    _, one, _, two, _ = desk.intents("mint")
    for first, payload in ((1, one), (2, two)):
        desk.chain("minted", first=first, reference=payload["reference"], orders=payload["orders"])
    assert [desk.order(number)["state"] for number in (1, 2, 3)] == ["final", "final", "batched"]
    assert desk.order(3)["waits_for"] == mints.LIMIT_TOO_SMALL


def another_order(desk: Copied) -> None:
    """What bank and chain tell in another order than they mostly do, or for nothing."""
    desk.wire("999000000009", "Mallory", 0)
    desk.pass_time()
    number = int(desk.act(reserve.request)["number"])
    figures = {"reserve": 0, "credited": 0, "paid": 0}
    desk.sign(number, BANK, asOf=START, **figures)
    desk.chain("reported", number=number, as_of=START, **figures)
    desk.sign(number, AUDITOR, asOf=START, **figures)
    desk.pass_time()
    number = int(desk.act(reserve.request)["number"])
    desk.chain("reported", number=number, as_of=START + 1, **figures)
    for signer in (BANK, AUDITOR):
        desk.sign(number, signer, asOf=START + 1, **figures)
    alice = desk.customer("Alice Limited", ALICE_BANK, ALICE)
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    reverse(desk, desk.to_funding())
    desk.act(locks.clear, lock_id=1)
    desk.act(batches.fund, POLICY)
    transfer = desk.payouts(PayoutKind.MINT)[-1]
    told: dict[str, Any] = {"end_to_end_id": transfer.message_id}
    desk.entry("credit", RESERVE, FEN, counterparty_account=COLLECTION, **told)
    desk.entry("debit", COLLECTION, FEN, **told)
    desk.attest(reserve_units=UNITS, credited=UNITS)
    desk.mint()
    told = {"account": ALICE, "id": UNITS, "value": UNITS, "reference": redemptions.DEFAULT_INSTRUCTION}
    desk.chain("redeemed", **told)
    desk.act(redemptions.instruct, replace(POLICY, redemption_fee_fen=FEN))
    desk.act(redemptions.release, POLICY, redemption_id=UNITS)
    desk.act(redemptions.instruct, POLICY)
    refused = desk.payouts(PayoutKind.REDEEM)[-1]
    told = {"end_to_end_id": refused.message_id}
    desk.entry("debit", RESERVE, FEN // 2, **told)
    desk.wire("999000000009", "Mallory", 1_00)
    desk.status(refused, code="AM04")
    desk.entry("credit", RESERVE, FEN // 2, reversal=True, **told)
    for lock_id in (2, 3):
        desk.act(locks.clear, lock_id=lock_id)
    desk.act(redemptions.release, POLICY, redemption_id=UNITS)
    desk.act(redemptions.instruct, POLICY)
    desk.act(deposits.return_to_senders, POLICY)
    for _ in range(2):
        desk.status(desk.payouts(PayoutKind.RETURN)[-1], code="AC04")
        clear_all(desk)
        desk.act(deposits.refund, POLICY, deposit_id=2)
    back = desk.payouts(PayoutKind.RETURN)[-1]
    desk.book(back)
    desk.entry("credit", COLLECTION, back.amount_fen, end_to_end_id=back.message_id, reversal=True)
    desk.entry("credit", "012875000000003", FEN)


def other_rules(desk: Copied) -> None:
    """The fee, the threshold and the countries served were others then: the copies are recovered under today's."""
    desk.policy = replace(POLICY, approval_threshold=1, redemption_fee_fen=20_00, refused_jurisdictions=frozenset())
    desk.today = replace(POLICY, redemption_fee_fen=FEN)
    desk.wire("999000000009", "Mallory", 1_00)
    alice_limited = {"name": "Alice Limited", "jurisdiction": "CN", "bank_account": ALICE_BANK}
    alice = desk.act(customers.add, desk.policy, **alice_limited)["id"]
    given = desk.act(wallets.challenge, desk.policy, customer_id=alice, address=ALICE, standing=True)
    desk.act(wallets.register, address=ALICE, text=given["challenge"], controlled=True)
    desk.chain("verified", account=ALICE)
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, desk.policy, customer_id=alice, wallet=ALICE, value=UNITS, actor="operator:ann")
    desk.act(mints.reject, order_id=2, actor="operator:ben")
    desk.act(mints.approve, order_id=1, actor="operator:ben")
    desk.policy = replace(desk.policy, approval_threshold=10 * POLICY.approval_threshold)
    desk.wire(ALICE_BANK, "Alice Limited", 2 * POLICY.approval_threshold // 10_000)
    units = UNITS + 2 * POLICY.approval_threshold
    desk.to_funded()
    desk.attest(reserve_units=units, credited=units)
    desk.mint()
    told = {"account": ALICE, "reference": redemptions.DEFAULT_INSTRUCTION}
    desk.chain("redeemed", id=UNITS, value=UNITS, **told)
    small = fen_to_units(20_00)
    desk.chain("redeemed", id=UNITS + small, value=small, **told)
    desk.act(redemptions.instruct, desk.policy)
    paid = desk.payouts(PayoutKind.REDEEM)[-1]
    assert paid.fee_fen == 20_00
    desk.book(paid)
    desk.policy = replace(desk.policy, redemption_fee_fen=0)
    desk.act(redemptions.release, desk.policy, redemption_id=UNITS + small)


def slow_answers(desk: Copied) -> None:
    """The bank answers an order when it has booked another one, or answers it otherwise than it books it."""
    alice = desk.customer("Alice Limited", ALICE_BANK, ALICE)
    for _ in range(4):
        desk.wire(ALICE_BANK, "Alice Limited", FEN)
    orders = [fund(desk, alice) for _ in range(3)]
    desk.status(orders[0])
    desk.book(orders[0])
    desk.attest(reserve_units=UNITS, credited=UNITS)
    desk.status(orders[1])
    desk.book(orders[1])
    desk.mint()
    told = {"account": ALICE, "id": UNITS, "value": UNITS, "reference": redemptions.DEFAULT_INSTRUCTION}
    desk.chain("redeemed", **told)
    desk.act(redemptions.instruct, POLICY)
    paid = desk.payouts(PayoutKind.REDEEM)[-1]
    half = {"end_to_end_id": paid.message_id}
    desk.entry("debit", RESERVE, FEN // 2, **half)
    desk.status(paid, code="AM04")
    desk.act(locks.clear, lock_id=1)
    desk.entry("debit", RESERVE, FEN - FEN // 2, **half)
    desk.status(orders[2], code="AM04")
    desk.entry("debit", COLLECTION, FEN // 2, end_to_end_id=orders[2].message_id)


def refused_and_booked(desk: Copied) -> None:
    """The bank refuses orders that it accepts or books afterwards; one arrives between its parts."""
    alice = desk.customer("Alice Limited", ALICE_BANK, ALICE)
    for _ in range(3):
        desk.wire(ALICE_BANK, "Alice Limited", FEN)
    order = fund(desk, alice)
    told = {"end_to_end_id": order.message_id}
    desk.entry("debit", COLLECTION, 40, **told)
    desk.entry("credit", RESERVE, FEN, **told)
    desk.entry("debit", COLLECTION, FEN - 40, **told)
    for early in (True, False):
        order = fund(desk, alice)
        desk.status(order, code="AM04")
        told = {"end_to_end_id": order.message_id}
        if early:
            desk.entry("credit", RESERVE, FEN, counterparty_account=COLLECTION, **told)
        desk.entry("debit", COLLECTION, FEN, **told)
        if not early:
            desk.status(order)
            desk.entry("credit", RESERVE, FEN, counterparty_account=COLLECTION, **told)
        clear_all(desk)
    desk.attest(reserve_units=3 * UNITS, credited=3 * UNITS)
    desk.mint()
    desk.chain("redeemed", account=ALICE, id=UNITS, value=UNITS, reference=redemptions.DEFAULT_INSTRUCTION)
    desk.act(redemptions.instruct, POLICY)
    paid = desk.payouts(PayoutKind.REDEEM)[-1]
    desk.status(paid)
    desk.status(paid, code="AM04")
    desk.status(paid)
    desk.book(paid)
    clear_all(desk)
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(deposits.refund, POLICY, deposit_id=4)
    back = desk.payouts(PayoutKind.REFUND)[-1]
    desk.status(back, code="AM04")
    desk.book(back)


def recalled_meanwhile(desk: Copied) -> None:
    """The bank takes wires back that are being sent back, and refuses to send them, or sends them and then not."""
    desk.customer("Alice Limited", ALICE_BANK, ALICE, standing=True)
    told = {"counterparty_account": ALICE_BANK, "counterparty_name": "Alice Limited", "reversal": True}
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.entry("debit", COLLECTION, FEN, **told)
    for account, name in ((ALICE_BANK, "Alice Limited"), ("999000000009", "Mallory")):
        desk.wire(account, name, FEN)
        desk.act(deposits.return_to_senders, POLICY)
        if name != "Mallory":
            desk.act(deposits.refund, POLICY, deposit_id=2)
        told = {"counterparty_account": account, "counterparty_name": name, "reversal": True}
        desk.entry("debit", COLLECTION, FEN, **told)
        clear_all(desk)
    desk.status(desk.payouts(PayoutKind.REFUND)[-1], code="AM04")
    desk.wire("012875000000003", "Operating", FEN)
    back = desk.payouts(PayoutKind.RETURN)[-1]
    desk.book(back)
    desk.entry("credit", COLLECTION, FEN, end_to_end_id=back.message_id, reversal=True)
    desk.wire("999000000009", "Mallory", 1)
    clear_all(desk)
    desk.act(deposits.return_to_senders, POLICY)
    back = desk.payouts(PayoutKind.RETURN)[-1]
    desk.book(back)
    sender = {"counterparty_account": "999000000009", "counterparty_name": "Mallory"}
    desk.entry("credit", COLLECTION, 1, end_to_end_id=back.message_id, **sender)
    bob = desk.customer("Bob", BOB_BANK, BOB)
    desk.wire(BOB_BANK, "Bob", 2 * FEN)
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    for _ in range(2):
        desk.act(mints.request, POLICY, customer_id=bob, wallet=BOB, value=UNITS)
    desk.to_funding()
    told = {"counterparty_account": ALICE_BANK, "counterparty_name": "Alice Limited", "reversal": True}
    desk.entry("debit", COLLECTION, FEN, **told)
    with desk.store.read() as connection:
        orders = {row["id"]: row["state"] for row in mints.every(connection)}
    for number in (max(orders) - 2, max(orders)):
        desk.status(desk.payouts(PayoutKind.MINT)[-1], code="AM04")
        clear_all(desk)
        desk.act(mints.cancel, order_id=number)
        desk.act(batches.fund, POLICY)
    desk.status(desk.payouts(PayoutKind.MINT)[-1], code="AM04")
    clear_all(desk)
    desk.act(mints.cancel, order_id=max(orders) - 1)


def clear_all(desk: Copied) -> None:
    with desk.store.read() as connection:
        live = [lock["id"] for lock in locks.live(connection)]
    for lock_id in live:
        desk.act(locks.clear, lock_id=lock_id)


def fund(desk: Copied, customer_id: int) -> Payout:
    """An order whose money the bank is to move."""
    desk.act(mints.request, POLICY, customer_id=customer_id, wallet=ALICE, value=UNITS)
    return desk.to_funding()


def reverse(desk: Copied, found: Payout) -> None:
    """The bank books an order, and takes it back."""
    told = {"end_to_end_id": found.message_id}
    desk.entry("debit", found.debtor_account, found.amount_fen, **told)
    desk.entry("credit", found.debtor_account, found.amount_fen, reversal=True, **told)


def add(unit: Unit, name: str, account: str) -> dict[str, Any]:
    return customers.add(unit, POLICY, name=name, jurisdiction="HK", bank_account=account)


def ask(desk: Copied, key: str, act: Callable[[Unit], dict[str, Any]]) -> dict[str, Any]:
    desk.clock.advance(1)
    asked = Request(caller="operator:ann", key=key, operation="customer.add", body={"key": key})
    try:
        return carry_out(desk.store, asked, act).body
    finally:
        desk.copy()


def fail(desk: Copied, kind: str, subject: str) -> None:
    """A transaction of that intent is final, and did nothing."""
    told = {"intent_id": desk.last_intent(kind), "kind": kind, "subject": subject, "outcome": "reverted"}
    bind(desk, desk.last_intent(kind))
    desk.chain("sent", **told, reason="", signer=ALICE)


def bind(desk: Copied, intent_id: int) -> None:
    """The sender has taken up an intent."""
    with desk.store.unit("take up") as unit:
        one = tables.intent.c.id == intent_id
        unit.connection.execute(update(tables.intent).where(one).values(state=IntentState.BOUND))


def lock_is_live(desk: Copied, lock_id: int) -> bool:
    with desk.store.read() as connection:
        return any(lock["id"] == lock_id for lock in locks.live(connection))


def refuse(desk: Copied, error: str, arguments: list[Any]) -> None:
    payload = desk.intents("mint")[-1]
    told = {"intent_id": desk.last_intent("mint"), "kind": "mint", "subject": f"batch:{payload['reference']}"}
    bind(desk, desk.last_intent("mint"))
    desk.chain("refused", **told, error=error, arguments=arguments)


@pytest.fixture(params=["one by one", "together"])
def near(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether records are applied together in such a short log as well."""
    if request.param == "together":
        monkeypatch.setattr(replay, "_NEAR", 8)


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize(
    "scenario",
    [
        the_main_job,
        trouble,
        people_and_powers,
        a_small_limit,
        another_order,
        other_rules,
        slow_answers,
        refused_and_booked,
        recalled_meanwhile,
    ],
)
def test_any_copy_catches_up_with_the_log(desk: Copied, scenario: Callable[[Copied], None]) -> None:
    scenario(desk)
    wanted = state(desk.store)
    for number, copy in [*enumerate(desk.copies)][::3]:
        store = Store(f"sqlite:///{copy}", desk.clock)
        try:
            catch_up(desk, store)
            assert state(store) == wanted, f"from copy {number} of {len(desk.copies)}"
        finally:
            store.close()


def catch_up(desk: Copied, store: Store) -> None:
    lose(desk, store)
    again = Replay(store, desk.today)
    again.run()
    while (obstacle := again.obstacle()) is not None:
        assert obstacle.lost.record.action in causes.ENTERED, obstacle
        name, account = NAMES[obstacle.lost.record.subject]
        again.enter(name=name, account=account, actor="operator:cho")
        again.run()
    intake.take(store, desk.today)


def lose(desk: Copied, store: Store) -> None:
    """Give a copy the records written since as the log has them, and tell it the facts again: the chain's first, and
    the bank's notices before its answers.
    """
    with desk.store.read() as connection:
        records = connection.execute(select(tables.audit_record).order_by(tables.audit_record.c.id)).all()
        told = connection.execute(select(tables.fact).order_by(tables.fact.c.id)).all()
        cursor = connection.execute(select(tables.cursor)).mappings().one()
    told = sorted(told, key=lambda row: (row.door != Door.CHAIN, row.door == Door.BANK and row.kind != "entry"))
    with store.unit("lose") as unit:
        known = unit.connection.scalar(select(func.max(tables.audit_record.c.id))) or 0
        for row in records[known:]:
            values = {"id": row.id, "body": row.body, "subject": row.subject, "place": row.id}
            unit.connection.execute(insert(tables.audit_record).values(**values))
            unit.connection.execute(insert(tables.unapplied).values(place=row.id))
        for row in told:
            if row.kind not in OURS:
                facts.bring(unit, row.door, [News(key=row.key, kind=row.kind, payload=row.payload)])
        unit.connection.execute(update(tables.cursor).values(**cursor))


_COMPARED = (
    "customer",
    "wallet",
    "deposit",
    "mint_order",
    "batch",
    "payout",
    "redemption",
    "report",
    "proposal",
    "lock",
)

_DRAWN = frozenset(("challenge", "expires", "fact_id", "not_before", "refusals"))
"""Columns of what is asked for anew, counted anew, or a pause of seconds."""


def state(store: Store) -> dict[str, Any]:
    """All tables that decisions rest on, without what was drawn or counted anew."""
    with store.read() as connection:
        journal.verify(connection)
        found: dict[str, Any] = {}
        for name in _COMPARED:
            columns = [column for column in tables.metadata.tables[name].columns if column.name not in _DRAWN]
            found[name] = sorted(connection.execute(select(*columns)).all(), key=repr)
        found["balances"] = journal.balances(connection)
        entries = connection.execute(select(tables.entry.c.description, tables.entry.c.subject)).all()
        found["entry"] = sorted(entries)
    return found


def test_what_the_log_says_otherwise_is_not_applied(desk: Copied) -> None:
    """A record that no operation would write from the same cause is not taken for done: a person must look."""
    the_main_job(desk)
    store = Store(f"sqlite:///{desk.copies[len(desk.copies) // 2]}", desk.clock)
    lose(desk, store)
    about = select(tables.audit_record).where(tables.audit_record.c.subject == f"redemption:{UNITS}")
    with store.unit("change the record") as unit:
        row = unit.connection.execute(about.order_by(tables.audit_record.c.id).limit(1)).one()
        changed = update(tables.audit_record).where(tables.audit_record.c.id == row.id)
        unit.connection.execute(changed.values(body=row.body.replace(b'"50000.', b'"60000.')))
    again = Replay(store, POLICY)
    again.run()
    obstacle = again.obstacle()
    assert obstacle is not None
    assert (obstacle.lost.place, obstacle.lost.record.action) == (row.place, "redemption.burned")
    store.close()


def test_records_that_need_no_fact_are_applied_together_also_after_a_cut(
    desk: Copied, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for by two people at many moments, reserved in one; a record that tells of something else ends a unit."""
    monkeypatch.setattr(replay, "_NEAR", 8)
    alice = desk.customer("Alice Limited", ALICE_BANK, ALICE)
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    order: dict[str, Any] = {"customer_id": alice, "wallet": ALICE, "value": UNITS // 100}
    backup = desk.copies[-1]
    for number in range(40):
        desk.clock.advance(number % 2)
        asked = Request(caller=f"operator:{'ab'[number % 2]}", key=str(number), operation="mint", body={})
        carry_out(desk.store, asked, lambda unit: mints.request(unit, POLICY, **order))
    desk.status(desk.to_funded())
    store = Store(f"sqlite:///{backup}", desk.clock)
    lose(desk, store)
    commits: list[int] = []

    def die_at_the_second(name: str) -> None:
        if name == "before commit apply records again":
            commits.append(waiting(store))
            if len(commits) == 2:
                raise KeyboardInterrupt

    crash.observe(die_at_the_second)
    try:
        with pytest.raises(KeyboardInterrupt):
            Replay(store, POLICY).run()
        left = waiting(store)
        Replay(store, POLICY).run()
    finally:
        crash.observe(None)
    assert commits[0] > left + 100, "the first unit applied most of the records, and was kept"
    assert left > waiting(store) == 0
    assert len(commits) < 20
    intake.take(store, POLICY)
    assert state(store) == state(desk.store)
    store.close()


def waiting(store: Store) -> int:
    """How many records wait to be applied."""
    with store.read() as connection:
        return recovery.behind(connection)
