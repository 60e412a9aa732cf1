"""`make simulate SEEDS=first..last`: runs of these seeds, their pace, and which faults met which states.

One seed alone shows its trace. A run that fails is printed with its trace, and the exit status is 1; its seed alone
runs the same again.
"""

import re
import sys

from tests.simulation.campaign import STEPS, Campaign, reports

_SEEDS = re.compile(r"(\d+)(?:\.\.(\d+))?", re.ASCII)
_TOLD_EVERY = 25  # runs


def main(text: str) -> int:
    seeds = _seeds(text)
    if not seeds:
        print(f"SEEDS={text} names no seeds: give a number, or two in order, such as SEEDS=1..200", file=sys.stderr)
        return 2
    found = Campaign()
    for report in reports(seeds, STEPS, min(2, len(seeds))):
        found.add(report)
        if report.failure is not None:
            print(report.failure, flush=True)
        elif len(seeds) == 1:
            print("\n".join(report.trace))
        if found.seeds % _TOLD_EVERY == 0:
            print(f"{found.seeds} of {len(seeds)} seeds, {found.steps} steps, {found.pace:.0f} a second", flush=True)
    print(found.table())
    print(f"seeds {text}: {found.steps} steps, {found.pace:.0f} a second, {len(found.failures)} failed")
    return 1 if found.failures else 0


def _seeds(text: str) -> range:
    """The seeds that were asked for; none if they were asked for in another form."""
    given = _SEEDS.fullmatch(text)
    return range(int(given[1]), int(given[2] or given[1]) + 1) if given else range(0)


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
