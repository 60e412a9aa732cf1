"""`make simulate SEEDS=first..last`: runs of these seeds, their pace, and which faults met which states.

A run that fails is printed with its trace; its seed alone runs the same again. The exit status is 1 then.
"""

import sys

from tests.simulation.campaign import STEPS, Campaign, reports

_TOLD_EVERY = 25  # runs


def main(text: str) -> int:
    first, _, last = text.partition("..")
    seeds = range(int(first), int(last or first) + 1)
    found = Campaign()
    for report in reports(seeds, STEPS, min(2, len(seeds))):
        found.add(report)
        if report.failure is not None:
            print(report.failure, flush=True)
        if found.seeds % _TOLD_EVERY == 0:
            print(f"{found.seeds} of {len(seeds)} seeds, {found.steps} steps, {found.pace:.0f} a second", flush=True)
    if len(seeds) == 1 and not found.failures:
        print("\n".join(report.trace))
    print(found.table())
    print(f"seeds {text}: {found.steps} steps, {found.pace:.0f} a second, {len(found.failures)} failed")
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
