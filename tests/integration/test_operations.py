"""The issuer's work on both engines: money becomes tokens and tokens money, whatever the bank and the chain tell."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from issuer.audit.record import decode
from issuer.bank.folder import DirectoryFolder
from issuer.bank.outbox import Outbox
from issuer.errors import Conflict, InvalidInput, Locked, NotFound, Refused
from issuer.ledger import chart
from issuer.money import MAX_UNITS, UNITS_PER_FEN, fen_to_units
from issuer.operations import batches, customers, deposits, locks, mints, payouts, powers, redemptions, reserve, wallets
from issuer.operations.customers import Prohibited
from issuer.operations.payouts import Payout
from issuer.operations.requests import Request, carry_out
from issuer.reports import status
from issuer.store.states import Door, IntentState, PayoutKind, PayoutState, TooLarge
from issuer.store.tables import audit_record, customer, intent, log_tree
from issuer.store.unit import Store
from issuer.verify import Book
from tests.clock import ManualClock
from tests.integration.desk import (
    ALICE,
    ALICE_BANK,
    AUDITOR,
    BANK,
    BOB,
    BOB_BANK,
    COLLECTION,
    POLICY,
    RESERVE,
    TOKEN,
    Desk,
)

FEN = 50_000_00
UNITS = fen_to_units(FEN)
THIRD = "0x" + "CC" * 20
"""An attestor where three are, a stranger else."""


@pytest.fixture
def desk(store: Store) -> Iterator[Desk]:
    """Whatever a test does honestly, a stranger who reads its records finds none of them untrue."""
    yield Desk(store)
    book = Book()
    with store.read() as connection:
        bodies = connection.scalars(select(audit_record.c.body).order_by(audit_record.c.id)).all()
    for place, body in enumerate(bodies):
        if decode(body).action != "mint.unknown":  # tells on purpose that a key was stolen
            book.take(place, body)


@pytest.fixture
def alice(desk: Desk) -> int:
    return desk.customer("Alice Limited", ALICE_BANK, ALICE)


def minted(desk: Desk, alice: int) -> None:
    """Alice's 50,000.00 are tokens."""
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.to_funded()
    desk.attest(reserve_units=UNITS, credited=UNITS)
    desk.mint()


def burn(desk: Desk, value: int, redemption_id: int, **details: object) -> None:
    told = {"account": ALICE, "id": redemption_id, "value": value, "reference": redemptions.DEFAULT_INSTRUCTION}
    desk.chain("redeemed", **{**told, **details})


def codes(desk: Desk) -> set[str]:
    with desk.store.read() as connection:
        return {lock["code"] for lock in locks.live(connection)}


def clear_all(desk: Desk) -> None:
    with desk.store.read() as connection:
        live = locks.live(connection)
    for lock in live:
        desk.act(locks.clear, lock_id=lock["id"])


# -- deposits


def test_money_from_a_registered_account_is_the_customers(desk: Desk, alice: int) -> None:
    desk.wire(ALICE_BANK, "ALICE  limited", FEN)
    assert desk.balances() == {chart.COLLECTION: UNITS, chart.customer(alice): UNITS}


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize(("account", "name"), [("999000000009", "Alice Limited"), (ALICE_BANK, "Mallory")])
def test_other_peoples_money_goes_back(desk: Desk, account: str, name: str) -> None:
    desk.wire(account, name, FEN)
    desk.act(deposits.return_to_senders, POLICY)
    (back,) = desk.payouts(PayoutKind.RETURN)
    assert (back.creditor_account, back.creditor_name, back.amount_fen) == (account, name, FEN)
    desk.book(back)
    assert desk.balances() == {}


@pytest.mark.parametrize(("account", "name"), [("", ""), ("", "Alice Limited"), (ALICE_BANK, "")])
def test_money_without_a_sender_waits_and_holds_up_nothing(
    desk: Desk, alice: int, tmp_path: Path, account: str, name: str
) -> None:
    """Interest, or cash that was paid in: a payment to nobody could not even be written."""
    desk.wire(account, name, 5)
    desk.wire("999000000009", "Mallory", FEN)
    assert desk.act(deposits.return_to_senders, POLICY) == 1
    with desk.store.unit("seal") as unit:
        unit.connection.execute(update(audit_record).values(place=audit_record.c.id))
        unit.connection.execute(update(log_tree).values(published=1000))
    assert Outbox(desk.store, DirectoryFolder(tmp_path), lambda _old, _new: []).send() == 1
    (back,) = desk.payouts(PayoutKind.RETURN)
    assert back.creditor_account == "999000000009"
    with desk.store.read() as connection:
        (wait, _) = status.deposits(deposits.every(connection))
    assert (wait.why, wait.do) == (
        "the bank tells no account and name to send it back to",
        "Ask the bank to take it back.",
    )
    desk.entry("debit", COLLECTION, 5, counterparty_account=account, counterparty_name=name, reversal=True)
    desk.book(back)
    assert (desk.balances(), codes(desk)) == ({}, set())
    assert alice


@pytest.mark.parametrize(("account", "name"), [("999000000009", "Mallory"), (BOB_BANK, "Bob")])
@pytest.mark.parametrize("direction", ["credit", "debit"])
def test_an_entry_of_nothing_leads_to_no_order(desk: Desk, account: str, name: str, direction: str) -> None:
    """None could be written, neither one back to a stranger nor one of a standing instruction."""
    desk.customer("Bob", BOB_BANK, BOB, standing=True)
    desk.entry(direction, COLLECTION, 0, counterparty_account=account, counterparty_name=name)
    assert desk.act(deposits.return_to_senders, POLICY) == 0
    with desk.store.read() as connection:
        assert (deposits.every(connection), mints.every(connection)) == ([], [])
    assert (desk.balances(), codes(desk)) == ({}, set())


def test_one_entry_is_taken_once(desk: Desk, alice: int) -> None:
    entry = {"account": COLLECTION, "direction": "credit", "amount_fen": FEN, "end_to_end_id": None, "reversal": False}
    for _ in range(2):
        told = {**entry, "counterparty_account": ALICE_BANK, "counterparty_name": "Alice Limited"}
        desk.tell(Door.BANK, "entry", key=f"{COLLECTION}|R1|0", **told)
    assert desk.balances()[chart.customer(alice)] == UNITS


def test_a_refund_gives_back_what_is_free(desk: Desk, alice: int) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(deposits.refund, POLICY, deposit_id=1)
    (back,) = desk.payouts(PayoutKind.REFUND)
    desk.status(back)
    desk.book(back)
    assert desk.balances() == {}
    with pytest.raises(Refused, match="returned"):
        desk.act(deposits.refund, POLICY, deposit_id=1)
    assert alice


def test_money_bound_to_an_order_is_not_refunded(desk: Desk, alice: int) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.act(mints.reserve)
    with pytest.raises(Refused, match="not minted or bound"):
        desk.act(deposits.refund, POLICY, deposit_id=1)


def test_a_rejected_refund_is_the_customers_money_again(desk: Desk, alice: int) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(deposits.refund, POLICY, deposit_id=1)
    desk.status(desk.payouts(PayoutKind.REFUND)[0], code="AC04")
    assert desk.balances() == {chart.COLLECTION: UNITS, chart.customer(alice): UNITS}
    assert codes(desk) == {"payout-rejected"}
    with pytest.raises(Locked):
        desk.act(deposits.refund, POLICY, deposit_id=1)


@pytest.mark.parametrize("refused", [True, False])
def test_what_the_bank_did_not_send_back_is_sent_again_by_a_person(desk: Desk, *, refused: bool) -> None:
    """By itself it would go to the same closed account again and again, and lock all payouts each time."""
    desk.wire("999000000009", "Mallory", FEN)
    desk.act(deposits.return_to_senders, POLICY)
    (first,) = desk.payouts(PayoutKind.RETURN)
    if refused:
        desk.status(first, code="AC04")
    else:
        desk.book(first)
        desk.entry("credit", COLLECTION, FEN, end_to_end_id=first.message_id, reversal=True)
    assert desk.balances() == {chart.COLLECTION: UNITS, chart.SUSPENSE: UNITS}
    clear_all(desk)
    assert desk.act(deposits.return_to_senders, POLICY) == 0
    with desk.store.read() as connection:
        (wait,) = status.deposits(deposits.every(connection))
    assert wait.why == f"the bank did not send it back: {'AC04: because' if refused else 'it came back'}"
    assert "issuer deposit refund 1" in str(wait.do)
    desk.act(deposits.refund, POLICY, deposit_id=1)
    (_, second) = desk.payouts(PayoutKind.RETURN)
    desk.book(second)
    assert desk.balances() == {}


def test_what_was_not_sent_back_may_be_recalled(desk: Desk) -> None:
    desk.wire("999000000009", "Mallory", FEN)
    desk.act(deposits.return_to_senders, POLICY)
    desk.status(desk.payouts(PayoutKind.RETURN)[0], code="AC04")
    desk.entry("debit", COLLECTION, FEN, reversal=True, **MALLORY)
    assert desk.balances() == {}
    clear_all(desk)
    with pytest.raises(Refused, match="returned"):
        desk.act(deposits.refund, POLICY, deposit_id=1)


@pytest.mark.parametrize("kind", [PayoutKind.RETURN, PayoutKind.REFUND])
@pytest.mark.parametrize("refused", [True, False])
def test_a_wire_that_is_recalled_while_it_is_sent_back_is_not_there_again(
    desk: Desk, alice: int, kind: PayoutKind, *, refused: bool
) -> None:
    """The bank refuses to send what it has taken back: it must be paid from nobody else's money."""
    account, name = (ALICE_BANK, "Alice Limited") if kind is PayoutKind.REFUND else ("999000000009", "Mallory")
    desk.wire(account, name, FEN)
    desk.act(deposits.return_to_senders, POLICY)
    if kind is PayoutKind.REFUND:
        desk.act(deposits.refund, POLICY, deposit_id=1)
    (out,) = desk.payouts(kind)
    desk.entry("debit", COLLECTION, FEN, counterparty_account=account, counterparty_name=name, reversal=True)
    assert codes(desk) == {"unexplained-entry"}
    assert desk.balances() == {chart.UNEXPLAINED_DEBITS: UNITS, chart.REFUNDS: UNITS}
    if refused:
        desk.status(out, code="AM04")
    else:
        desk.wire("012875000000003", "Operating", FEN)
        desk.book(out)
        desk.entry("credit", COLLECTION, FEN, end_to_end_id=out.message_id, reversal=True)
    with desk.store.read() as connection:
        assert deposits.get(connection, 1)["state"] == "returned"
    assert desk.balances() == ({} if refused else {chart.COLLECTION: UNITS, chart.SUSPENSE: UNITS})
    clear_all(desk)
    assert desk.act(deposits.return_to_senders, POLICY) == (0 if refused else 1)
    assert desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    assert desk.act(mints.reserve) == 0


@pytest.mark.parametrize("recalled", ["Alice Limited", "Mallory", ""])
def test_a_recall_takes_the_wire_of_its_own_name(desk: Desk, alice: int, recalled: str) -> None:
    """Of two like ones from one account: the other would be sent back, or minted, though it is not there."""
    for name in ("Alice Limited", "Mallory", *(["Alice Limited"] if recalled == "Mallory" else [])):
        desk.wire(ALICE_BANK, name, FEN)
    told = {"counterparty_account": ALICE_BANK, "counterparty_name": recalled, "reversal": True}
    desk.entry("debit", COLLECTION, FEN, **told)
    left = {"Alice Limited": {chart.SUSPENSE: UNITS}, "": {chart.customer(alice): UNITS}}
    expected = left.get(recalled, {chart.customer(alice): 2 * UNITS})
    assert desk.balances() == {chart.COLLECTION: sum(expected.values()), **expected}
    assert codes(desk) == set()


def test_a_recall_of_bound_money_takes_no_other_names_wire(desk: Desk, alice: int) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.act(mints.reserve)
    desk.wire(ALICE_BANK, "Mallory", FEN)
    told = {"counterparty_account": ALICE_BANK, "counterparty_name": "Alice Limited", "reversal": True}
    desk.entry("debit", COLLECTION, FEN, **told)
    assert (desk.balances()[chart.SUSPENSE], codes(desk)) == (UNITS, {"unexplained-entry"})


# -- mints


def test_money_becomes_tokens(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    assert desk.balances() == {chart.RESERVE: UNITS, chart.OUTSTANDING: UNITS}
    order = desk.order(1)
    assert (order["state"], order["number"]) == ("final", 1)


def test_a_standing_instruction_mints_what_arrives(desk: Desk) -> None:
    bob = desk.customer("Bob", BOB_BANK, BOB, standing=True)
    desk.wire(BOB_BANK, "Bob", FEN)
    order = desk.order(1)
    assert (order["customer_id"], order["wallet"], order["value"]) == (bob, BOB, UNITS)


@pytest.mark.parametrize("recalled", [True, False])
def test_a_standing_order_goes_with_its_money(desk: Desk, *, recalled: bool) -> None:
    """It would take the next money that comes, of which the customer has ordered something else."""
    desk.customer("Bob", BOB_BANK, BOB, standing=True)
    desk.wire(BOB_BANK, "Bob", FEN)
    if recalled:
        told = {"counterparty_account": BOB_BANK, "counterparty_name": "Bob", "reversal": True}
        desk.entry("debit", COLLECTION, FEN, **told)
    else:
        desk.act(deposits.refund, POLICY, deposit_id=1)
    reason = "the bank took it back" if recalled else "its money was refunded"
    assert (desk.order(1)["state"], desk.order(1)["reason"]) == ("cancelled", reason)
    desk.wire(BOB_BANK, "Bob", FEN + 5_00)
    desk.act(mints.reserve)
    assert desk.order(2)["state"] == "reserved"


def test_an_order_that_was_given_by_a_person_stays_when_a_deposit_goes_back(desk: Desk, alice: int) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.act(deposits.refund, POLICY, deposit_id=1)
    assert desk.order(1)["state"] == "approved"


def test_an_order_waits_for_money_and_says_so(desk: Desk, alice: int) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS + 10_000)
    assert desk.act(mints.reserve) == 0
    assert desk.order(1)["waits_for"] == f"0.010000 CNH of customer {alice}'s money"


def test_the_state_machine_skips_nothing(desk: Desk, alice: int) -> None:
    """R-21: at no step is there a mint before its money, and no intent before its report."""
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    for act in (mints.reserve, batches.attest, batches.send):
        assert desk.act(act) == 0
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.reserve)
    desk.act(batches.gather, POLICY)
    desk.act(batches.fund, POLICY)
    assert desk.act(batches.attest) == 0
    desk.book(desk.payouts(PayoutKind.MINT)[0])
    assert desk.act(batches.attest) == 0
    assert desk.intents("mint") == []


def test_a_report_that_does_not_cover_the_batch_releases_nothing(desk: Desk, alice: int) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.to_funded()
    desk.attest(reserve_units=UNITS, credited=UNITS - 1)
    assert desk.intents("mint") == []
    desk.attest(reserve_units=UNITS, credited=UNITS)
    assert len(desk.intents("mint")) == 1


def test_a_batch_is_sent_once_while_its_intent_lives_and_again_when_it_failed(desk: Desk, alice: int) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.to_funded()
    desk.attest(reserve_units=UNITS, credited=UNITS)
    assert desk.act(batches.send) == 0
    desk.void_intents("mint")
    assert desk.act(batches.send) == 1


def test_what_the_chain_shows_as_minted_is_not_sent_again(desk: Desk, alice: int) -> None:
    """By bytes that this database does not know: its own intent, which nothing has carried out, is done."""
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.to_funded()
    desk.attest(reserve_units=UNITS, credited=UNITS)
    desk.mint()
    with desk.store.read() as connection:
        states = connection.scalars(select(intent.c.state).where(intent.c.kind == "mint")).all()
    assert states == [IntentState.DONE]


def test_a_mint_that_matches_no_batch_locks_minting(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    desk.chain("minted", first=2, reference="0x" + "ee" * 32, orders=[[ALICE, 1]])
    assert codes(desk) == {"unknown-mint"}
    balances = desk.balances()
    assert (balances[chart.OUTSTANDING], balances[chart.UNEXPLAINED_DEBITS]) == (UNITS + 1, 1), "a fact always posts"


def test_a_mint_of_other_amounts_under_our_reference_locks_minting(desk: Desk, alice: int) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.to_funded()
    desk.attest(reserve_units=UNITS, credited=UNITS)
    reference = desk.intents("mint")[0]["reference"]
    desk.chain("minted", first=1, reference=reference, orders=[[ALICE, UNITS - 1]])
    assert codes(desk) == {"unknown-mint"}


def test_a_large_order_needs_a_second_person(desk: Desk, alice: int) -> None:
    value = POLICY.approval_threshold + 10_000
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=value, actor="operator:ann")
    with pytest.raises(Refused, match="not approved by the person who asked"):
        desk.act(mints.approve, order_id=1, actor="operator:ann")
    assert desk.order(1)["waits_for"] == "approval by another operator"
    desk.act(mints.approve, order_id=1, actor="operator:ben")
    assert desk.order(1)["state"] == "approved"


def test_an_order_is_withdrawn_until_its_money_moves(desk: Desk, alice: int) -> None:
    free = {chart.COLLECTION: UNITS, chart.customer(alice): UNITS}
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    for number in (1, 2):
        desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
        desk.act(mints.reserve)
        if number == 2:
            desk.act(batches.gather, POLICY)
        desk.act(mints.cancel, order_id=number)
        assert (desk.order(number)["state"], desk.balances()) == ("cancelled", free)
        assert desk.act(batches.gather, POLICY) + desk.act(batches.fund, POLICY) == 0
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.to_funding()
    with pytest.raises(Refused, match="batched"):
        desk.act(mints.cancel, order_id=3)


@pytest.mark.parametrize("batched", [True, False])
def test_the_others_are_minted_without_an_order_whose_money_was_recalled(
    desk: Desk, alice: int, *, batched: bool
) -> None:
    """The bank would refuse to move what it has not, and the locks would come back each time they are cleared."""
    bob = desk.customer("Bob", BOB_BANK, BOB)
    owners = ((alice, ALICE_BANK, "Alice Limited", ALICE), (bob, BOB_BANK, "Bob", BOB))
    for customer_id, account, name, address in owners:
        desk.wire(account, name, FEN)
        desk.act(mints.request, POLICY, customer_id=customer_id, wallet=address, value=UNITS)
    refused = desk.to_funding() if batched else None
    desk.act(mints.reserve)
    told = {"counterparty_account": ALICE_BANK, "counterparty_name": "Alice Limited", "reversal": True}
    desk.entry("debit", COLLECTION, FEN, **told)
    if refused is not None:
        desk.status(refused, code="AM04")
    with desk.store.read() as connection:
        (wait,) = status.deposits(deposits.every(connection))
    assert (wait.why.startswith("the bank took it back"), "issuer mint cancel" in str(wait.do)) == (True, True)
    desk.act(mints.cancel, order_id=1)
    assert desk.balances() == {chart.COLLECTION: UNITS, chart.IN_FLIGHT: UNITS}
    clear_all(desk)
    with pytest.raises(Refused, match="returned"):
        desk.act(deposits.refund, POLICY, deposit_id=1)
    desk.to_funded()
    desk.attest(reserve_units=UNITS, credited=UNITS)
    desk.mint()
    assert (desk.order(2)["state"], codes(desk)) == ("final", set())
    assert desk.balances() == {chart.RESERVE: UNITS, chart.OUTSTANDING: UNITS}


def test_what_was_recalled_when_it_was_bound_is_not_refunded_from_later_money(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    told = {"counterparty_account": ALICE_BANK, "counterparty_name": "Alice Limited", "reversal": True}
    desk.entry("debit", COLLECTION, FEN, **told)
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    clear_all(desk)
    with pytest.raises(Refused, match="has taken deposit 1 back"):
        desk.act(deposits.refund, POLICY, deposit_id=1)
    desk.entry("debit", COLLECTION, FEN, **told)
    assert "unexplained-entry" not in codes(desk), "the second one, which was there"
    with desk.store.read() as connection:
        assert [row["state"] for row in deposits.every(connection)] == ["credited", "returned"]


def test_what_was_recalled_when_it_was_bound_is_gone_when_its_mint_has_failed(desk: Desk, alice: int) -> None:
    unfund = unfunding(desk, alice)
    told = {"counterparty_account": ALICE_BANK, "counterparty_name": "Alice Limited", "reversal": True}
    desk.entry("debit", COLLECTION, FEN, **told)
    desk.book(unfund)
    with desk.store.read() as connection:
        assert deposits.get(connection, 1)["state"] == "returned"
    assert desk.balances() == {}


def test_a_frozen_recipient_fails_only_that_order_and_its_money_goes_back(desk: Desk, alice: int) -> None:
    bob = desk.customer("Bob", BOB_BANK, BOB)
    for customer_id, name, account, address in (
        (alice, "Alice Limited", ALICE_BANK, ALICE),
        (bob, "Bob", BOB_BANK, BOB),
    ):
        desk.wire(account, name, FEN)
        desk.act(mints.request, POLICY, customer_id=customer_id, wallet=address, value=UNITS)
    desk.to_funded()
    desk.attest(reserve_units=2 * UNITS, credited=2 * UNITS)
    subject = f"batch:{desk.intents('mint')[0]['reference']}"
    desk.void_intents("mint")
    desk.chain("refused", intent_id=1, kind="mint", subject=subject, error="AccountFrozen", arguments=[BOB])
    desk.act(batches.send)
    desk.mint()
    assert (desk.order(1)["state"], desk.order(2)["state"]) == ("final", "failed")

    assert desk.act(batches.unfund, POLICY) == 0, "no report without the money is final yet"
    number = desk.attest(reserve_units=UNITS, credited=UNITS)
    with desk.store.read() as connection:
        report = reserve.get(connection, number)
    assert report["withheld"] == UNITS
    assert desk.act(batches.unfund, POLICY) == 0
    told = {"number": number, "reserve": UNITS, "credited": UNITS, "paid": 0, "as_of": report["as_of"]}
    desk.chain("reported", **told)
    assert desk.act(batches.unfund, POLICY) == 1
    desk.book(desk.payouts(PayoutKind.UNFUND)[0])
    expected = {chart.RESERVE: UNITS, chart.OUTSTANDING: UNITS, chart.COLLECTION: UNITS, chart.customer(bob): UNITS}
    assert desk.balances() == expected
    assert desk.order(2)["state"] == "refunded"


def unfunding(desk: Desk, alice: int) -> Payout:
    """Alice's order has failed, and its money is ordered back."""
    refused_mint(desk, alice, "AccountFrozen", [ALICE])
    number = desk.attest(reserve_units=0, credited=0)
    with desk.store.read() as connection:
        as_of = reserve.get(connection, number)["as_of"]
    desk.chain("reported", number=number, reserve=0, credited=0, paid=0, as_of=as_of)
    desk.act(batches.unfund, POLICY)
    return desk.payouts(PayoutKind.UNFUND)[-1]


def refused_mint(desk: Desk, alice: int, error: str, arguments: list[str]) -> None:
    """Alice's order is funded and attested, and the contract would not mint it."""
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.to_funded()
    desk.attest(reserve_units=UNITS, credited=UNITS)
    refuse(desk, error, arguments)


def refuse(desk: Desk, error: str, arguments: list[str]) -> None:
    subject = f"batch:{desk.intents('mint')[0]['reference']}"
    desk.void_intents("mint")
    desk.chain("refused", intent_id=1, kind="mint", subject=subject, error=error, arguments=arguments)


@pytest.mark.parametrize("error", ["WrongNumber", "ReportTooOld", "Unbacked", "NotCredited", "OverLimit", "ActStopped"])
def test_any_other_refusal_of_the_contract_waits(desk: Desk, alice: int, clock: ManualClock, error: str) -> None:
    refused_mint(desk, alice, error, [])
    assert desk.act(batches.send) == 0
    clock.advance(10)
    assert desk.act(batches.send) == 1
    assert desk.payouts(PayoutKind.UNFUND) == []


def test_a_mint_that_is_refused_again_is_tried_less_and_less_often(desk: Desk, alice: int, clock: ManualClock) -> None:
    """Each trial leaves two records for ever. What may end the refusal ends the pause."""
    refused_mint(desk, alice, "ActStopped", [])
    pauses = []
    for _ in range(8):
        pauses.append(_seconds_to_the_next_mint(desk, clock))
        refuse(desk, "ActStopped", [])
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 320]
    with desk.store.read() as connection:
        (wait,) = status.orders(mints.every(connection))
    assert (wait.why, wait.do) == ("minting to be resumed on chain", "When it may go on: issuer resume mint --case ...")
    desk.chain("resumed", contract="token", event="Resumed", stops=1)
    assert desk.act(batches.send) == 1
    refuse(desk, "WrongNumber", [])
    assert _seconds_to_the_next_mint(desk, clock) == 5


def _seconds_to_the_next_mint(desk: Desk, clock: ManualClock) -> int:
    began = clock.now()
    while not desk.act(batches.send):
        clock.advance(1)
    return clock.now() - began


def test_smaller_mints_do_not_take_what_a_larger_one_waits_for(desk: Desk, alice: int, clock: ManualClock) -> None:
    """A limit refills as slowly as it is told to; who came first is minted first."""
    refused_mint(desk, alice, "OverLimit", [])
    first = desk.intents("mint")[-1]["reference"]
    desk.wire(ALICE_BANK, "Alice Limited", 1_00)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS_PER_FEN * 100)
    desk.to_funded()
    desk.attest(reserve_units=UNITS + UNITS_PER_FEN * 100, credited=UNITS + UNITS_PER_FEN * 100)
    assert [payload["reference"] for payload in desk.intents("mint")] == [first]
    clock.advance(batches.PAUSE + 1)
    assert desk.act(batches.send) == 1
    assert [payload["reference"] for payload in desk.intents("mint")] == [first, first]
    desk.mint()
    assert desk.act(batches.send) == 1
    desk.mint(first=2)
    assert (desk.order(1)["state"], desk.order(2)["state"]) == ("final", "final")


def test_an_order_above_the_minting_limit_waits_for_a_higher_one_and_says_so(
    desk: Desk, alice: int, clock: ManualClock
) -> None:
    """Alone, that is: nothing is locked, and whatever is smaller is minted."""
    refused_mint(desk, alice, TooLarge.CAPACITY, [])
    assert desk.order(1)["waits_for"] == mints.LIMIT_TOO_SMALL
    with desk.store.read() as connection:
        (wait,) = status.orders(mints.every(connection))
    assert (wait.why, "issuer limit raise" in str(wait.do)) == (mints.LIMIT_TOO_SMALL, True)
    assert codes(desk) == set()
    clock.advance(batches.PAUSE + 1)
    assert desk.act(batches.send) == 1
    refuse(desk, "OverLimit", [])
    assert desk.order(1)["waits_for"] == "a minting limit to refill", "it is high enough now"
    refuse(desk, TooLarge.CAPACITY, [])
    desk.mint()
    assert [desk.order(1)[name] for name in ("state", "waits_for", "reason")] == ["final", None, None]


# -- redemptions


def test_tokens_become_money(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    burn(desk, UNITS, UNITS)
    desk.act(redemptions.instruct, POLICY)
    (out,) = desk.payouts(PayoutKind.REDEEM)
    assert (out.creditor_account, out.amount_fen, out.par) == (ALICE_BANK, FEN, UNITS)
    desk.status(out)
    desk.book(out)
    assert desk.balances() == {}
    with desk.store.read() as connection:
        assert redemptions.get(connection, UNITS)["state"] == "paid"


def test_a_whole_balance_below_a_fen_is_discharged_in_full(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    burn(desk, 19_999, 19_999)
    desk.act(redemptions.instruct, POLICY)
    (out,) = desk.payouts(PayoutKind.REDEEM)
    desk.book(out)
    assert out.amount_fen == 1
    assert desk.balances()[chart.BUFFER] == 9_999
    assert chart.REDEMPTIONS not in desk.balances()


def test_one_burn_is_instructed_once_whatever_the_silence(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    burn(desk, UNITS, UNITS)
    assert desk.act(redemptions.instruct, POLICY) == 1
    assert desk.act(redemptions.instruct, POLICY) == 0
    assert len(desk.payouts(PayoutKind.REDEEM)) == 1


def test_what_the_bank_refused_to_pay_is_held_with_its_reason(desk: Desk, alice: int) -> None:
    """Ordered again by itself, it would lock everybody's payouts after each time that they were cleared."""
    minted(desk, alice)
    burn(desk, UNITS // 2, UNITS // 2)
    desk.act(redemptions.instruct, POLICY)
    desk.status(desk.payouts(PayoutKind.REDEEM)[0], code="AC04")
    clear_all(desk)
    burn(desk, UNITS // 2, UNITS)
    assert desk.act(redemptions.instruct, POLICY) == 1, "the other one"
    with desk.store.read() as connection:
        held = redemptions.get(connection, UNITS // 2)
        (wait, _) = status.redemptions(redemptions.every(connection), 0)
    assert (held["state"], held["reason"]) == ("held", "the bank would not pay it: AC04: because")
    assert wait.do == f"Settle it, then: issuer redemption release {UNITS // 2}"
    desk.act(redemptions.release, POLICY, redemption_id=UNITS // 2)
    assert desk.act(redemptions.instruct, POLICY) == 1


def test_what_was_seized_is_directed_to_another_account_when_the_bank_refuses_the_first(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    burn(desk, UNITS, UNITS, case=powers.case_id("C-1"))
    court: dict[str, Any] = {"redemption_id": UNITS, "name": "High Court", "case": "C-1"}
    for account, code in (("012879000000001", "AC04"), ("012879000000002", None)):
        desk.act(redemptions.direct, POLICY, account=account, **court)
        desk.act(redemptions.approve, redemption_id=UNITS, actor="operator:ben")
        assert desk.act(redemptions.instruct, POLICY) == 1
        desk.status(desk.payouts(PayoutKind.REDEEM)[-1], code=code)
        clear_all(desk)
        assert desk.act(redemptions.instruct, POLICY) == 0
    desk.book(desk.payouts(PayoutKind.REDEEM)[-1])
    assert desk.balances() == {}


def test_a_rejected_payout_is_instructed_again_under_another_id(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    burn(desk, UNITS, UNITS)
    desk.act(redemptions.instruct, POLICY)
    (first,) = desk.payouts(PayoutKind.REDEEM)
    desk.status(first, code="AC04")
    assert desk.act(redemptions.instruct, POLICY) == 0, "locked until a person has looked"
    desk.act(redemptions.release, POLICY, redemption_id=UNITS)
    assert desk.act(redemptions.instruct, POLICY) == 0, "locked until a person has looked"
    desk.act(locks.clear, lock_id=1)
    assert desk.act(redemptions.instruct, POLICY) == 1
    assert desk.payouts(PayoutKind.REDEEM)[1].message_id != first.message_id


def test_a_repeated_id_is_never_a_reason_to_instruct_again(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    burn(desk, UNITS, UNITS)
    desk.act(redemptions.instruct, POLICY)
    (only,) = desk.payouts(PayoutKind.REDEEM)
    desk.status(only, code="DU01")
    assert codes(desk) == {"duplicate-message"}
    desk.act(locks.clear, lock_id=1)
    assert desk.act(redemptions.instruct, POLICY) == 0
    desk.book(only)
    assert desk.payouts(PayoutKind.REDEEM)[0].state is PayoutState.PAID


@pytest.mark.parametrize("shown", [{"reversal": True}, {"counterparty_account": ALICE_BANK}])
def test_a_returned_payout_is_owed_again(desk: Desk, alice: int, shown: dict[str, object]) -> None:
    """The bank marks it as a reversal, or it comes from the account that was paid."""
    minted(desk, alice)
    burn(desk, UNITS, UNITS)
    desk.act(redemptions.instruct, POLICY)
    (out,) = desk.payouts(PayoutKind.REDEEM)
    desk.book(out)
    desk.entry("credit", RESERVE, FEN, end_to_end_id=out.message_id, **shown)
    assert desk.balances() == {chart.RESERVE: UNITS, chart.REDEMPTIONS: UNITS}
    assert desk.act(redemptions.instruct, POLICY) == 0
    desk.act(redemptions.release, POLICY, redemption_id=UNITS)
    assert desk.act(redemptions.instruct, POLICY) == 1


def test_a_payout_that_comes_back_in_parts_is_told_and_owed_again_when_it_is_whole(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    burn(desk, UNITS, UNITS)
    desk.act(redemptions.instruct, POLICY)
    (out,) = desk.payouts(PayoutKind.REDEEM)
    desk.book(out)
    desk.entry("credit", RESERVE, FEN - 20_00, end_to_end_id=out.message_id, reversal=True)
    with desk.store.read() as connection:
        (lock,) = locks.live(connection)
        (wait,) = status.payouts(asdict(found) for found in payouts.every(connection))
    assert (lock["scope"], lock["code"]) == ("payouts", "payment-partly-returned")
    assert lock["reason"] == f"a part of {out.message_id} came back: 49980.00, and 20.00 is missing"
    assert wait.why == "the 20.00 CNH of it that did not come back with the rest"
    desk.entry("credit", RESERVE, 20_00, end_to_end_id=out.message_id, reversal=True)
    desk.act(locks.clear, lock_id=1)
    desk.act(redemptions.release, POLICY, redemption_id=UNITS)
    assert desk.act(redemptions.instruct, POLICY) == 1


@pytest.mark.parametrize("steps", ["refused, taken back", "taken back, refused"])
def test_a_payout_booked_in_part_and_refused_is_owed_again_once_the_part_is_back(
    desk: Desk, alice: int, steps: str
) -> None:
    minted(desk, alice)
    burn(desk, UNITS, UNITS)
    desk.act(redemptions.instruct, POLICY)
    (out,) = desk.payouts(PayoutKind.REDEEM)
    desk.entry("debit", RESERVE, FEN // 2, end_to_end_id=out.message_id)
    for step in steps.split(", "):
        if step == "refused":
            desk.status(out, code="AM04")
        else:
            for part in (1_00, FEN // 2 - 1_00):
                desk.entry("credit", RESERVE, part, end_to_end_id=out.message_id, reversal=True)
    assert desk.balances() == {chart.RESERVE: UNITS, chart.REDEMPTIONS: UNITS}
    assert "payout-rejected" in codes(desk)
    assert desk.act(redemptions.instruct, POLICY) == 0
    clear_all(desk)
    desk.act(redemptions.release, POLICY, redemption_id=UNITS)
    assert desk.act(redemptions.instruct, POLICY) == 1


@pytest.mark.parametrize("kind", [PayoutKind.REFUND, PayoutKind.MINT])
def test_what_was_booked_of_a_refused_order_from_collection_is_where_it_was(
    desk: Desk, alice: int, kind: PayoutKind
) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    if kind is PayoutKind.REFUND:
        desk.act(deposits.refund, POLICY, deposit_id=1)
    else:
        desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
        desk.to_funding()
    (out,) = desk.payouts(kind)
    desk.entry("debit", COLLECTION, 1, end_to_end_id=out.message_id)
    desk.status(out, code="AM04")
    assert desk.payouts(kind)[0].state is PayoutState.INSTRUCTED
    desk.entry("credit", COLLECTION, 1, end_to_end_id=out.message_id, reversal=True)
    assert desk.payouts(kind)[0].state is PayoutState.REJECTED
    bound = chart.customer(alice) if kind is PayoutKind.REFUND else chart.IN_FLIGHT
    assert desk.balances() == {chart.COLLECTION: UNITS, bound: UNITS}


def test_what_comes_back_without_its_fee_is_owed_again_once_the_fee_is_back(desk: Desk, alice: int) -> None:
    """The payee had only what came: but the par is owed again, and the reserve must have it."""
    minted(desk, alice)
    burn(desk, UNITS, UNITS)
    desk.act(redemptions.instruct, replace(POLICY, redemption_fee_fen=10_00))
    (out,) = desk.payouts(PayoutKind.REDEEM)
    desk.book(out)
    desk.entry("credit", RESERVE, FEN - 10_00, end_to_end_id=out.message_id, counterparty_account=ALICE_BANK)
    with desk.store.read() as connection:
        (lock,) = locks.live(connection)
    assert lock["code"] == "payment-partly-returned"
    assert "the fee too" in lock["remedy"]
    desk.entry("credit", RESERVE, 10_00, end_to_end_id=out.message_id, reversal=True)
    assert desk.balances() == {chart.RESERVE: UNITS, chart.REDEMPTIONS: UNITS}
    desk.act(locks.clear, lock_id=lock["id"])
    desk.act(redemptions.release, POLICY, redemption_id=UNITS)
    assert desk.act(redemptions.instruct, POLICY) == 1


@pytest.mark.parametrize("accepted", [True, False])
def test_what_the_bank_books_after_it_refused_it_is_paid(desk: Desk, alice: int, *, accepted: bool) -> None:
    """It would be owed still, and paid a second time once the locks are cleared."""
    minted(desk, alice)
    burn(desk, UNITS, UNITS)
    desk.act(redemptions.instruct, POLICY)
    (out,) = desk.payouts(PayoutKind.REDEEM)
    desk.status(out, code="AM04")
    if accepted:
        desk.status(out)
        assert codes(desk) == {"payout-rejected", "late-acceptance"}
    desk.book(out)
    assert (desk.balances(), codes(desk)) == ({}, {"payout-rejected", "late-acceptance"})
    assert desk.payouts(PayoutKind.REDEEM)[0].state is PayoutState.PAID
    clear_all(desk)
    assert desk.act(redemptions.instruct, POLICY) == 0
    with desk.store.read() as connection:
        found = redemptions.get(connection, UNITS)
    assert (found["state"], found["reason"]) == ("paid", None)


def test_what_was_ordered_again_is_not_paid_by_the_order_that_was_refused(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    burn(desk, UNITS // 2, UNITS // 2)
    desk.act(redemptions.instruct, POLICY)
    (first,) = desk.payouts(PayoutKind.REDEEM)
    desk.status(first, code="AM04")
    clear_all(desk)
    desk.act(redemptions.release, POLICY, redemption_id=UNITS // 2)
    desk.act(redemptions.instruct, POLICY)
    desk.book(first)
    assert codes(desk) == {"unexplained-entry"}
    assert desk.payouts(PayoutKind.REDEEM)[0].state is PayoutState.REJECTED


@pytest.mark.parametrize("early", [True, False])
def test_a_transfer_that_was_refused_and_is_booked_has_arrived(desk: Desk, alice: int, *, early: bool) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    transfer = desk.to_funding()
    desk.status(transfer, code="AM04")
    book_the_other_way_round(desk, transfer) if early else desk.book(transfer)
    assert (desk.order(1)["batch_state"], codes(desk)) == ("funded", {"payout-rejected", "late-acceptance"})
    assert desk.balances() == {chart.RESERVE: UNITS, chart.IN_FLIGHT: UNITS}


@pytest.mark.parametrize("bound", [True, False])
def test_a_refund_that_was_refused_and_is_booked_has_gone_unless_its_money_is_bound(
    desk: Desk, alice: int, *, bound: bool
) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(deposits.refund, POLICY, deposit_id=1)
    (out,) = desk.payouts(PayoutKind.REFUND)
    desk.status(out, code="AM04")
    if bound:
        desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
        desk.act(mints.reserve)
    desk.book(out)
    short = {chart.UNEXPLAINED_DEBITS: UNITS, chart.IN_FLIGHT: UNITS}
    assert desk.balances() == (short if bound else {})
    assert ("unexplained-entry" if bound else "late-acceptance") in codes(desk)


def test_what_a_fee_has_outgrown_since_its_burn_is_held(desk: Desk, alice: int) -> None:
    """An order of less than nothing could not be written, nor could any order after it."""
    minted(desk, alice)
    burn(desk, fen_to_units(10), fen_to_units(10))
    burn(desk, fen_to_units(11), fen_to_units(21))
    raised = replace(POLICY, redemption_fee_fen=10)
    assert desk.act(redemptions.instruct, raised) == 1
    assert [found.amount_fen for found in desk.payouts(PayoutKind.REDEEM)] == [1]
    with desk.store.read() as connection:
        held = redemptions.get(connection, fen_to_units(10))
    assert (held["state"], held["reason"]) == ("held", "it is not above the fee")
    with pytest.raises(Refused, match="not above the fee"):
        desk.act(redemptions.release, raised, redemption_id=fen_to_units(10))
    desk.act(redemptions.release, POLICY, redemption_id=fen_to_units(10))
    assert desk.act(redemptions.instruct, POLICY) == 1


def test_what_is_below_a_fen_is_not_told_to_be_released(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    burn(desk, 9_999, 9_999)
    with desk.store.read() as connection:
        (wait,) = status.redemptions(redemptions.every(connection), 0)
    assert (wait.why, wait.do) == ("it is not above the fee", None)


def test_what_is_seized_below_a_fen_is_held(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    case = "HCMP/12"
    burn(desk, 9_999, 9_999, case=powers.case_id(case))
    court = {"account": "012879000000001", "name": "High Court", "case": case}
    desk.act(redemptions.direct, POLICY, redemption_id=9_999, **court)
    desk.act(redemptions.approve, redemption_id=9_999, actor="operator:ben")
    assert desk.act(redemptions.instruct, POLICY) == 0
    with desk.store.read() as connection:
        assert redemptions.get(connection, 9_999)["state"] == "held"
    assert desk.payouts(PayoutKind.REDEEM) == []


def test_a_burn_by_an_unknown_wallet_is_held_in_sight(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    burn(desk, UNITS, UNITS, account=BOB)
    assert desk.act(redemptions.instruct, POLICY) == 0
    with desk.store.read() as connection:
        held = redemptions.get(connection, UNITS)
    assert (held["state"], held["reason"]) == ("held", "the holder's wallet is not registered to a customer")
    assert desk.balances() == {chart.RESERVE: UNITS, chart.REDEMPTIONS: UNITS}


# -- facts that no order explains


MALLORY = {"counterparty_account": "999000000009", "counterparty_name": "Mallory"}


@pytest.mark.parametrize("amount_fen", [1, FEN])
def test_a_stranger_who_writes_the_id_of_a_refund_makes_a_deposit(desk: Desk, alice: int, amount_fen: int) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(deposits.refund, POLICY, deposit_id=1)
    (out,) = desk.payouts(PayoutKind.REFUND)
    desk.book(out)
    desk.entry("credit", COLLECTION, amount_fen, end_to_end_id=out.message_id, **MALLORY)
    units = fen_to_units(amount_fen)
    assert (desk.balances(), codes(desk)) == ({chart.COLLECTION: units, chart.SUSPENSE: units}, set())
    assert desk.act(deposits.return_to_senders, POLICY) == 1
    assert desk.payouts(PayoutKind.RETURN)[0].creditor_account == "999000000009"
    assert alice


@pytest.mark.parametrize("amount_fen", [1, FEN])
def test_a_stranger_who_writes_the_id_of_a_mint_makes_a_deposit(desk: Desk, alice: int, amount_fen: int) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    transfer = desk.to_funded()
    desk.entry("credit", COLLECTION, amount_fen, end_to_end_id=transfer.message_id, **MALLORY)
    assert (desk.balances()[chart.SUSPENSE], codes(desk)) == (fen_to_units(amount_fen), set())


def test_a_recalled_wire_under_the_id_of_an_order_pays_no_order(desk: Desk, alice: int) -> None:
    """It would leave the order unpaid, and the wire to be sent back a second time."""
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    transfer = desk.to_funding()
    desk.entry("credit", COLLECTION, FEN, end_to_end_id=transfer.message_id, **MALLORY)
    desk.entry("debit", COLLECTION, FEN, end_to_end_id=transfer.message_id, reversal=True, **MALLORY)
    assert desk.act(deposits.return_to_senders, POLICY) == 0
    assert desk.payouts(PayoutKind.MINT) == [transfer]
    assert desk.balances() == {chart.COLLECTION: UNITS, chart.IN_FLIGHT: UNITS}


def test_a_part_of_what_a_stranger_was_sent_back_is_a_deposit(desk: Desk) -> None:
    """He knows the id, and could lock all payouts for a fen."""
    desk.wire("999000000009", "Mallory", FEN)
    desk.act(deposits.return_to_senders, POLICY)
    (out,) = desk.payouts(PayoutKind.RETURN)
    desk.book(out)
    desk.entry("credit", COLLECTION, 1, end_to_end_id=out.message_id, **MALLORY)
    assert codes(desk) == set()
    assert desk.act(deposits.return_to_senders, POLICY) == 1


def test_what_a_stranger_was_sent_back_and_wires_again_locks_nothing(desk: Desk) -> None:
    """Nor is it sent to and fro: the bank has not marked it as what came back, and it may be."""
    desk.wire("999000000009", "Mallory", 1)
    desk.act(deposits.return_to_senders, POLICY)
    (out,) = desk.payouts(PayoutKind.RETURN)
    desk.book(out)
    desk.entry("credit", COLLECTION, 1, end_to_end_id=out.message_id, **MALLORY)
    assert (desk.balances()[chart.SUSPENSE], codes(desk)) == (UNITS_PER_FEN, set())
    assert desk.act(deposits.return_to_senders, POLICY) == 0
    with desk.store.read() as connection:
        (wait,) = status.deposits(deposits.every(connection))
    assert wait.why == f"it may be {out.message_id}, which came back, or a new wire"
    desk.act(deposits.refund, POLICY, deposit_id=2)
    desk.book(desk.payouts(PayoutKind.RETURN)[-1])
    assert desk.balances() == {}


def test_a_transfer_between_our_accounts_arrives_once(desk: Desk, alice: int) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    transfer = desk.to_funded()
    told = {"end_to_end_id": transfer.message_id, "counterparty_account": COLLECTION}
    desk.entry("credit", RESERVE, FEN, **told)
    assert (desk.balances()[chart.SUSPENSE], codes(desk)) == (UNITS, {"unexplained-entry"})


def book_the_other_way_round(desk: Desk, found: Payout) -> None:
    """The notice of where a transfer goes comes before that of where it leaves."""
    told = {"end_to_end_id": found.message_id, "counterparty_account": found.debtor_account}
    desk.entry("credit", found.creditor_account, found.amount_fen, **told)
    desk.status(found)
    desk.entry("debit", found.debtor_account, found.amount_fen, end_to_end_id=found.message_id)


def test_a_transfer_to_the_reserve_may_arrive_before_it_leaves(desk: Desk, alice: int) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    transfer = desk.to_funding()
    desk.entry("credit", RESERVE, FEN, end_to_end_id=transfer.message_id, counterparty_account=COLLECTION)
    books = {chart.COLLECTION: UNITS, chart.RESERVE: UNITS, chart.EARLY: UNITS, chart.IN_FLIGHT: UNITS}
    assert (desk.balances(), desk.order(1)["batch_state"]) == (books, "funding")
    with desk.store.read() as connection:
        (wait,) = status.payouts(asdict(found) for found in payouts.every(connection))
    assert wait.why == "the bank to book it where it leaves"
    for part in (1, FEN - 1):
        desk.entry("debit", COLLECTION, part, end_to_end_id=transfer.message_id)
    assert desk.balances() == {chart.RESERVE: UNITS, chart.IN_FLIGHT: UNITS}
    assert (desk.order(1)["batch_state"], codes(desk)) == ("funded", set())


def test_a_transfer_back_to_collection_may_arrive_before_it_leaves(desk: Desk, alice: int) -> None:
    book_the_other_way_round(desk, unfunding(desk, alice))
    assert desk.balances() == {chart.COLLECTION: UNITS, chart.customer(alice): UNITS}
    assert (desk.order(1)["state"], codes(desk)) == ("refunded", set())


def test_a_transfer_may_arrive_between_the_parts_that_leave(desk: Desk, alice: int) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    transfer = desk.to_funding()
    told = {"end_to_end_id": transfer.message_id}
    desk.entry("debit", COLLECTION, 40, **told)
    desk.entry("credit", RESERVE, FEN, counterparty_account=COLLECTION, **told)
    desk.entry("debit", COLLECTION, FEN - 40, **told)
    assert (desk.order(1)["batch_state"], codes(desk)) == ("funded", set())
    assert desk.balances() == {chart.RESERVE: UNITS, chart.IN_FLIGHT: UNITS}


@pytest.mark.parametrize("early", [True, False])
def test_a_transfer_arrives_though_the_bank_does_not_say_where_from(desk: Desk, alice: int, *, early: bool) -> None:
    """As a deposit of nobody it would be in suspense for ever, and the transfer on its way."""
    unfund = unfunding(desk, alice)
    told = {"end_to_end_id": unfund.message_id}
    sides = [("debit", RESERVE), ("credit", COLLECTION)]
    for direction, account in reversed(sides) if early else sides:
        desk.entry(direction, account, FEN, **told)
    assert (desk.order(1)["state"], codes(desk)) == ("refunded", set())
    assert desk.balances() == {chart.COLLECTION: UNITS, chart.customer(alice): UNITS}
    desk.entry("credit", COLLECTION, FEN, **told)
    assert codes(desk) == {"unexplained-entry"}, "it has arrived already"
    with desk.store.read() as connection:
        assert len(deposits.every(connection)) == 1
    desk.entry("credit", COLLECTION, 1, **told, **MALLORY)
    desk.entry("credit", COLLECTION, FEN, **told, **MALLORY)
    with desk.store.read() as connection:
        assert len(deposits.every(connection)) == 3, "the bank says that it is a stranger's"


def test_what_has_arrived_is_not_refused_any_more(desk: Desk, alice: int) -> None:
    """Its order would be given again, and the money moved twice."""
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    transfer = desk.to_funding()
    desk.entry("credit", RESERVE, FEN, end_to_end_id=transfer.message_id, counterparty_account=COLLECTION)
    desk.status(transfer, code="AM04")
    assert codes(desk) == {"late-refusal"}
    assert desk.act(batches.fund, POLICY) == 0
    desk.entry("credit", RESERVE, FEN, end_to_end_id=transfer.message_id, counterparty_account=COLLECTION)
    assert (desk.balances()[chart.SUSPENSE], "unexplained-entry" in codes(desk)) == (UNITS, True)


def test_a_transfer_to_the_reserve_that_the_bank_takes_back_is_ordered_again(desk: Desk, alice: int) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    first = desk.to_funding()
    desk.entry("debit", COLLECTION, FEN, end_to_end_id=first.message_id)
    desk.entry("credit", COLLECTION, FEN, end_to_end_id=first.message_id, reversal=True)
    assert desk.balances() == {chart.COLLECTION: UNITS, chart.IN_FLIGHT: UNITS}
    with desk.store.read() as connection:
        (lock,) = locks.live(connection)
    assert (lock["scope"], lock["code"]) == ("minting", "payment-returned")
    assert desk.act(batches.fund, POLICY) == 0
    desk.act(locks.clear, lock_id=lock["id"])
    assert desk.act(batches.fund, POLICY) == 1
    desk.book(desk.payouts(PayoutKind.MINT)[1])
    assert desk.order(1)["batch_state"] == "funded"


@pytest.mark.parametrize("shown", [{"amount_fen": FEN - 1}, {"reversal": False, "counterparty_account": RESERVE}])
def test_what_is_no_whole_reversal_of_a_transfer_does_not_undo_it(
    desk: Desk, alice: int, shown: dict[str, object]
) -> None:
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    found = desk.to_funding()
    desk.entry("debit", COLLECTION, FEN, end_to_end_id=found.message_id)
    told: dict[str, Any] = {"amount_fen": FEN, "end_to_end_id": found.message_id, "reversal": True, **shown}
    desk.entry("credit", COLLECTION, **told)
    assert codes(desk) == {"unexplained-entry"}
    assert desk.payouts(PayoutKind.MINT)[0].state is PayoutState.PAID


def test_a_failed_orders_money_says_what_keeps_it_back(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.to_funded()
    desk.attest(reserve_units=2 * UNITS, credited=2 * UNITS)
    told = {"kind": "mint", "subject": f"batch:{desk.intents('mint')[-1]['reference']}"}
    desk.chain("refused", intent_id=desk.last_intent("mint"), **told, error="AccountFrozen", arguments=[ALICE])
    assert desk.order(2)["waits_for"] == "a reserve report without its money to be final"
    desk.entry("debit", RESERVE, 10_00)
    clear_all(desk)
    number = desk.attest(reserve_units=UNITS - fen_to_units(10_00), credited=UNITS)
    with desk.store.read() as connection:
        as_of = reserve.get(connection, number)["as_of"]
    figures = {"reserve": UNITS - fen_to_units(10_00), "credited": UNITS, "paid": 0}
    desk.chain("reported", number=number, as_of=as_of, **figures)
    assert desk.act(batches.unfund, POLICY) == 0
    assert desk.order(2)["waits_for"] == "10.000000 CNH more in the reserve than is owed"
    desk.entry("credit", RESERVE, 10_00)
    clear_all(desk)
    assert desk.act(batches.unfund, POLICY) == 1
    assert desk.order(2)["waits_for"] == "the bank to move its money back"


def test_a_transfer_back_to_collection_that_the_bank_takes_back_is_ordered_again(desk: Desk, alice: int) -> None:
    unfund = unfunding(desk, alice)
    desk.entry("debit", RESERVE, FEN, end_to_end_id=unfund.message_id)
    desk.entry("credit", RESERVE, FEN, end_to_end_id=unfund.message_id, reversal=True)
    assert desk.balances() == {chart.RESERVE: UNITS, chart.IN_FLIGHT: UNITS}
    with desk.store.read() as connection:
        (lock,) = locks.live(connection)
    assert (lock["scope"], lock["code"]) == ("payouts", "payment-returned")
    desk.act(locks.clear, lock_id=lock["id"])
    assert desk.act(batches.unfund, POLICY) == 1
    desk.book(desk.payouts(PayoutKind.UNFUND)[1])
    assert desk.balances() == {chart.COLLECTION: UNITS, chart.customer(alice): UNITS}


@pytest.mark.parametrize("shown", [{"counterparty_account": RESERVE}, {"counterparty_account": "x", "reversal": True}])
def test_what_the_bank_takes_back_or_moves_between_our_accounts_is_no_deposit(
    desk: Desk, shown: dict[str, object]
) -> None:
    """It would be sent on, out of our accounts or into the reserve."""
    desk.entry("credit", COLLECTION, 100, counterparty_name="Somebody", **shown)
    assert codes(desk) == {"unexplained-entry"}
    with desk.store.read() as connection:
        assert deposits.every(connection) == []


@pytest.mark.parametrize(("direction", "account"), [("debit", RESERVE), ("debit", COLLECTION), ("credit", RESERVE)])
def test_a_bank_fact_always_posts_and_locks(desk: Desk, alice: int, direction: str, account: str) -> None:
    minted(desk, alice)
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.entry(direction, account, 100)
    assert codes(desk) == {"unexplained-entry"}
    suspense = chart.SUSPENSE if direction == "credit" else chart.UNEXPLAINED_DEBITS
    assert desk.balances()[suspense] == fen_to_units(100)
    assert desk.act(batches.gather, POLICY) == 0


@pytest.mark.parametrize("direction", ["credit", "debit"])
def test_an_entry_on_an_account_of_somebody_else_locks_and_posts_nothing(desk: Desk, direction: str) -> None:
    """The books would have money that lies nowhere, or miss what is there."""
    desk.entry(direction, "012875000000003", FEN, counterparty_account=ALICE_BANK, counterparty_name="Alice Limited")
    assert (desk.balances(), codes(desk)) == ({}, {"unexplained-entry"})
    with desk.store.read() as connection:
        assert {lock["scope"] for lock in locks.live(connection)} == {"minting", "payouts"}
        assert "012875000000003, which is none of our accounts" in locks.live(connection)[0]["reason"]


@pytest.mark.parametrize("direction", ["credit", "debit"])
def test_an_entry_of_more_than_the_books_can_hold_locks_and_posts_nothing(
    desk: Desk, alice: int, direction: str
) -> None:
    """It would stop every fact after it, or make balances that are no integers."""
    most = MAX_UNITS // UNITS_PER_FEN
    desk.wire(ALICE_BANK, "Alice Limited", most)
    books = {chart.COLLECTION: fen_to_units(most), chart.customer(alice): fen_to_units(most)}
    desk.entry(direction, RESERVE, 1)
    assert (desk.balances(), codes(desk)) == (books, {"unexplained-entry"})
    desk.entry("debit", COLLECTION, most, counterparty_account=ALICE_BANK, reversal=True)
    assert desk.balances() == {}, "what was too much may go"


@pytest.mark.parametrize("account", [COLLECTION, RESERVE])
def test_a_debit_beyond_what_an_account_held_is_its_overdraft(desk: Desk, account: str) -> None:
    """It posts and locks, and the next money that comes in repays it first."""
    name = chart.COLLECTION if account == COLLECTION else chart.RESERVE
    desk.entry("debit", account, 300)
    assert desk.balances() == {chart.overdraft(name): fen_to_units(300), chart.UNEXPLAINED_DEBITS: fen_to_units(300)}
    assert codes(desk) == {"unexplained-entry", "overdrawn-account"}
    desk.entry("credit", account, 200)
    assert desk.balances()[chart.overdraft(name)] == fen_to_units(100)
    desk.entry("credit", account, 500)
    balances = desk.balances()
    assert (balances[name], balances.get(chart.overdraft(name), 0)) == (fen_to_units(400), 0)


def test_a_second_debit_for_one_order_is_no_payment_of_it(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    burn(desk, UNITS // 2, UNITS // 2)
    desk.act(redemptions.instruct, POLICY)
    (out,) = desk.payouts(PayoutKind.REDEEM)
    desk.book(out)
    desk.book(out)
    assert codes(desk) == {"unexplained-entry"}
    assert desk.balances()[chart.UNEXPLAINED_DEBITS] == UNITS // 2


def test_broken_finality_locks_both_ways(desk: Desk) -> None:
    desk.chain("broken", number=7, expected="0x01", found="0x02")
    with desk.store.read() as connection:
        assert {lock["scope"] for lock in locks.live(connection)} == {"minting", "payouts"}


# -- reports


def three_attestors(store: Store) -> Desk:
    """Any two of them attest."""
    desk = Desk(store, attestors=(BANK, AUDITOR, THIRD))
    for attestor in (BANK, AUDITOR, THIRD):
        desk.attestor("AttestorAdded", attestor)
    desk.quorum(2)
    return desk


def test_a_report_by_a_stranger_locks_minting(desk: Desk, alice: int) -> None:
    with desk.store.read() as connection:
        assert reserve.latest(connection) is None
    number = int(desk.act(reserve.request)["number"])
    desk.sign(number, THIRD, reserve=1, credited=1, paid=0, asOf=1)
    assert codes(desk) == {"bad-report"}
    assert alice


def test_two_signers_who_differ_lock_minting(desk: Desk) -> None:
    number = int(desk.act(reserve.request)["number"])
    desk.sign(number, BANK, reserve=10, credited=0, paid=0, asOf=5)
    desk.sign(number, AUDITOR, reserve=9, credited=0, paid=0, asOf=5)
    assert codes(desk) == {"bad-report"}
    assert desk.intents("report") == []


def test_after_an_unacceptable_answer_another_report_may_be_asked_for(desk: Desk) -> None:
    """Nobody signs it a second time. Its signer has seen the log up to it, and the next proof must start there."""
    number = int(desk.act(reserve.request)["number"])
    desk.sign(number, THIRD, reserve=10, credited=0, paid=0, asOf=5)
    with desk.store.read() as connection:
        given_up = reserve.get(connection, number)
    assert (given_up["state"], given_up["reason"]) == ("refused", "bad-report")
    assert desk.act(reserve.request)["number"] == number + 1
    assert desk.intents("report-request")[-1]["from_size"] == given_up["log_size"]


def test_a_report_that_waits_has_its_signatures_when_the_quorum_is_lowered(store: Store) -> None:
    """The third attestor is gone, and that is why it was lowered."""
    desk = three_attestors(store)
    desk.quorum(3)
    number = int(desk.act(reserve.request)["number"])
    for signer in (BANK, AUDITOR):
        desk.sign(number, signer, reserve=10, credited=0, paid=0, asOf=5)
    assert desk.intents("report") == []
    desk.quorum(2)
    (posting,) = desk.intents("report")
    with desk.store.read() as connection:
        row = reserve.get(connection, number)
    anchors = {"logSize": row["log_size"], "logRoot": row["log_root"]}
    figures = {"reserve": 10, "paid": 0, "credited": 0, "asOf": 5}
    assert posting["report"] == {"token": TOKEN, "number": number, **figures, **anchors}
    assert posting["signatures"] == [row["signatures"][signer] for signer in (AUDITOR, BANK)], "ascending"
    desk.sign(number, THIRD, **figures)
    assert len(desk.intents("report")) == 1, "it is attested already"


def test_a_report_whose_signer_is_no_attestor_any_more_is_asked_for_anew(store: Store) -> None:
    desk = three_attestors(store)
    number = int(desk.act(reserve.request)["number"])
    desk.sign(number, BANK, reserve=10, credited=0, paid=0, asOf=5)
    desk.attestor("AttestorRemoved", BANK)
    with desk.store.read() as connection:
        assert reserve.get(connection, number)["reason"] == "signers-changed"
    assert codes(desk) == set()
    number = int(desk.act(reserve.request)["number"])
    for signer in (AUDITOR, THIRD):
        desk.sign(number, signer, reserve=10, credited=0, paid=0, asOf=6)
    assert len(desk.intents("report")) == 1


def test_who_was_an_attestor_when_a_report_was_asked_for_may_sign_it_for_nothing(store: Store) -> None:
    """It is on its way already, and no alarm; its signer has seen the log up to it."""
    desk = three_attestors(store)
    number = int(desk.act(reserve.request)["number"])
    desk.attestor("AttestorRemoved", BANK)
    desk.sign(number, BANK, reserve=10, credited=0, paid=0, asOf=5)
    assert codes(desk) == set()
    with desk.store.read() as connection:
        given_up = reserve.get(connection, number)
    assert (given_up["state"], given_up["signatures"]) == ("refused", {})
    desk.act(reserve.request)
    assert desk.intents("report-request")[-1]["from_size"] == given_up["log_size"]


@pytest.mark.parametrize("reserve_units", [10, 9])
def test_a_third_signer_comes_late_and_may_only_agree(store: Store, reserve_units: int) -> None:
    desk = Desk(store, attestors=(BANK, AUDITOR, THIRD))
    number = int(desk.act(reserve.request)["number"])
    for signer in (BANK, AUDITOR):
        desk.sign(number, signer, reserve=10, credited=10, paid=0, asOf=5)
    desk.sign(number, THIRD, reserve=reserve_units, credited=10, paid=0, asOf=5)
    assert len(desk.intents("report")) == 1
    assert codes(desk) == (set() if reserve_units == 10 else {"bad-report"})


def test_the_quorum_without_the_one_who_refused_is_in_the_log(store: Store) -> None:
    """Anybody may post what two of three have signed, and the log must show their signatures."""
    desk = Desk(store, attestors=(BANK, AUDITOR, THIRD))
    number = int(desk.act(reserve.request)["number"])
    desk.sign(number, BANK, reserve=10, credited=0, paid=0, asOf=5)
    desk.tell(Door.BANK, "refusal", number=number, by="auditor", code="figures-differ", reason="they differ")
    desk.sign(number, THIRD, reserve=10, credited=0, paid=0, asOf=5)
    assert desk.intents("report") == [], "it was refused"
    desk.chain("reported", number=number, reserve=10, credited=0, paid=0, as_of=5)
    with desk.store.read() as connection:
        found, bodies = reserve.get(connection, number), connection.scalars(select(audit_record.c.body)).all()
    assert found["state"] == "final"
    assert [decode(body).action for body in bodies].count("report.attested") == 1


@pytest.mark.parametrize("agrees", [True, False])
def test_a_report_may_be_posted_before_any_signature_came(desk: Desk, *, agrees: bool) -> None:
    """The folder may be out of reach meanwhile: what is on chain is what the signatures must say."""
    number = int(desk.act(reserve.request)["number"])
    desk.chain("reported", number=number, reserve=10, credited=0, paid=0, as_of=5)
    for signer in (BANK, AUDITOR):
        desk.sign(number, signer, reserve=10 if agrees else 9, credited=0, paid=0, asOf=5)
    assert codes(desk) == (set() if agrees else {"bad-report"})
    assert desk.intents("report") == [], "it is there already"
    with desk.store.read() as connection:
        records = [decode(body) for body in connection.scalars(select(audit_record.c.body)).all()]
    told = [record.action for record in records if record.subject == f"report:{number}"]
    signed = ["report.signed", "report.signed", "report.attested"] if agrees else []
    assert told == ["report.requested", "report.final", *signed]


@pytest.mark.parametrize("agrees", [True, False])
def test_a_report_may_be_posted_before_its_last_signature_came(desk: Desk, *, agrees: bool) -> None:
    """Whoever has both signatures can post it; the folder brings them one by one."""
    number = int(desk.act(reserve.request)["number"])
    desk.sign(number, BANK, reserve=10, credited=0, paid=0, asOf=5)
    desk.chain("reported", number=number, reserve=10, credited=0, paid=0, as_of=5)
    with desk.store.read() as connection:
        assert reserve.get(connection, number)["state"] == "final"
    desk.sign(number, AUDITOR, reserve=10 if agrees else 9, credited=0, paid=0, asOf=5)
    assert desk.intents("report") == [], "it is there already"
    with desk.store.read() as connection:
        found, records = reserve.get(connection, number), connection.scalars(select(audit_record.c.body)).all()
    attested = [decode(body).action for body in records].count("report.attested")
    assert (found["state"], len(found["signatures"]), attested) == (("final", 2, 1) if agrees else ("final", 1, 0))
    assert codes(desk) == (set() if agrees else {"bad-report"})


def test_a_signature_of_a_report_that_was_refused_is_no_alarm(desk: Desk) -> None:
    """Its signer was faster, and its file later; what it has seen of the log counts for the next request."""
    number = int(desk.act(reserve.request)["number"])
    desk.tell(Door.BANK, "refusal", number=number, by="auditor", code="figures-differ", reason="they differ")
    desk.sign(number, BANK, reserve=10, credited=0, paid=0, asOf=5)
    assert codes(desk) == {"report-refused"}
    with desk.store.read() as connection:
        refused = reserve.get(connection, number)
    assert (refused["state"], list(refused["signatures"])) == ("refused", [BANK])
    desk.act(reserve.request)
    assert desk.intents("report-request")[-1]["from_size"] == refused["log_size"]


def test_a_failed_order_wants_another_report_when_the_one_without_it_is_refused(desk: Desk, alice: int) -> None:
    """Its money is the customer's, and must not wait in the reserve until a report is due anyway."""
    refused_mint(desk, alice, "AccountFrozen", [ALICE])

    assert wanted(desk)
    desk.pass_time()
    number = int(desk.act(reserve.request)["number"])
    assert not wanted(desk)
    desk.tell_refusal(number, "more-withheld-than-reserve")
    assert wanted(desk)
    number = desk.attest(reserve_units=0, credited=0)
    assert not wanted(desk)
    with desk.store.read() as connection:
        assert reserve.get(connection, number)["withheld"] == UNITS


CHARGE = 10_00


def charged(desk: Desk, _alice: int) -> None:
    desk.entry("debit", RESERVE, CHARGE)


def stolen(desk: Desk, _alice: int) -> None:
    desk.chain("minted", first=2, reference="0x" + "ee" * 32, orders=[[BOB, 1_0000]])


@pytest.mark.parametrize(
    ("happened", "waits_for"),
    [
        (charged, "10.000000 CNH more in the reserve"),
        (stolen, "0.010000 CNH more in the reserve"),
    ],
)
def test_no_report_is_asked_for_that_would_say_the_same_again(
    desk: Desk, alice: int, happened: Callable[[Desk, int], None], waits_for: str
) -> None:
    """Each is a transaction: there would be one a block, until the key has no gas money."""
    minted(desk, alice)
    happened(desk, alice)
    clear_all(desk)
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.to_funded()
    short = fen_to_units(CHARGE) if happened is charged else 0
    for _ in range(2):
        desk.attest(reserve_units=2 * UNITS - short, credited=2 * UNITS)
        desk.pass_time()
        assert not wanted(desk)
    assert desk.order(2)["waits_for"] == waits_for
    desk.entry("credit", RESERVE, CHARGE)
    clear_all(desk)
    assert wanted(desk) == (happened is charged), "it is there now"
    if happened is stolen:
        assert desk.order(2)["waits_for"] == "tokens that nobody ordered, which were minted against its money"
    else:
        desk.attest(reserve_units=2 * UNITS, credited=2 * UNITS)
        assert desk.order(2)["waits_for"] == "its mint to be final on chain"


def test_a_failed_orders_money_backs_no_other_orders_report(desk: Desk, alice: int) -> None:
    """Every report leaves it out: while it lies in the reserve, the books have more than a report says."""
    refused_mint(desk, alice, "AccountFrozen", [ALICE])
    desk.entry("debit", RESERVE, CHARGE)
    clear_all(desk)
    bob = desk.customer("Bob", BOB_BANK, BOB)
    desk.wire(BOB_BANK, "Bob", FEN)
    desk.act(mints.request, POLICY, customer_id=bob, wallet=BOB, value=UNITS)
    desk.to_funded()
    desk.attest(reserve_units=UNITS - fen_to_units(CHARGE), credited=UNITS)
    assert not wanted(desk)
    assert desk.order(2)["waits_for"] == "10.000000 CNH more in the reserve"


def wanted(desk: Desk) -> bool:
    with desk.store.read() as connection:
        return batches.report_wanted(connection)


def test_an_early_report_is_asked_again_another_refusal_locks(desk: Desk) -> None:
    first = int(desk.act(reserve.request)["number"])
    desk.tell(Door.BANK, "refusal", number=first, by="bank", code="too-early", reason="no time has passed")
    assert codes(desk) == set()
    second = int(desk.act(reserve.request)["number"])
    assert second == first + 1
    desk.tell(Door.BANK, "refusal", number=second, by="auditor", code="wrong-figures", reason="they differ")
    assert codes(desk) == {"report-refused"}


# -- customers and wallets


def test_a_prohibited_customer_is_refused_and_that_is_logged(desk: Desk) -> None:
    body = {"name": "Zhang", "jurisdiction": "CN", "bank_account": "622200000001"}
    asked = Request(caller="operator:ann", key="k1", operation="customer add", body=body)
    with pytest.raises(Prohibited):
        carry_out(desk.store, asked, lambda unit: customers.add(unit, POLICY, **body))
    with desk.store.read() as connection:
        assert customers.every(connection) == []


@pytest.mark.parametrize("name", ["", "Alice\u202e Limited", "A" * 141, "Alice\x07"])
def test_a_name_that_no_payment_order_can_carry_is_refused(desk: Desk, name: str) -> None:
    with pytest.raises(InvalidInput):
        desk.customer(name, "388000000099", BOB)


@pytest.mark.parametrize("account", [COLLECTION, RESERVE])
def test_the_issuer_pays_nobody_on_its_own_accounts(desk: Desk, alice: int, account: str) -> None:
    """What arrived there would be explained by no order, and lock everything."""
    with pytest.raises(InvalidInput, match="the issuer's own account"):
        desk.customer("Bob", account, BOB)
    minted(desk, alice)
    burn(desk, UNITS, UNITS, case=powers.case_id("C-1"))
    court: dict[str, Any] = {"redemption_id": UNITS, "name": "High Court", "case": "C-1"}
    with pytest.raises(InvalidInput, match="the issuer's own account"):
        desk.act(redemptions.direct, POLICY, account=account, **court)


def test_a_key_is_bound_to_one_request_for_ever(desk: Desk) -> None:
    body = {"name": "Ann", "jurisdiction": "HK", "bank_account": ALICE_BANK}
    asked = Request(caller="operator:ann", key="k1", operation="customer add", body=body)
    first = carry_out(desk.store, asked, lambda unit: customers.add(unit, POLICY, **body))
    again = carry_out(desk.store, asked, lambda unit: customers.add(unit, POLICY, **body))
    assert (first.replayed, again.replayed, again.body) == (False, True, first.body)
    other = Request(caller="operator:ann", key="k1", operation="customer add", body={**body, "name": "Eve"})
    with pytest.raises(Conflict, match="bound to another request"):
        carry_out(desk.store, other, lambda unit: customers.add(unit, POLICY, **other.body))


def test_an_expired_or_unsigned_challenge_registers_nothing(desk: Desk, alice: int, clock: ManualClock) -> None:
    given = desk.act(wallets.challenge, POLICY, customer_id=alice, address=BOB, standing=False)
    with pytest.raises(Refused, match="is not"):
        desk.act(wallets.register, address=BOB, text=given["challenge"], controlled=False)
    clock.advance(POLICY.challenge_seconds + 1)
    with pytest.raises(Refused, match="expired"):
        desk.act(wallets.register, address=BOB, text=given["challenge"], controlled=True)


def test_tokens_are_minted_only_to_the_customers_own_wallet(desk: Desk, alice: int) -> None:
    desk.customer("Bob", BOB_BANK, BOB)
    with pytest.raises(Refused, match="not a registered wallet"):
        desk.act(mints.request, POLICY, customer_id=alice, wallet=BOB, value=UNITS)
    with pytest.raises(NotFound):
        desk.act(mints.request, POLICY, customer_id=99, wallet=ALICE, value=UNITS)


def test_a_late_refusal_locks_and_frees_nothing(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    burn(desk, UNITS, UNITS)
    desk.act(redemptions.instruct, POLICY)
    (out,) = desk.payouts(PayoutKind.REDEEM)
    desk.book(out)
    desk.status(out, code="AM04")
    assert codes(desk) == {"late-refusal"}
    assert desk.payouts(PayoutKind.REDEEM)[0].state is PayoutState.PAID


def test_a_refusal_after_acceptance_frees_the_cause(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    burn(desk, UNITS, UNITS)
    desk.act(redemptions.instruct, POLICY)
    (out,) = desk.payouts(PayoutKind.REDEEM)
    desk.status(out)
    desk.status(out, code="AC04")
    desk.act(locks.clear, lock_id=1)
    desk.act(redemptions.release, POLICY, redemption_id=UNITS)
    assert desk.act(redemptions.instruct, POLICY) == 1


def test_money_does_not_follow_a_changed_account(desk: Desk, alice: int) -> None:
    minted(desk, alice)
    burn(desk, UNITS, UNITS)
    with desk.store.unit("tamper") as unit:
        unit.connection.execute(update(customer).values(bank_account="666000000666"))
    assert desk.act(redemptions.instruct, POLICY) == 0
    assert codes(desk) == {"altered-customer"}
    assert desk.payouts(PayoutKind.REDEEM) == []


def test_a_key_belongs_to_its_first_caller(desk: Desk) -> None:
    body = {"name": "Ann", "jurisdiction": "HK", "bank_account": ALICE_BANK}
    first = Request(caller="operator:ann", key="k1", operation="customer add", body=body)
    carry_out(desk.store, first, lambda unit: customers.add(unit, POLICY, **body))
    other = Request(caller="operator:ben", key="k1", operation="customer add", body=body)
    with pytest.raises(Conflict, match="by operator:ann"):
        carry_out(desk.store, other, lambda unit: customers.add(unit, POLICY, **body))


@pytest.fixture
def marking(desk: Desk) -> int:
    """The intent that has the chain told of a wallet which was just registered; a transaction carries it."""
    added = desk.act(customers.add, POLICY, name="Alice Limited", jurisdiction="HK", bank_account=ALICE_BANK)
    given = desk.act(wallets.challenge, POLICY, customer_id=added["id"], address=ALICE, standing=False)
    desk.act(wallets.register, address=ALICE, text=given["challenge"], controlled=True)
    bind_intents(desk)
    return desk.last_intent("verify")


def bind_intents(desk: Desk) -> None:
    with desk.store.unit("bind") as unit:
        unit.connection.execute(update(intent).values(state=IntentState.BOUND))


def ends(desk: Desk, intent_id: int, outcome: str) -> None:
    """The transaction of a wallet's mark has ended like this."""
    told = {"intent_id": intent_id, "kind": "verify", "subject": f"wallet:{ALICE}", "outcome": outcome}
    desk.chain("sent", **told, reason="", signer=THIRD)


@pytest.mark.parametrize("outcome", ["cancelled", "reverted", "foreign"])
def test_a_wallet_whose_mark_came_to_nothing_is_told_again(desk: Desk, marking: int, outcome: str) -> None:
    ends(desk, marking, outcome)
    again = desk.last_intent("verify")
    assert again != marking
    with desk.store.read() as connection:
        row = connection.execute(select(intent).where(intent.c.id == again)).one()
        body = connection.scalar(select(audit_record.c.body).where(audit_record.c.id == row.record_id))
        assert wallets.refused(connection) == []
    assert (row.state, row.subject, row.payload) == (IntentState.OPEN, f"wallet:{ALICE}", {"accounts": [ALICE]})
    assert body is not None
    assert decode(body).action == "transaction.failed"


def test_a_wallet_that_has_its_mark_or_has_lost_it_to_a_person_is_not_told_again(desk: Desk, marking: int) -> None:
    desk.chain("verified", account=ALICE)
    ends(desk, marking, "foreign")
    assert desk.last_intent("verify") == marking
    bind_intents(desk)
    desk.act(powers.use, "unverify", {"accounts": [ALICE]}, case="c-1")
    desk.chain("unverified", account=ALICE)
    ends(desk, marking, "cancelled")
    assert desk.last_intent("verify") == marking


def test_a_wallet_that_the_contract_refuses_waits_for_a_person(desk: Desk, marking: int) -> None:
    told = {"intent_id": marking, "kind": "verify", "subject": f"wallet:{ALICE}"}
    desk.tell(Door.CHAIN, "refused", f"refused:{marking}:1", **told, error="ActStopped", arguments=[1])
    assert desk.last_intent("verify") == marking
    with desk.store.read() as connection:
        (waits,) = status.wallets(wallets.refused(connection))
    assert (waits.what, waits.why.partition(": ")[2]) == (f"the wallet {ALICE}", "ActStopped(stop 1)")
    assert f"issuer wallet verify {ALICE}" in str(waits.do)
    desk.chain("verified", account=ALICE)
    with desk.store.read() as connection:
        assert wallets.refused(connection) == []
