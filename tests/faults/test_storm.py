"""Real processes are killed under load: each comes back, and nothing is lost or done twice."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from issuer.chain import transactions
from issuer.chain.keystore import Job
from tests.faults.exact import Truth
from tests.faults.rough import NAMES
from tests.faults.town import AUDITOR, BANK, CHAIN, DATABASE, STANDBY, Town
from tests.integration.test_workers import account
from tests.postgres import Server, running

LONG = 210

TWO, FOUR, ROLES = ("all", STANDBY), ("all",) * 4, ("bank", "chain", "operations", "operations")


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


def test_a_standby_takes_over_with_a_key_of_its_own(server: Server, tmp_path: Path) -> None:
    """The machine that mints dies, and nothing of it is needed to go on; when it is back, it stands by."""
    town = Town(tmp_path, TWO, server)
    first, second = town.daemons
    try:
        town.start(BANK)
        town.start(AUDITOR)
        town.start(first)
        town.begin()
        town.start(second)
        town.wire(account(0), NAMES[0], "500.00")
        town.kill(first)
        before = town.balance(town.holders[1])
        town.wire(account(1), NAMES[1], "700.00")
        town.until(lambda: town.balance(town.holders[1]) > before)
        town.start(first)
        truth = town.settle()
        with town.issuer.store.read() as connection:
            signed = {key.role: key.next_nonce for key in transactions.keys(connection)}
        assert signed[Job.SENDER] > 0
        assert signed[Job.STANDBY] > 0
        assert len(truth.wires) == len(NAMES) + 2
        town.command("reconcile")
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
    town, choose = Town(tmp_path, ("all",) * 2, None), Random(7)  # noqa: S311 - a seed, though time is the processes' own
    try:
        truth = live_through(town, choose, town.weather(choose, 60))
        record_property("note", told(town, truth))
    finally:
        town.close()
