"""Amounts: text to integers and back, and everything that is not an amount."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import InvalidAmount
from issuer.money import (
    MAX_UNITS,
    fen_to_units,
    format_fen,
    format_units,
    parse_fen,
    parse_units,
    units_to_fen,
    whole_fen,
)

AMOUNTS = st.integers(min_value=1, max_value=9_000_000_000_000_000_000)


@given(AMOUNTS)
def test_units_survive_their_text(units: int) -> None:
    assert parse_units(format_units(units)) == units


@given(AMOUNTS.map(lambda units: units // 10_000 + 1))
def test_fen_survive_their_text(fen: int) -> None:
    assert parse_fen(format_fen(fen)) == fen


@pytest.mark.parametrize(
    ("text", "units"), [("1", 1_000_000), ("1.5", 1_500_000), ("0.000001", 1), ("1000000.00", 10**12)]
)
def test_an_amount_is_read(text: str, units: int) -> None:
    assert parse_units(text) == units


@pytest.mark.parametrize(
    "text",
    ["", "0", "0.000000", "-1", "+1", "1.", ".5", "1.0000001", "1e6", "NaN", "inf", "1,000", " 1", "01", "١",
     "1 CNH", "9300000000000", "99999999999999999999"],
)  # fmt: skip
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidAmount):
        parse_units(text)


def test_bank_money_has_two_decimals() -> None:
    with pytest.raises(InvalidAmount, match="more than 2 decimals"):
        parse_fen("1.001")


def test_a_fraction_of_a_fen_is_not_bank_money() -> None:
    assert units_to_fen(fen_to_units(7)) == 7
    with pytest.raises(InvalidAmount, match="whole number of fen"):
        units_to_fen(10_001)


def test_a_whole_balance_is_paid_rounded_down() -> None:
    assert whole_fen(19_999) == 1


def test_negative_differences_keep_their_sign() -> None:
    assert format_units(-1) == "-0.000001"
    assert format_fen(-150) == "-1.50"


def test_the_largest_amount_fits_a_column() -> None:
    assert parse_units("9223372036853.999999") <= MAX_UNITS
