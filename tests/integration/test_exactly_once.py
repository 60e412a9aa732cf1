"""What the simulation has found, each as the few facts that brought it about, on both engines."""

import pytest

from issuer.ledger import chart
from issuer.operations import deposits, locks
from issuer.store.states import PayoutKind
from issuer.store.unit import Store
from tests.integration.desk import COLLECTION, POLICY, Desk


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def codes(desk: Desk) -> set[str]:
    with desk.store.read() as connection:
        return {lock["code"] for lock in locks.live(connection)}


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
