"""The invariants find faults: each deliberate one is found on the first seeds there are, by what must always be so."""

from collections.abc import Iterator

import pytest

from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.run import run
from tests.simulation.stage import Stage

SEEDS = range(1, 41)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_deliberate_fault_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch, mutant: Mutant) -> None:
    mutant(monkeypatch)
    reports = (run(stage, seed) for seed in SEEDS)
    found = next((report for report in reports if report.failure is not None), None)
    assert found is not None, f"{mutant.__name__} was not found in {len(SEEDS)} seeds"
    assert found.violation, f"{mutant.__name__} does not work at all: {found.failure}"
