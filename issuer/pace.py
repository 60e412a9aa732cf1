"""How soon a program that repeats its work looks again: at once, soon, or in a while."""

_SOON, _LATER = 0.05, 0.3  # seconds
_SLOWER = 1.5  # times as long, for each time that it found nothing


class Pace:
    """What happened just now is often answered soon; a program that has rested for long may rest a little longer."""

    def __init__(self) -> None:
        self._pause = _LATER

    def after(self, done: int) -> float:
        """Seconds to pause after a round that did so many things."""
        if done:
            self._pause = _SOON
            return 0.0
        pause = self._pause
        self._pause = min(pause * _SLOWER, _LATER)
        return pause
