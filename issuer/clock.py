"""The clock port: the only source of time."""

import time
from datetime import UTC, datetime
from typing import Protocol


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
