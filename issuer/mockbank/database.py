"""One SQLite file, written in units of work that are on disk when they end."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from issuer import crash
from issuer.errors import Unreachable

_PATIENCE = 30  # seconds to wait for another process's unit of work


class Database:
    """A connection to the file. Writers take turns: each unit holds the write lock from its start (BEGIN IMMEDIATE)."""

    def __init__(self, path: Path, schema: str) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=_PATIENCE)
        self.connection.row_factory = sqlite3.Row
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.connection.executescript(schema)

    @contextmanager
    def unit(self, name: str) -> Iterator[sqlite3.Connection]:
        """All of it is committed, between two crash points, or nothing. Raises Unreachable while the file is locked."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise Unreachable(f"the bank's database is busy: {error}") from error
        try:
            yield self.connection
            with crash.around(f"{name} commit"):
                self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        self.connection.close()


def next_number(connection: sqlite3.Connection, counter: str) -> int:
    """The next number of a gapless sequence, from 1: taken only if the unit commits."""
    statement = """
        INSERT INTO counter (name, value) VALUES (?, 1)
        ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value
    """
    return int(connection.execute(statement, (counter,)).fetchone()["value"])


COUNTERS = """
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
"""
