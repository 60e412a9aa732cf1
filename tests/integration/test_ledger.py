"""The books on both engines: whatever is posted, they balance, and nothing goes below zero."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import update

from issuer.errors import BrokenInvariant
from issuer.ledger import chart, journal
from issuer.ledger.journal import Entry, Overdrawn, Unbalanced
from issuer.money import MAX_UNITS
from issuer.store.tables import account, posting
from issuer.store.unit import Store
from tests.clock import ManualClock

NAMES = [chart.COLLECTION, chart.RESERVE, chart.IN_FLIGHT, chart.OUTSTANDING, chart.BUFFER, chart.customer(1)]


def post(store: Store, *entries: Entry) -> None:
    with store.unit("post") as unit:
        journal.post(unit, *entries)


def entry(*amounts: tuple[str, int]) -> Entry:
    return Entry(description="test", subject="test:1", amounts=amounts)


def test_a_deposit_becomes_tokens(store: Store) -> None:
    post(store, entry((chart.COLLECTION, 100), (chart.customer(1), -100)))
    post(store, entry((chart.customer(1), 60), (chart.IN_FLIGHT, -60)))
    with store.read() as connection:
        assert journal.balances(connection) == {chart.COLLECTION: 100, chart.customer(1): 40, chart.IN_FLIGHT: 60}
        journal.verify(connection)


@pytest.mark.parametrize("amounts", [(), ((chart.RESERVE, 1),), ((chart.RESERVE, 2), (chart.BUFFER, -1))])
def test_an_unbalanced_entry_is_refused(store: Store, amounts: tuple[tuple[str, int], ...]) -> None:
    with pytest.raises(Unbalanced):
        post(store, entry(*amounts))


def test_no_account_goes_below_zero_and_nothing_of_the_set_stays(store: Store) -> None:
    good = entry((chart.COLLECTION, 5), (chart.customer(1), -5))
    with pytest.raises(Overdrawn):
        post(store, good, entry((chart.customer(1), 6), (chart.IN_FLIGHT, -6)))
    with store.read() as connection:
        assert journal.balances(connection) == {}


def test_no_account_rises_above_what_a_book_can_hold(store: Store) -> None:
    most = entry((chart.RESERVE, MAX_UNITS), (chart.BUFFER, -MAX_UNITS))
    post(store, most)
    for more in (entry((chart.RESERVE, 1), (chart.BUFFER, -1)), most):
        with pytest.raises(Overdrawn):
            post(store, more)
    with store.read() as connection:
        assert journal.balances(connection) == {chart.RESERVE: MAX_UNITS, chart.BUFFER: MAX_UNITS}
        assert journal.room(connection) == 0


def test_balances_of_any_past_entry_can_be_recomputed(store: Store) -> None:
    for units in (10, 20, 30):
        post(store, entry((chart.RESERVE, units), (chart.BUFFER, -units)))
    with store.read() as connection:
        ids = [line.entry_id for line in journal.journal(connection)][::2]
        assert [journal.balances_at(connection, id_)[chart.RESERVE] for id_ in ids] == [10, 30, 60]


def test_a_changed_posting_is_found(store: Store) -> None:
    post(store, entry((chart.RESERVE, 10), (chart.BUFFER, -10)))
    with store.unit("tamper") as unit:
        unit.connection.execute(update(posting).where(posting.c.position == 0).values(amount=11))
    with store.read() as connection, pytest.raises(BrokenInvariant, match="does not balance"):
        journal.verify(connection)


@pytest.mark.parametrize(("column", "value"), [("entry_id", 99), ("account_id", 99)])
def test_a_posting_astray_is_found(store: Store, column: str, value: int) -> None:
    post(store, entry((chart.RESERVE, 10), (chart.BUFFER, -10)))
    with store.unit("tamper") as unit:
        unit.connection.execute(update(posting).values({column: value}))
    with store.read() as connection, pytest.raises(BrokenInvariant, match="has no entry, or no account"):
        journal.verify(connection)


def test_a_changed_balance_is_found(store: Store) -> None:
    post(store, entry((chart.RESERVE, 10), (chart.BUFFER, -10)))
    with store.unit("tamper") as unit:
        unit.connection.execute(update(account).where(account.c.name == chart.RESERVE).values(balance=11))
    with store.read() as connection, pytest.raises(BrokenInvariant, match="bank:reserve holds"):
        journal.verify(connection)


class Books(RuleBasedStateMachine):
    """Random transfers, accepted or refused, against a plain counter."""

    @initialize()
    def open(self) -> None:
        self.store = Store("sqlite://", ManualClock())
        self.store.migrate()
        self.expected: Counter[str] = Counter()

    @rule(debit=st.sampled_from(NAMES), credit=st.sampled_from(NAMES), units=st.integers(1, 50))
    def transfer(self, debit: str, credit: str, units: int) -> None:
        after = self.expected.copy()
        after[debit] += chart.normal(debit) * units
        after[credit] -= chart.normal(credit) * units
        item = journal.transfer("move", "test:1", debit=debit, credit=credit, units=units)
        if min(after.values()) < 0:
            with pytest.raises(Overdrawn):
                post(self.store, item)
        else:
            post(self.store, item)
            self.expected = after

    @invariant()
    def balanced(self) -> None:
        if not hasattr(self, "store"):
            return
        with self.store.read() as connection:
            journal.verify(connection)
            kept = journal.balances(connection)
        assert {name: units for name, units in kept.items() if units} == {
            name: units for name, units in self.expected.items() if units
        }

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
