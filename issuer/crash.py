"""Named crash points: where a process may die between an effect and its record.

Every commit and every call that changes something outside stands between two points. Production installs no
observer; a test installs one that ends the process at the point it names, so a new point is tested as soon as
it exists.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_observer: Callable[[str], None] | None = None


def observe(observer: Callable[[str], None] | None) -> None:
    """Install the observer that is told of every point passed, or remove it with None."""
    global _observer
    _observer = observer


def point(name: str) -> None:
    if _observer is not None:
        _observer(name)


@contextmanager
def around(name: str) -> Iterator[None]:
    """The two points about an effect: ``before <name>`` and ``after <name>``."""
    point(f"before {name}")
    yield
    point(f"after {name}")
