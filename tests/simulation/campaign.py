"""Many runs, in a few processes, and what they met together."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.simulation.run import Report, run
from tests.simulation.stage import Stage

STEPS = 150
_STAGE: list[Stage] = []


@dataclass
class Campaign:
    """What came of the runs so far."""

    began: float = field(default_factory=time.monotonic)
    steps: int = 0
    seeds: int = 0
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)  # runs in which a fault met a state
    points: Counter[str] = field(default_factory=Counter)  # runs that passed a crash point
    failures: list[Report] = field(default_factory=list)

    def add(self, report: Report) -> None:
        self.seeds += 1
        self.steps += report.steps
        self.pairs.update(report.pairs)
        self.points.update(report.points)
        if report.failure is not None:
            self.failures.append(report)

    @property
    def pace(self) -> float:
        """Steps per second."""
        return self.steps / (time.monotonic() - self.began)

    def table(self) -> str:
        """In how many runs each fault (down) met each state (across)."""
        faults, states = sorted({fault for fault, _ in self.pairs}), sorted({state for _, state in self.pairs})
        width = max(map(len, faults), default=0)
        lines = [f"{number:{width}}  {state}" for number, state in enumerate(states, start=1)]
        head = " ".join(f"{number:5}" for number in range(1, len(states) + 1))
        rows = [
            f"{fault:{width}} " + " ".join(f"{self.pairs[fault, state] or '.':>5}" for state in states)
            for fault in faults
        ]
        return "\n".join([*lines, f"{'':{width}} {head}", *rows])


def reports(seeds: Iterable[int], steps: int, processes: int) -> Iterator[Report]:
    """One report a seed, as they end."""
    with multiprocessing.get_context("spawn").Pool(processes, initializer=_open) as pool:
        yield from pool.imap_unordered(_one, ((seed, steps) for seed in seeds))


def _open() -> None:
    import atexit

    _STAGE.append(Stage())
    atexit.register(_STAGE[0].close)


def _one(task: tuple[int, int]) -> Report:
    seed, steps = task
    return run(_STAGE[0], seed, steps)
