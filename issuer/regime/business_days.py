"""Hong Kong business days and the redemption deadline (requirements R-20 and R-22).

HKMA, Guideline on Supervision of Licensed Stablecoin Issuers, August 2025: a valid redemption request is processed
within one business day; a business day is no Saturday, Sunday, general holiday, gale-warning or black-rainstorm day.
General holidays are those of the General Holidays Ordinance (Cap. 149). A day that a warning closes is entered when it
happens: pass it as `closed`.
"""

from collections.abc import Container, Set
from datetime import date, datetime, timedelta, timezone
from functools import cache

HONG_KONG = timezone(timedelta(hours=8))
"""Hong Kong has kept UTC+8 without summer time since 1979."""

_DAY = timedelta(days=1)
_SATURDAY = 5
_NO_DAYS: frozenset[date] = frozenset()


def is_business_day(day: date, closed: Set[date] = _NO_DAYS) -> bool:
    """Whether the day counts, given the days that a gale or black-rainstorm warning closed."""
    return day.weekday() < _SATURDAY and day not in _general_holidays() and day not in closed


def next_business_day(day: date, closed: Set[date] = _NO_DAYS) -> date:
    """The first business day after that day."""
    following = day + _DAY
    while not is_business_day(following, closed):
        following += _DAY
    return following


def hong_kong_date(seconds: int) -> date:
    """The calendar day in Hong Kong at that second since 1970 UTC."""
    return datetime.fromtimestamp(seconds, HONG_KONG).date()


def redemption_deadline(received: int, closed: Set[date] = _NO_DAYS) -> int:
    """When a redemption received at that second is late: the end of the first business day after its day.

    Both in seconds since 1970 UTC; the deadline is the first second that is too late.
    """
    due = next_business_day(hong_kong_date(received), closed)
    return int(datetime.combine(due + _DAY, datetime.min.time(), HONG_KONG).timestamp())


@cache
def _general_holidays() -> Container[date]:
    # The library reads the calendars of every country to give that of one, so it waits for the first question.
    from holidays.countries.hongkong import HongKong

    # It lists Good Friday, Easter and other general holidays that are not statutory ones as "optional".
    return HongKong(categories=("public", "optional"))
