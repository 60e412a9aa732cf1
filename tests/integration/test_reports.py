"""Reconciliation and trace over real books, on both engines."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import Conflict, InvalidInput, NotFound
from issuer.ledger import chart
from issuer.money import fen_to_units
from issuer.operations import batches, locks, mints, reserve
from issuer.reports import reconciliation, status, trace
from issuer.reports.reconciliation import Books, Chain, Closing
from issuer.store import facts
from issuer.store.facts import News
from issuer.store.states import Door, Scope
from issuer.store.unit import Store
from tests.integration.desk import ALICE, ALICE_BANK, AUDITOR, BANK, COLLECTION, POLICY, RESERVE, Desk

ACCOUNTS = {COLLECTION: chart.COLLECTION, RESERVE: chart.RESERVE}
NAME = "Alice Limited"
FEN = 50_000_00
UNITS = fen_to_units(FEN)
UNTIL = 1_795_392_000  # 2026-11-23T00:00:00Z


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


@pytest.fixture
def alice(desk: Desk) -> int:
    return desk.customer(NAME, ALICE_BANK, ALICE)


def _wire(desk: Desk, key: str, amount_fen: int) -> None:
    told: dict[str, Any] = {
        "direction": "credit",
        "account": COLLECTION,
        "amount_fen": amount_fen,
        "end_to_end_id": None,
        "reversal": False,
    }
    sender = {"counterparty_account": ALICE_BANK, "counterparty_name": NAME}
    desk.tell(Door.BANK, "entry", key=key, **told | sender)


def _state(desk: Desk, sequence: int, opening: int, closing: int, entries: dict[str, int]) -> None:
    told: dict[str, Any] = {
        "account": COLLECTION,
        "opening_fen": opening,
        "closing_fen": closing,
        "until": UNTIL,
        "entries": entries,
    }
    desk.tell(Door.BANK, "statement", sequence=sequence, **told)


def _books(desk: Desk) -> Books:
    with desk.store.read() as connection:
        return reconciliation.read(connection, ACCOUNTS)


def _minted(desk: Desk, alice: int) -> None:
    desk.wire(ALICE_BANK, NAME, FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.to_funded()
    desk.attest(reserve_units=UNITS, credited=UNITS)
    desk.mint()
    desk.tell(Door.CHAIN, "moved", transfers=[["0x" + "00" * 20, ALICE, UNITS]])


# -- the bank's side


@pytest.mark.usefixtures("alice")
def test_a_statement_is_compared_with_the_books_as_they_stood_at_it(desk: Desk) -> None:
    assert _books(desk).closings == ()
    _wire(desk, "one", 100)
    _state(desk, 1, 0, 100, {"one": 100})
    _wire(desk, "two", 30)
    at_first = Closing(
        account=chart.COLLECTION, sequence=1, until=UNTIL, closing=fen_to_units(100), books=fen_to_units(100)
    )
    assert _books(desk).closings == (at_first,)
    _state(desk, 2, 100, 130, {"two": 30})
    (latest,) = _books(desk).closings
    assert (latest.sequence, latest.closing, latest.books) == (2, fen_to_units(130), fen_to_units(130))


@pytest.mark.usefixtures("alice")
def test_an_entry_noticed_before_an_older_statement_is_not_counted_into_it(desk: Desk) -> None:
    _wire(desk, "one", 100)
    _wire(desk, "two", 30)
    _state(desk, 1, 0, 100, {"one": 100})
    (closing,) = _books(desk).closings
    assert closing.books == closing.closing == fen_to_units(100)


def test_a_statement_that_was_left_out_is_told_though_the_balances_join(desk: Desk) -> None:
    """What was booked and booked back in it was never compared."""
    told = []
    for sequence in (2, 3, 5, 4, 10**15):
        _state(desk, sequence, 0, 0, {})
        with desk.store.read() as connection:
            told.append([wait.what for wait in status.doors(connection, 0) if "statement" in wait.what])
    assert told == [[], [], ["bank statement 4"], [], [f"bank statements 6 to {10**15 - 1}"]]


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize("closing_fen", [99, 101])
def test_a_fen_more_or_less_on_a_statement_is_a_difference(desk: Desk, closing_fen: int) -> None:
    _wire(desk, "one", 100)
    _state(desk, 1, 0, closing_fen, {"one": 100})
    lines = reconciliation.compare(_books(desk), Chain(supply=0, redeemed=0, balances={}))
    broken = [line for line in lines if line.difference]
    assert [line.what for line in broken] == [f"statement 1 until 2026-11-23T00:00:00Z, books {chart.COLLECTION}"]
    assert abs(broken[0].difference) == fen_to_units(1)


def test_nothing_is_compared_while_facts_wait(desk: Desk) -> None:
    with desk.store.unit("tell") as unit:
        facts.bring(unit, Door.CHAIN, [News(key="late", kind="moved", payload={"transfers": []})])
    with pytest.raises(Conflict):
        _books(desk)


# -- the chain's side


def test_what_is_minted_reconciles_with_the_chain(desk: Desk, alice: int) -> None:
    _minted(desk, alice)
    lines = reconciliation.compare(_books(desk), Chain(supply=UNITS, redeemed=0, balances={ALICE: UNITS}))
    assert len(lines) == 4
    assert not any(line.difference for line in lines)


units = st.integers(min_value=0, max_value=10**15)


@given(
    books=st.builds(
        Books,
        block=st.just(9),
        outstanding=units,
        redeemed=units,
        holdings=st.dictionaries(st.sampled_from(["0xA", "0xB", "0xC"]), units),
        closings=st.just(()),
    ),
    supply=units,
    redeemed=units,
    balances=st.dictionaries(st.sampled_from(["0xA", "0xB", "0xC"]), units),
)
def test_books_and_chain_agree_only_if_every_figure_does(
    books: Books, supply: int, redeemed: int, balances: dict[str, int]
) -> None:
    lines = reconciliation.compare(books, Chain(supply=supply, redeemed=redeemed, balances=balances))
    agree = (
        books.outstanding == supply
        and sum(books.holdings.values()) == supply
        and books.redeemed == redeemed
        and all(balances.get(holder, 0) == held for holder, held in books.holdings.items())
    )
    assert agree == (not any(line.difference for line in lines))


# -- status


def test_the_position_rests_on_the_last_final_report(desk: Desk, alice: int) -> None:
    _minted(desk, alice)
    before = _position(desk)
    assert (before.report, before.reserve, before.coverage) == (None, 0, "0.0000")
    _post(desk, 1, reserve=UNITS, credited=UNITS)
    after = _position(desk)
    assert (after.supply, after.report, after.reserve, after.coverage) == (UNITS, 1, UNITS, "1.0000")


def test_what_is_burned_is_unpaid_until_a_report_says_otherwise(desk: Desk, alice: int) -> None:
    _minted(desk, alice)
    _post(desk, 1, reserve=UNITS, credited=UNITS)
    burned = {"account": ALICE, "id": 20_000, "value": 20_000, "reference": "0x" + "00" * 32}
    desk.chain("redeemed", **burned)
    position = _position(desk)
    assert (position.supply, position.redemptions_unpaid) == (UNITS - 20_000, 20_000)
    assert position.coverage == "1.0000"


def _position(desk: Desk) -> status.Position:
    with desk.store.read() as connection:
        return status.position(connection)


def test_what_a_lock_holds_back_names_the_lock(desk: Desk, alice: int) -> None:
    desk.wire(ALICE_BANK, NAME, FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    desk.to_funding()
    assert _payment(desk) == ("the service to send it", "issuer run")
    desk.act(locks.engage, Scope.MINTING, "other", "another one", "clear it")
    assert _payment(desk) == ("the service to send it", "issuer run")
    desk.act(locks.engage, Scope.PAYOUTS, "unknown-order", "a test", "clear it")
    why, do = _payment(desk)
    assert (why, "issuer lock list" in str(do)) == ("the lock on payouts (unknown-order) to be cleared", True)


def _payment(desk: Desk) -> tuple[str, str | None]:
    with desk.store.read() as connection:
        (wait,) = [wait for wait in status.doors(connection, 0) if wait.what.startswith("payment")]
    return wait.why, wait.do


def _post(desk: Desk, number: int, **figures: int) -> None:
    with desk.store.read() as connection:
        (row,) = [wait for wait in status.doors(connection, 0) if wait.what == f"reserve report {number}"]
    assert row.why == "its transaction to be final"
    as_of = _as_of(desk, number)
    desk.chain("reported", number=number, paid=0, as_of=as_of, **figures)


def _as_of(desk: Desk, number: int) -> int:
    with desk.store.read() as connection:
        return int(reserve.get(connection, number)["as_of"])


# -- trace


def test_a_trace_is_found_by_number_and_by_kind(desk: Desk, alice: int) -> None:
    _minted(desk, alice)
    desk.chain("redeemed", account=ALICE, id=20_000, value=20_000, reference="0x" + "00" * 32)
    with desk.store.read() as connection:
        order = trace.subjects(connection, "order:1")
        assert trace.subjects(connection, "1") == order
        assert [name.partition(":")[0] for name in order] == ["deposit", "order", "batch", "report"]
        assert trace.subjects(connection, "redemption:20000") == ["redemption:20000"]
        assert trace.subjects(connection, "20000") == ["redemption:20000"]
        for unknown in ("2", "order:20000", "redemption:1"):
            with pytest.raises(NotFound):
                trace.subjects(connection, unknown)
        for malformed in ("", "order:", "batch:1", "1.0", "x"):
            with pytest.raises(InvalidInput):
                trace.subjects(connection, malformed)


def test_a_number_that_names_two_things_is_asked_about(desk: Desk, alice: int) -> None:
    _minted(desk, alice)
    desk.chain("redeemed", account=ALICE, id=1, value=1, reference="0x" + "00" * 32)
    with desk.store.read() as connection, pytest.raises(InvalidInput):
        trace.subjects(connection, "1")


def test_a_trace_names_the_report_that_covered_the_mint(desk: Desk, alice: int) -> None:
    """One without the money was attested before it, and was posted only after it."""
    _wire(desk, "w", FEN)
    desk.act(mints.request, POLICY, customer_id=alice, wallet=ALICE, value=UNITS)
    without = desk.attest(reserve_units=0, credited=0)
    desk.to_funded()
    desk.pass_time()
    covering = int(desk.act(reserve.request)["number"])
    for signer in (BANK, AUDITOR):
        desk.sign(covering, signer, reserve=UNITS, credited=UNITS, paid=0, asOf=_as_of(desk, without) + 1)
    _post(desk, without, reserve=0, credited=0)
    desk.act(batches.attest)
    desk.act(batches.send)
    with desk.store.read() as connection:
        assert trace.subjects(connection, "order:1")[-1] == f"report:{covering}"


def test_a_trace_is_in_the_order_of_time(desk: Desk, alice: int) -> None:
    _minted(desk, alice)
    with desk.store.read() as connection:
        events = trace.trace(connection, trace.subjects(connection, "1"))
    assert [event.at for event in events] == sorted(event.at for event in events)
    posted = [event for event in events if event.source == "books"]
    assert {event.details["amount"] for event in posted} == {"50000.000000"}
    assert posted[-1].details["credit"] == chart.OUTSTANDING
