"""Which money an order was paid with, told from its customer's account alone."""

from hypothesis import given
from hypothesis import strategies as st

from issuer.reports.trace import sources

units = st.integers(1, 50)


def test_first_in_is_first_out() -> None:
    moves = [("deposit:a", 10), ("deposit:b", 10), ("order:1", -4), ("order:2", -10), ("order:3", -6)]
    assert sources(moves, "order:1") == ["deposit:a"]
    assert sources(moves, "order:2") == ["deposit:a", "deposit:b"]
    assert sources(moves, "order:3") == ["deposit:b"]
    assert sources(moves, "order:4") == []


def test_a_refund_takes_its_own_deposit() -> None:
    moves = [("deposit:a", 10), ("deposit:b", 10), ("deposit:b", -10), ("deposit:c", 5), ("order:1", -15)]
    assert sources(moves, "order:1") == ["deposit:a", "deposit:c"]


def test_what_an_order_gave_back_is_spent_again() -> None:
    moves = [("deposit:a", 10), ("order:1", -10), ("order:1", 10), ("order:2", -10)]
    assert sources(moves, "order:2") == ["order:1"]


@given(st.lists(units, min_size=1, max_size=6), st.data())
def test_an_order_is_paid_by_just_the_deposits_that_reach_it(deposits: list[int], data: st.DataObject) -> None:
    """The deposits laid end to end, and the orders over them: those that overlap."""
    total, moves, spent = sum(deposits), [(f"deposit:{at}", value) for at, value in enumerate(deposits)], 0
    while spent < total:
        value = data.draw(st.integers(1, total - spent))
        moves.append((f"order:{spent}", -value))
        ends = [sum(deposits[: at + 1]) for at in range(len(deposits))]
        expected = [
            f"deposit:{at}" for at, end in enumerate(ends) if end > spent and end - deposits[at] < spent + value
        ]
        assert sources(moves, f"order:{spent}") == expected
        spent += value
