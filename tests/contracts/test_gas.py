"""What the acts of every day cost: what docs/gas.json says, and never more than the ceilings."""

import pytest

from issuer.chain.compiler import Compilation
from scripts import gas

# Gas of a whole transaction; "new recipient" is under the open policy.
CEILINGS = {
    "transfer existing recipient": 36_800,
    "transfer new recipient": 53_900,
    "transferFrom finite, existing recipient": 44_500,
    "approve 0->x": 46_200,
    "transferWithAuthorization existing recipient": 67_750,
    "permit first (nonce 0)": 74_800,
    "burn (partial)": 39_500,
    "freeze (holder)": 40_100,
    "mint new recipient": 63_500,
    "mint existing recipient": 63_500,
    "mint per order, batch of 100": 8_300,
}


@pytest.fixture(scope="module")
def figures(compilation: Compilation) -> dict[str, int]:
    return gas.measure(compilation)


def test_the_documented_figures_are_what_is_measured(figures: dict[str, int]) -> None:
    """After a change of the contracts: make gas."""
    assert gas.FIGURES.read_text() == gas.figures_text(figures)
    assert gas.COMPARISON.read_text() == gas.comparison_text(figures)


def test_nothing_costs_more_than_its_ceiling(figures: dict[str, int]) -> None:
    assert {name: figures[name] for name, ceiling in CEILINGS.items() if figures.get(name, 0) > ceiling} == {}
