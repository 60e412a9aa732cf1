"""What the simulation has found, each as the few facts that brought it about, on both engines."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, update

from issuer.bank.folder import DirectoryFolder
from issuer.bank.outbox import Outbox
from issuer.errors import Refused
from issuer.ledger import chart
from issuer.messages import folder as documents
from issuer.messages.abi import keccak
from issuer.messages.contracts import TOKEN
from issuer.money import fen_to_units, format_units
from issuer.operations import batches, deposits, locks, mints, powers, redemptions, reserve
from issuer.store import intents, tables
from issuer.store.states import Door, IntentState, PayoutKind, Scope, TooLarge
from issuer.store.unit import Store
from tests.clock import START, ManualClock
from tests.integration.desk import ALICE, ALICE_BANK, BOB, BOB_BANK, COLLECTION, POLICY, RESERVE, Desk

FEN = 50_000_00
UNITS = fen_to_units(FEN)


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def codes(desk: Desk) -> set[str]:
    with desk.store.read() as connection:
        return {lock["code"] for lock in locks.live(connection)}


def order(desk: Desk, name: str, account: str, address: str) -> None:
    customer_id = desk.customer(name, account, address)
    desk.wire(account, name, FEN)
    desk.act(mints.request, POLICY, customer_id=customer_id, wallet=address, value=UNITS)


def with_a_failed_order(desk: Desk) -> None:
    """One order of two has failed; both orders' money is in the reserve, and the other's mint is final."""
    order(desk, "Alice Limited", ALICE_BANK, ALICE)
    order(desk, "Bob", BOB_BANK, BOB)
    desk.to_funded()
    desk.attest(reserve_units=2 * UNITS, credited=2 * UNITS)
    subject = f"batch:{desk.intents('mint')[0]['reference']}"
    desk.void_intents("mint")
    desk.chain("refused", intent_id=1, kind="mint", subject=subject, error="AccountFrozen", arguments=[BOB])
    desk.act(batches.send)
    desk.mint()


def post(desk: Desk, number: int, units: int) -> None:
    with desk.store.read() as connection:
        as_of = reserve.get(connection, number)["as_of"]
    desk.chain("reported", number=number, reserve=units, credited=units, paid=0, as_of=as_of)


def test_money_that_comes_back_is_no_new_deposit(desk: Desk) -> None:
    """A payment of ours comes back before its debit was told: it must not be sent back a second time."""
    desk.wire("999000000009", "Mallory", 100_00)
    desk.act(deposits.return_to_senders, POLICY)
    (sent,) = desk.payouts(PayoutKind.RETURN)
    desk.entry(
        "credit",
        COLLECTION,
        100_00,
        end_to_end_id=sent.message_id,
        counterparty_account="999000000009",
        counterparty_name="Mallory",
        reversal=True,
    )
    assert codes(desk) == {"unexplained-entry"}
    assert desk.balances()[chart.SUSPENSE] == 100_0000_00
    for lock_id in (1, 2):
        desk.act(locks.clear, lock_id=lock_id)
    assert desk.act(deposits.return_to_senders, POLICY) == 0


def recall(desk: Desk, account: str, name: str) -> None:
    given = {"counterparty_account": account, "counterparty_name": name, "reversal": True}
    desk.entry("debit", COLLECTION, FEN, **given)


def test_a_recalled_wire_is_nobodys_money_to_mint(desk: Desk) -> None:
    customer_id = desk.customer("Alice Limited", ALICE_BANK, ALICE)
    for _ in range(2):
        desk.wire(ALICE_BANK, "Alice Limited", FEN)
    recall(desk, ALICE_BANK, "Alice Limited")
    assert desk.balances() == {chart.COLLECTION: UNITS, chart.customer(customer_id): UNITS}
    with desk.store.read() as connection:
        assert sorted(row["state"] for row in deposits.every(connection)) == ["credited", "returned"]
    assert codes(desk) == set()


def test_a_recalled_wire_of_nobody_is_not_sent_back(desk: Desk) -> None:
    desk.wire("999000000009", "Mallory", FEN)
    recall(desk, "999000000009", "Mallory")
    assert desk.balances() == {}
    assert desk.act(deposits.return_to_senders, POLICY) == 0


def test_a_wire_recalled_after_its_money_was_bound_leaves_the_issuer_short_and_locks(desk: Desk) -> None:
    order(desk, "Alice Limited", ALICE_BANK, ALICE)
    desk.act(mints.reserve)
    recall(desk, ALICE_BANK, "Alice Limited")
    assert desk.balances() == {chart.UNEXPLAINED_DEBITS: UNITS, chart.IN_FLIGHT: UNITS}
    assert codes(desk) == {"unexplained-entry"}


def test_a_mint_whose_event_was_left_out_is_not_sent_again(desk: Desk) -> None:
    """Its transaction is final and succeeded, and the node told no event of it."""
    order(desk, "Alice Limited", ALICE_BANK, ALICE)
    desk.to_funded()
    desk.attest(reserve_units=UNITS, credited=UNITS)
    with desk.store.unit("its nonce is final") as unit:
        done = update(tables.intent).where(tables.intent.c.kind == "mint").values(state=IntentState.DONE)
        unit.connection.execute(done)
    assert desk.act(batches.send) == 0
    desk.mint()
    assert desk.order(1)["state"] == "final"


def test_a_failed_orders_money_goes_back_though_the_first_report_without_it_was_refused(desk: Desk) -> None:
    with_a_failed_order(desk)
    desk.pass_time()
    first = desk.act(reserve.request)["number"]
    desk.tell_refusal(first, "withheld")
    second = desk.attest(reserve_units=UNITS, credited=UNITS)
    assert desk.act(batches.unfund, POLICY) == 0, "no report without it is final"
    post(desk, second, UNITS)
    assert desk.act(batches.unfund, POLICY) == 1


@pytest.mark.parametrize("stolen", [0, 1])
def test_what_a_thief_has_minted_against_stays_in_the_reserve(desk: Desk, stolen: int) -> None:
    """A failed order's money is not sent back out from under tokens that have taken it for themselves."""
    with_a_failed_order(desk)
    if stolen:
        desk.chain("minted", reference="0x" + "66" * 32, first=2, orders=[[BOB, stolen]])
    desk.pass_time()
    post(desk, desk.attest(reserve_units=UNITS, credited=UNITS), UNITS)
    assert desk.act(batches.unfund, POLICY) == (0 if stolen else 1)


def test_another_entry_under_a_transfer_whose_batch_has_changed_is_unexplained(desk: Desk) -> None:
    """The batch has another reference since one of its orders failed."""
    with_a_failed_order(desk)
    (transfer,) = desk.payouts(PayoutKind.MINT)
    told = {"end_to_end_id": transfer.message_id, "counterparty_account": COLLECTION}
    desk.entry("credit", RESERVE, transfer.amount_fen, **told)
    assert codes(desk) == {"unexplained-entry"}


def test_no_report_is_asked_for_while_an_orders_money_leaves_nor_does_it_leave_meanwhile(desk: Desk) -> None:
    """Or the bank leaves out what is gone already, and says less than there is."""
    with_a_failed_order(desk)
    post(desk, desk.attest(reserve_units=UNITS, credited=UNITS), UNITS)
    desk.pass_time()
    asked = desk.act(reserve.request)["number"]
    assert desk.act(batches.unfund, POLICY) == 0
    desk.tell_refusal(asked, "too-early")
    assert desk.act(batches.unfund, POLICY) == 1
    with pytest.raises(Refused, match="leaving the reserve"):
        desk.act(reserve.request)
    desk.book(desk.payouts(PayoutKind.UNFUND)[0])
    desk.act(reserve.request)


def test_a_lock_that_holds_a_failed_orders_money_back_stops_no_report_nor_does_it_leave_under_one(
    desk: Desk, tmp_path: Path
) -> None:
    """Minting would stop for a lock on payouts."""
    with_a_failed_order(desk)
    post(desk, desk.attest(reserve_units=UNITS, credited=UNITS), UNITS)
    desk.act(batches.unfund, POLICY)
    desk.act(locks.engage, Scope.PAYOUTS, "test", "a test", "clear it")
    desk.pass_time()
    number = desk.act(reserve.request)["number"]
    with desk.store.read() as connection:
        assert reserve.get(connection, number)["withheld"] == UNITS
    desk.act(locks.clear, lock_id=1)
    (unfund,) = desk.payouts(PayoutKind.UNFUND)
    order, request = documents.order_name(unfund.message_id), documents.request_name(number)
    left = sent(desk, tmp_path)
    assert (order in left, request in left) == (False, True), "the bank may leave out what has gone already"
    desk.tell_refusal(number, "too-early")
    with pytest.raises(Refused, match="leaving the reserve"):
        desk.act(reserve.request)
    assert order in sent(desk, tmp_path)


def sent(desk: Desk, path: Path) -> set[str]:
    """The names of all that has left for the bank."""
    with desk.store.unit("seal") as unit:
        unit.connection.execute(update(tables.audit_record).values(place=tables.audit_record.c.id))
        unit.connection.execute(update(tables.log_tree).values(published=10_000))
    folder = DirectoryFolder(path)
    Outbox(desk.store, folder, lambda _old, _new: []).send()
    return set(folder.names(documents.ISSUER_TO_BANK))


@pytest.mark.parametrize("ended", [False, True])
def test_a_slow_act_that_the_contract_refuses_has_failed(desk: Desk, ended: bool) -> None:
    act_id = propose(desk)
    assert desk.act(powers.accept_ready) == 1
    if ended:
        desk.chain("cancelled", actId=act_id, contract="token", event="Cancelled")
    subject, last = f"case:act:{act_id}", desk.last_intent("accept")
    desk.chain("refused", intent_id=last, kind="accept", subject=subject, error="OutOfDate", arguments=[])
    with desk.store.read() as connection:
        (found,) = powers.every(connection)
    assert (found["state"], found["reason"]) == (("cancelled", None) if ended else ("failed", "OutOfDate()"))
    assert desk.act(powers.accept_ready) == 0


def test_an_acceptance_that_was_given_up_is_ordered_again(desk: Desk) -> None:
    act_id = propose(desk)
    desk.act(powers.accept_ready)
    sent = {"intent_id": desk.last_intent("accept"), "kind": "accept", "subject": f"case:act:{act_id}"}
    desk.chain("sent", outcome="cancelled", reason="", signer=ALICE, **sent)
    assert desk.act(powers.accept_ready) == 1


def test_what_somebody_else_has_proposed_is_left_to_a_person(desk: Desk) -> None:
    act = TOKEN.call("unfreeze", ALICE, 1)
    act_id = keccak(bytes.fromhex(act[2:]))
    desk.chain("proposed", actId=act_id, act=act, contract="token", event="Proposed", readyAt=START)
    assert desk.act(powers.accept_ready) == 0
    with desk.store.read() as connection:
        (found,) = powers.every(connection)
    assert (found["state"], found["case"]) == ("proposed", None)
    desk.act(powers.take_up, act_id=act_id, case="board-3")
    assert desk.intents("accept") == [{"contract": "token", "act": act}]


def test_an_act_is_proposed_once_while_it_waits_and_again_when_it_has_ended(desk: Desk) -> None:
    act_id = propose(desk)
    with pytest.raises(Refused, match="the same act is proposed already"):
        desk.act(powers.propose, contract="token", act=TOKEN.call("unfreeze", ALICE, 1), case="c-1")
    desk.chain("cancelled", actId=act_id, contract="token", event="Cancelled")
    assert propose(desk) == act_id
    with desk.store.read() as connection:
        (found,) = powers.every(connection)
    assert found["state"] == "proposed"


def test_a_proposal_that_the_contract_refuses_says_why(desk: Desk) -> None:
    act = TOKEN.call("seize", ALICE, 3 * UNITS, UNITS, "0x" + "01" * 32)
    desk.act(powers.propose, contract="token", act=act, case="c-1")
    subject, arguments = "case:c-1", [ALICE, UNITS, 2 * UNITS]
    told = {"kind": "propose", "subject": subject, "error": "ERC20InsufficientBalance", "arguments": arguments}
    desk.chain("refused", intent_id=desk.last_intent("propose"), **told)
    with desk.store.read() as connection:
        (found,) = powers.every(connection)
    assert found["state"] == "refused"
    assert f"balance {format_units(UNITS)} CNH, needed {format_units(2 * UNITS)} CNH" in found["reason"]


def propose(desk: Desk) -> str:
    """An act that was ordered here, and waits on chain; its id."""
    act = TOKEN.call("unfreeze", ALICE, 1)
    act_id: str = desk.act(powers.propose, contract="token", act=act, case="c-1")["act_id"]
    desk.chain("proposed", actId=act_id, act=act, contract="token", event="Proposed", readyAt=START)
    return act_id


def test_tokens_minted_by_a_thief_are_in_the_books_and_can_be_redeemed(desk: Desk) -> None:
    """A fact that cannot be posted would stop every fact after it."""
    order(desk, "Alice Limited", ALICE_BANK, ALICE)
    desk.chain("minted", first=1, reference="0x" + "66" * 32, orders=[[ALICE, UNITS]])
    assert codes(desk) == {"unknown-mint"}
    told = {"account": ALICE, "id": UNITS, "value": UNITS, "reference": redemptions.DEFAULT_INSTRUCTION}
    desk.chain("redeemed", **told)
    assert desk.balances()[chart.REDEMPTIONS] == UNITS


@pytest.mark.parametrize(
    ("kind", "scope", "other"),
    [("mint", Scope.MINTING, Scope.PAYOUTS), ("payment", Scope.PAYOUTS, Scope.MINTING)],
)
def test_what_was_decided_before_a_lock_does_not_leave_under_it(
    desk: Desk, kind: str, scope: Scope, other: Scope
) -> None:
    order(desk, "Alice Limited", ALICE_BANK, ALICE)
    desk.to_funded()
    desk.attest(reserve_units=UNITS, credited=UNITS)

    def due() -> set[str]:
        with desk.store.unit("seal") as unit:
            unit.connection.execute(update(tables.audit_record).values(place=tables.audit_record.c.id))
            unit.connection.execute(update(tables.log_tree).values(published=10_000))
        with desk.store.read() as connection:
            return {item.kind for door in Door for item in intents.due(connection, door)}

    assert {"mint", "payment"} <= due()
    for each in (other, scope):
        desk.act(locks.engage, each, "test", "a test", "clear it")
        assert (kind in due()) == (each is not scope)
    desk.act(locks.clear, lock_id=2)
    assert kind in due()


# -- batches


def reserved(desk: Desk, count: int) -> None:
    """So many orders whose money is bound, at this moment."""
    customer_id = desk.customer("Alice Limited", ALICE_BANK, ALICE)
    for _ in range(count):
        desk.wire(ALICE_BANK, "Alice Limited", FEN)
        desk.act(mints.request, POLICY, customer_id=customer_id, wallet=ALICE, value=UNITS)
    desk.act(mints.reserve)


def sizes(desk: Desk) -> list[int]:
    with desk.store.read() as connection:
        return list(connection.scalars(select(tables.batch.c.count).order_by(tables.batch.c.id)))


def test_a_lone_order_waits_for_others_no_longer_than_the_setting(desk: Desk, clock: ManualClock) -> None:
    policy = replace(POLICY, batch_wait=3)
    reserved(desk, 1)
    clock.advance(2)
    assert desk.act(batches.gather, policy) == 0
    clock.advance(1)
    assert desk.act(batches.gather, policy) == 1
    assert sizes(desk) == [1]


def test_a_full_batch_waits_for_nobody_and_the_rest_for_its_first(desk: Desk, clock: ManualClock) -> None:
    policy = replace(POLICY, batch_wait=3, batch_limit=2)
    reserved(desk, 5)
    assert desk.act(batches.gather, policy) == 4
    clock.advance(3)
    assert desk.act(batches.gather, policy) == 1
    assert sizes(desk) == [2, 2, 1]


@pytest.mark.parametrize("error", list(TooLarge))
def test_a_batch_that_is_too_large_to_be_minted_is_split_and_its_money_covers_both(desk: Desk, error: str) -> None:
    reserved(desk, 5)
    desk.to_funded()
    desk.attest(reserve_units=5 * UNITS, credited=5 * UNITS)
    while max(sizes(desk)) > 1:
        desk.void_intents("mint")
        for reference in [reference for reference, count in batches_of(desk).items() if count > 1]:
            told = {"subject": f"batch:{reference}", "error": error, "arguments": [9, 8]}
            desk.chain("refused", intent_id=1, kind="mint", **told)
        desk.act(batches.send)
    with desk.store.read() as connection:
        rows = connection.execute(select(tables.mint_order.c.batch_id, tables.mint_order.c.position)).all()
        assert batches.minted_and_released(connection) == 5 * UNITS
    assert sum(sizes(desk)) == 5
    assert len(set(rows)) == 5
    assert codes(desk) == set()
    sent = [payload for payload in desk.intents("mint") if payload["reference"] in batches_of(desk)][-5:]
    for number, payload in enumerate(sent, 1):
        desk.chain("minted", first=number, reference=payload["reference"], orders=payload["orders"])
    assert desk.balances() == {chart.RESERVE: 5 * UNITS, chart.OUTSTANDING: 5 * UNITS}
    assert codes(desk) == set()


def batches_of(desk: Desk) -> dict[str, int]:
    with desk.store.read() as connection:
        found = connection.execute(select(tables.batch.c.reference, tables.batch.c.count.label("size")))
        return {row.reference: row.size for row in found}
