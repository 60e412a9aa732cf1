"""The clock port, moved by the test."""

START = 1_790_000_000


class ManualClock:
    """A clock that stands still until the test moves it."""

    def __init__(self, seconds: int = START) -> None:
        self.seconds = seconds

    def now(self) -> int:
        return self.seconds

    def advance(self, seconds: int) -> None:
        self.seconds += seconds
