"""`make bench`: every measurement, or those that are named, into docs/benchmarks.json and docs/benchmarks.md."""

import sys
import time

from tests.anvil import ROOT
from tests.benchmarks import page
from tests.benchmarks.catalogue import LONG, MEASUREMENTS

FIGURES = ROOT / "docs" / "benchmarks.json"
PAGE = ROOT / "docs" / "benchmarks.md"


def main(names: list[str]) -> int:
    known = {measurement.name: measurement for measurement in (*MEASUREMENTS, *LONG)}
    unknown = set(names) - known.keys()
    if unknown:
        print(f"no such measurement: {', '.join(sorted(unknown))}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    figures = page.load(FIGURES)
    for name in names or [measurement.name for measurement in MEASUREMENTS]:
        began = time.monotonic()
        found = known[name].measure()
        page.merge(figures, known[name], found)
        print(f"{name}, in {time.monotonic() - began:.0f} seconds", flush=True)
        for line in known[name].lines:
            verdict = "" if page.met(found[line.name], line.goal) else f"  NOT {line.goal}"
            print(f"  {line.name:44} {page.shown(found[line.name]):>12} {line.unit}{verdict}", flush=True)
        FIGURES.write_text(page.dump(figures, list(known.values())))
        PAGE.write_text(page.print_page(figures, list(known.values())))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
