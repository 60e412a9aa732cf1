"""The databases of a measurement: empty, on a real disk, and durable as in production."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from pgserver.postgres_server import get_server

from issuer.clock import SystemClock
from issuer.store.unit import Store

DISK = "/var/tmp"  # noqa: S108 - kept over a restart, so not in memory; every file has a folder of its own below it


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder on the disk."""
    with tempfile.TemporaryDirectory(dir=DISK, prefix="benchmark-") as name:
        yield Path(name)


@contextmanager
def store(engine: str) -> Iterator[Store]:
    """An empty store of this version's schema on ``sqlite`` or ``postgresql``."""
    with ExitStack() as stack:
        path = stack.enter_context(folder())
        url = f"sqlite:///{path}/issuer.db" if engine == "sqlite" else stack.enter_context(database(path))
        opened = Store(url, SystemClock())
        stack.callback(opened.close)
        opened.migrate()
        opened.check()
        yield opened


@contextmanager
def database(path: Path) -> Iterator[str]:
    """The URL of an empty database on a PostgreSQL of its own, with the settings that it is installed with."""
    server = get_server(path / "postgresql", cleanup_mode="stop")
    try:
        name = f"bench_{uuid.uuid4().hex}"
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        yield server.get_uri().replace("/postgres?", f"/{name}?")
    finally:
        server.cleanup()
