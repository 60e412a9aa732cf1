"""Real processes are killed under load: each comes back, and nothing is lost or done twice."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.faults.exact import Truth
from tests.faults.town import BANK, CHAIN, DATABASE, Town
from tests.postgres import Server, running

LONG = 210

TWO, FOUR, ROLES = ("all",) * 2, ("all",) * 4, ("bank", "chain", "operations", "operations")


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        yield server


def live_through(town: Town, choose: Random, weather: Iterable[str]) -> Truth:
    """A town is founded, lives through a storm, and comes to rest."""
    town.open_all()
    town.begin()
    town.storm(choose, weather)
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


def test_each_part_dies_once(server: Server, tmp_path: Path, record_property: Any) -> None:
    town = Town(tmp_path, TWO, server)
    try:
        weather = (town.daemons[0], CHAIN, DATABASE, BANK, town.daemons[1])
        truth = live_through(town, Random(1), weather)  # noqa: S311 - a seed, though processes keep their own time
        record_property("note", told(town, truth))
    finally:
        town.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("roles", "kills"), [(TWO, LONG), (FOUR, 60), (ROLES, 60)], ids=["two daemons", "four daemons", "one for each role"]
)
def test_a_storm_on_postgresql(
    server: Server, tmp_path: Path, roles: tuple[str, ...], kills: int, record_property: Any
) -> None:
    town, choose = Town(tmp_path, roles, server), Random(kills)  # noqa: S311 - a seed, though time is the processes' own
    try:
        truth = live_through(town, choose, town.weather(choose, kills))
        assert len(truth.wires) > kills
        record_property("note", told(town, truth))
    finally:
        town.close()


@pytest.mark.slow
def test_a_storm_on_sqlite(tmp_path: Path, record_property: Any) -> None:
    """Two daemons of one home, with the database in it."""
    town, choose = Town(tmp_path, TWO, None), Random(7)  # noqa: S311 - a seed, though time is the processes' own
    try:
        truth = live_through(town, choose, town.weather(choose, 60))
        record_property("note", told(town, truth))
    finally:
        town.close()
