"""docs/exactly-once.md: what it names exists, and its machines have the states of the code."""

import ast
import re
from enum import StrEnum

import pytest

from issuer.store import states
from tests.anvil import ROOT

TEXT = (ROOT / "docs" / "exactly-once.md").read_text()
MACHINES = {
    "A mint order, and the batch that carries it": [states.OrderState, states.BatchState],
    "A payment": [states.PayoutState],
    "A redemption": [states.RedemptionState],
    "A deposit": [states.DepositState],
    "A reserve report": [states.ReportState],
    "An intent, and the transaction that carries it": [states.IntentState, states.TransactionState],
}


def named(pattern: str) -> list[str]:
    found = sorted(set(re.findall(pattern, TEXT)))
    assert found
    return found


@pytest.mark.parametrize("path", named(r"\b(?:issuer|tests)/[\w/]+\.py"))
def test_every_file_exists(path: str) -> None:
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("name", named(r"\btests/[\w/]+\.py::\w+"))
def test_every_test_exists(name: str) -> None:
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("title", "machines"), MACHINES.items())
def test_the_machines_have_the_states_of_the_code(title: str, machines: list[type[StrEnum]]) -> None:
    diagram = TEXT.split(f"### {title}\n", 1)[1].split("```mermaid\n", 1)[1].split("```", 1)[0]
    drawn = {state for move in re.findall(r"^ *(\S+) --> (\w+)", diagram, re.MULTILINE) for state in move} - {"[*]"}
    assert {state.rstrip("_") for state in drawn} == {state.value for machine in machines for state in machine}


def test_the_ways_out_of_a_nonce_are_those_of_the_code() -> None:
    table = TEXT.split("| way out |", 1)[1].split("\n\n", 1)[0]
    assert {outcome.value for outcome in states.Outcome} <= set(re.findall(r"`(\w+)`", table))


def test_no_line_of_prose_is_left_without_its_test() -> None:
    """Every failure of the table names where it is handled and what shows it."""
    rows = TEXT.split("## What went wrong elsewhere", 1)[1].split("\n## ", 1)[0].splitlines()
    lessons = [row for row in rows if row.startswith("| ") and not row.startswith("| what happened")]
    assert len(lessons) >= 20
    for row in lessons:
        _, _, here, shown, _ = row.split("|")
        assert re.search(r"`issuer/\S+\.py`", here), row
        assert "::test_" in shown, row
