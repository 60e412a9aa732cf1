"""Parts that every kind of test starts from: a clock that the test moves, and real stores of both kinds."""

import random
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from issuer.store.unit import Store
from tests import postgres, shell
from tests.anvil import TestChain
from tests.anvil import run as anvil_run
from tests.clock import ManualClock
from tests.sandbox import Sandbox, Snapshot, opened, prepare
from tests.world import World

LONGEST = (
    "tests/faults/test_storm.py",
    "tests/faults/test_crash_points.py",
    "tests/simulation/test_simulation.py",
    "tests/acceptance/test_walkthrough.py",
    "tests/integration/test_restore.py",
    "tests/simulation/test_mutants.py",
    "tests/acceptance/test_powers_walk.py",
    "tests/acceptance/test_verify_walk.py",
    "tests/integration/test_sender.py",
    "tests/integration/test_deployment.py",
    "tests/acceptance/test_operations_document.py",
    "tests/integration/test_powers.py",
    "tests/contracts/test_forge.py",
)
"""Where the longest tests are. They begin first, so that none is left alone at the end."""

DIVIDED = {
    "tests/faults/test_storm.py",
    "tests/faults/test_crash_points.py",
    "tests/simulation/test_simulation.py",
}
"""Files whose tests may run in several processes; the tests of any other share what they start from."""

# How long a test takes says nothing about what it tests.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a real PostgreSQL server that ends with the tests."""
    with postgres.running() as server:
        yield f"{server.url()}?connect_timeout=60"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without rows on each engine in turn."""
    return f"sqlite:///{tmp_path}/issuer.db" if request.param == "sqlite" else _database(request)


@pytest.fixture
def store(database_url: str, clock: ManualClock) -> Iterator[Store]:
    """An empty store with this version's schema, on each engine in turn; salts come from a seed."""
    store = Store(database_url, clock, random_bytes=random.Random(1).randbytes)  # noqa: S311 - a seed, so that a test repeats
    store.migrate()
    yield store
    store.close()


@pytest.fixture(scope="session")
def pattern(postgresql: str) -> str:
    """The name of a database with this version's schema, of which others are copies: that takes less than making it."""
    store = Store(_create(postgresql, name := "pattern"), ManualClock())
    store.migrate()
    store.close()
    return name


def _database(request: pytest.FixtureRequest) -> str:
    server, pattern = (str(request.getfixturevalue(name)) for name in ("postgresql", "pattern"))
    return _create(server, f"test_{uuid.uuid4().hex}", pattern)


def _create(server: str, name: str, pattern: str = "template1") -> str:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{pattern}"'.encode())
    return server.replace("postgresql://", "postgresql+psycopg://", 1).replace("/postgres?", f"/{name}?")


@pytest.fixture
def anvil() -> Iterator[TestChain]:
    """A real chain that mines when the test says so, and where three blocks make a transaction final."""
    with anvil_run() as chain:
        yield chain


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A deployed world that grows older with each test of a module, and that the command line finds as its own."""
    with pytest.MonkeyPatch.context() as monkeypatch, anvil_run() as chain:
        folder = tmp_path_factory.mktemp("world")
        shell.enter(monkeypatch, folder, chain.url)
        made = World.create(folder, chain)
        yield made
        made.close()


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """A home with its contracts on a chain, to be continued by each test on its own."""
    return prepare(tmp_path_factory.mktemp("deployed"))


@pytest.fixture
def sandbox(
    request: pytest.FixtureRequest, deployed: Snapshot, tmp_path: Path, clock: ManualClock
) -> Iterator[Sandbox]:
    """The deployed system with a store on SQLite, or on PostgreSQL if the test's parameter says so."""
    engine = getattr(request, "param", "sqlite")
    url = f"sqlite:///{tmp_path}/issuer.db" if engine == "sqlite" else _database(request)
    with opened(deployed, tmp_path, url, clock) as found:
        yield found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    rank = {file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(_file(item.nodeid), len(rank)))


class _ByFile(LoadScopeScheduling):
    """Deals files to processes, the next to whichever is free: the tests of a file may go on where others ended."""

    def _split_scope(self, nodeid: str) -> str:
        file = _file(nodeid)
        return nodeid if file in DIVIDED else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    config.option.loadscopereorder = False
    return _ByFile(config, log)


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests have measured, also those that ran in another process."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "note":
                terminalreporter.write_line(str(value))
