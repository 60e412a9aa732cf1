"""The page of the benchmarks says what their figures say, and every promised figure is there."""

import json
from decimal import Decimal

import pytest

from tests.anvil import ROOT
from tests.benchmarks import page
from tests.benchmarks.catalogue import MEASUREMENTS
from tests.benchmarks.figures import Line, Measurement, rate, ratio

PROMISED = {
    "mint_orders_per_second": ">= 800",
    "mint_ratio_pipelined": ">= 2",
    "ledger_postgresql_per_second": ">= 15000",
    "ledger_postgresql_ratio": ">= 15",
    "ledger_sqlite_per_second": ">= 40000",
    "audit_sqlite_per_second": ">= 20000",
    "audit_postgresql_per_second": ">= 20000",
    "watcher_events_per_second": ">= 20000",
    "order_latency_ms": "<= 100",
    "growth_ratio": "<= 1.5",
    "daemon_megabytes": "<= 300",
}


def test_the_page_is_printed_from_the_figures() -> None:
    figures = page.load(ROOT / "docs" / "benchmarks.json")
    assert (ROOT / "docs" / "benchmarks.md").read_text() == page.print_page(figures, MEASUREMENTS)


def test_every_promised_figure_is_there_with_its_goal() -> None:
    figures = json.loads((ROOT / "docs" / "benchmarks.json").read_text())
    assert {name: figures[name]["goal"] for name in PROMISED} == PROMISED
    assert all(found.keys() == {"value", "unit", "goal"} for found in figures.values())


def test_names_are_of_one_figure_only() -> None:
    names = [line.name for measurement in MEASUREMENTS for line in measurement.lines]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("value", "goal", "met"),
    [(15000, ">= 15000", True), (14999.9, ">= 15000", False), (1.5, "<= 1.5", True), (1.51, "<= 1.5", False)],
)
def test_a_goal_is_met_or_not(value: float, goal: str, met: bool) -> None:
    assert page.met(value, goal) is met


def test_a_missed_goal_is_shown_as_missed() -> None:
    line = Line(name="speed", what="a thing", unit="things/s", at_least=Decimal(10))
    measured = Measurement(name="m", title="M", text="How.", lines=(line,), run=lambda: {"speed": 9})
    figures: page.Figures = {}
    page.merge(figures, measured, measured.measure())
    assert figures == {"speed": {"value": 9, "unit": "things/s", "goal": ">= 10"}}
    assert "| a thing | 9 things/s | >= 10 | **no** | `speed` |" in page.print_page(figures, [measured])


def test_a_run_that_leaves_a_figure_out_is_no_measurement() -> None:
    line = Line(name="speed", what="a thing", unit="things/s")
    with pytest.raises(AssertionError):
        Measurement(name="m", title="M", text="", lines=(line,), run=dict).measure()


def test_figures_are_rounded_to_three_digits() -> None:
    assert (rate(123_456, 10), ratio(1, 3), rate(5, 1)) == (12_300, Decimal("0.333"), 5)
