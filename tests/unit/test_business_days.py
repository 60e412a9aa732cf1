"""Hong Kong business days against the published lists."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.regime.business_days import HONG_KONG, is_business_day, next_business_day, redemption_deadline

CASES = json.loads((Path(__file__).parents[1] / "vectors" / "hk_business_days.json").read_text())["cases"]

# Day by month: www.gov.hk/en/about/abouthk/holiday/2026.htm
GENERAL_HOLIDAYS_2026 = {
    1: [1],
    2: [17, 18, 19],
    4: [3, 4, 6, 7],
    5: [1, 25],
    6: [19],
    7: [1],
    9: [26],
    10: [1, 19],
    12: [25, 26],
}

days = st.dates(date(2025, 1, 1), date(2035, 12, 31))


@pytest.mark.parametrize("case", CASES, ids=[case["why"] for case in CASES])
def test_the_vectors(case: dict[str, Any]) -> None:
    closed = {date.fromisoformat(day) for day in case["closed"]}
    assert next_business_day(date.fromisoformat(case["received"]), closed) == date.fromisoformat(case["due"])


def test_every_day_of_2026_is_as_published() -> None:
    holidays = {date(2026, month, day) for month, listed in GENERAL_HOLIDAYS_2026.items() for day in listed}
    for offset in range(365):
        day = date(2026, 1, 1) + timedelta(days=offset)
        assert is_business_day(day) == (day.weekday() < 5 and day not in holidays), day


@given(days, st.sets(days, max_size=5))
def test_no_business_day_is_skipped(day: date, closed: set[date]) -> None:
    due = next_business_day(day, closed)
    between = [day + timedelta(days=step) for step in range(1, (due - day).days)]
    assert is_business_day(due, closed)
    assert not any(is_business_day(each, closed) for each in between)


def test_the_day_of_receipt_is_hong_kongs() -> None:
    """23:59 on a Thursday in Hong Kong is Thursday, though it is 15:59 UTC; a second past midnight is Friday."""
    thursday = datetime(2026, 9, 24, 23, 59, 59, tzinfo=HONG_KONG)
    friday_ends = datetime(2026, 9, 26, tzinfo=HONG_KONG)
    monday_ends = datetime(2026, 9, 29, tzinfo=HONG_KONG)
    received = int(thursday.timestamp())
    assert redemption_deadline(received) == int(friday_ends.timestamp())
    assert redemption_deadline(received + 1) == int(monday_ends.timestamp())


def test_a_warning_day_moves_the_deadline() -> None:
    received = int(datetime(2026, 9, 22, 12, tzinfo=HONG_KONG).timestamp())
    assert redemption_deadline(received, {date(2026, 9, 23)}) - redemption_deadline(received) == 24 * 3600
