"""Status: coverage is never shown better than it is, and everything that waits says for what."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.reports import status
from issuer.store.states import OrderState, RedemptionState

NOW = 1_790_000_000
amounts = st.integers(min_value=0, max_value=2**63 - 1)


@given(reserve=amounts, liabilities=amounts.filter(bool))
def test_coverage_is_the_ratio_rounded_down(reserve: int, liabilities: int) -> None:
    shown = status.coverage(reserve, liabilities)
    assert shown is not None
    assert len(shown.partition(".")[2]) == 4
    short = Fraction(reserve, liabilities) - Fraction(shown)
    assert 0 <= short < Fraction(1, 10_000)


@pytest.mark.parametrize(
    ("reserve", "liabilities", "shown"),
    [(900, 900, "1.0000"), (899_999_999_999, 900_000_000_000, "0.9999"), (0, 1, "0.0000"), (3, 2, "1.5000")],
)
def test_full_coverage_is_said_only_when_it_is_full(reserve: int, liabilities: int, shown: str) -> None:
    assert status.coverage(reserve, liabilities) == shown


def test_of_nothing_there_is_no_coverage() -> None:
    assert status.coverage(5, 0) is None


def _order(state: OrderState, waits_for: str | None) -> dict[str, object]:
    return {"id": 4, "value": 2_500_000, "state": state, "waits_for": waits_for, "at": NOW}


def test_orders_say_what_they_wait_for_and_what_to_do() -> None:
    (wait,) = status.orders([_order(OrderState.REQUESTED, "approval by another operator")])
    assert (wait.what, wait.why) == ("mint order 4 of 2.500000 CNH", "approval by another operator")
    assert wait.do == "issuer mint approve 4 --operator ANOTHER"


@pytest.mark.parametrize("state", [OrderState.FINAL, OrderState.REJECTED, OrderState.CANCELLED, OrderState.REFUNDED])
def test_an_order_at_its_end_waits_for_nothing(state: OrderState) -> None:
    assert status.orders([_order(state, None)]) == []


def _redemption(state: RedemptionState, reason: str | None = None) -> dict[str, object]:
    return {
        "id": 70_000,
        "value": 70_000,
        "state": state,
        "reason": reason,
        "seized_under": None,
        "at": NOW,
        "deadline": NOW + 60,
    }


def test_a_redemption_past_its_deadline_is_called_late() -> None:
    rows = [_redemption(RedemptionState.INSTRUCTED)]
    assert ", due by 2026-" in status.redemptions(rows, NOW + 60)[0].what
    assert ", late since 2026-" in status.redemptions(rows, NOW + 61)[0].what


def test_a_held_redemption_says_how_to_release_it() -> None:
    (wait,) = status.redemptions([_redemption(RedemptionState.HELD, "its reference names nothing")], NOW)
    assert wait.why == "its reference names nothing"
    assert wait.do is not None
    assert "issuer redemption release 70000" in wait.do


def test_a_paid_redemption_waits_for_nothing() -> None:
    assert status.redemptions([_redemption(RedemptionState.PAID)], NOW) == []
