"""The clock port: the only source of time."""

import time
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Protocol

HONG_KONG = timezone(timedelta(hours=8))
"""Hong Kong has kept UTC+8 without summer time since 1979."""


class Clock(Protocol):
    def now(self) -> int:
        """Seconds since 1970-01-01 UTC."""
        ...


class SystemClock:
    def now(self) -> int:
        return int(time.time())


def utc(seconds: int) -> str:
    """A time as RFC 3339 text in UTC, such as ``2026-11-23T08:30:00Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def hong_kong_date(seconds: int) -> date:
    """The calendar day in Hong Kong at that second."""
    return datetime.fromtimestamp(seconds, HONG_KONG).date()
