"""docs/benchmarks.json holds what was measured; docs/benchmarks.md is printed from it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Line, Measurement, Value

Figures = dict[str, dict[str, Any]]
"""name -> {value, unit, goal}"""

_HEAD = """# Benchmarks

Written by `make bench` from what it measures, on one machine that everything shares: the figures stand in
[benchmarks.json](benchmarks.json), and this page is printed from them. One measurement alone is
`.venv/bin/python -m tests.benchmarks NAME`. Nothing runs before a measurement that is not named in it, and ratios are
of two things measured in one run. Times are of the wall clock. A goal that is not met is marked so.
"""


def load(path: Path) -> Figures:
    found: Figures = json.loads(path.read_text()) if path.exists() else {}
    return found


def merge(known: Figures, measurement: Measurement, found: Mapping[str, Value]) -> None:
    for line in measurement.lines:
        value = found[line.name]
        plain = float(value) if isinstance(value, Decimal) else value
        known[line.name] = {"value": plain, "unit": line.unit, "goal": line.goal}


def dump(figures: Figures, measurements: Sequence[Measurement]) -> str:
    """The figures that are still measured, in the order of the page."""
    names = [line.name for measurement in measurements for line in measurement.lines if line.name in figures]
    return json.dumps({name: figures[name] for name in names}, indent=1) + "\n"


def print_page(figures: Figures, measurements: Sequence[Measurement]) -> str:
    parts = [_HEAD]
    for measurement in measurements:
        lines = [line for line in measurement.lines if line.name in figures]
        if lines:
            parts.append(f"\n## {measurement.title}\n\n{measurement.text.strip()}\n")
            parts.append("\n".join(["", *_table([_row(line, figures[line.name]) for line in lines]), ""]))
    return "".join(parts)


def met(value: Any, goal: str | None) -> bool:
    """Whether a figure is as it should be; one without a goal is."""
    if goal is None:
        return True
    comparison, _, bound = goal.partition(" ")
    return Decimal(str(value)) >= Decimal(bound) if comparison == ">=" else Decimal(str(value)) <= Decimal(bound)


def shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _row(line: Line, found: Mapping[str, Any]) -> tuple[str, ...]:
    measured = f"{shown(found['value'])} {found['unit']}".strip()
    goal = found["goal"] or ""
    verdict = "" if not goal else ("yes" if met(found["value"], goal) else "**no**")
    return line.what, measured, goal, verdict, f"`{line.name}`"


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """An aligned Markdown table."""
    heads = ("what", "measured", "goal", "met", "name")
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    rule = tuple("-" * (width - 1) + (":" if place == 1 else "-") for place, width in enumerate(widths))
    for row in (heads, rule, *rows):
        cells = (
            cell.rjust(width) if place == 1 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield f"| {' | '.join(cells)} |"
