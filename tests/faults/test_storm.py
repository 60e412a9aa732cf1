"""Real processes are killed under load: each comes back, and nothing is lost or done twice."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.faults.exact import Truth
from tests.faults.town import Town
from tests.postgres import Server, running

SHORT, LONG = 8, 210


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        yield server


def weather(town: Town, choose: Random, kills: int) -> Truth:
    """A town is founded, lives through a storm, and comes to rest."""
    town.open_all()
    town.begin()
    town.storm(choose, kills)
    truth = town.settle()
    town.command("reconcile")
    town.command("audit", "verify")
    return truth


def told(town: Town, truth: Truth) -> str:
    numbers = ", ".join(f"{count} {name}" for name, count in town.kills.items() if count)
    return (
        f"storm: killed {numbers}; {len(truth.wires)} wires, {truth.next_number - 1} orders in "
        f"{len(truth.mints)} mints, {len(truth.burns)} burns paid; all agrees"
    )


@pytest.mark.parametrize(
    ("roles", "kills"),
    [
        pytest.param(("all", "all"), SHORT, id="two"),
        pytest.param(("all",) * 4, 60, id="four", marks=pytest.mark.slow),
        pytest.param(("bank", "chain", "operations", "operations"), 60, id="roles", marks=pytest.mark.slow),
        pytest.param(("all", "all"), LONG, id="long", marks=pytest.mark.slow),
    ],
)
def test_a_storm_on_postgresql(
    server: Server, tmp_path: Path, roles: tuple[str, ...], kills: int, record_property: Any
) -> None:
    town = Town(tmp_path, roles, server)
    try:
        truth = weather(town, Random(kills), kills)  # noqa: S311 - a seed, though processes keep their own time
        assert len(truth.wires) > kills
        record_property("note", told(town, truth))
    finally:
        town.close()


@pytest.mark.slow
def test_a_storm_on_sqlite(tmp_path: Path, record_property: Any) -> None:
    """Two daemons of one home, with the database in it."""
    town = Town(tmp_path, ("all", "all"), None)
    try:
        truth = weather(town, Random(7), 60)  # noqa: S311 - a seed, though processes keep their own time
        record_property("note", told(town, truth))
    finally:
        town.close()
