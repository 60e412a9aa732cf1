"""How a program that stays is asked to end: SIGINT or SIGTERM, heeded between two rounds of its work."""

import signal
import threading
from types import FrameType


class Ending:
    """Catches both signals from now on."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    def wait(self, seconds: float) -> None:
        """Pause, but no longer than until somebody asks."""
        self._asked.wait(seconds)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked.set()
