"""The unit of work: one database transaction, in the name of one actor, at one moment."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError

from issuer import crash
from issuer.clock import Clock
from issuer.errors import Unreachable
from issuer.store import schema

_WROTE = "wrote"

SERVICE = "service"
"""The actor of what the service does by itself; people act as ``operator:NAME``."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    connection: Connection
    actor: str
    now: int  # seconds since 1970 UTC, read once
    random_bytes: Callable[[int], bytes]


class Store:
    """The database behind one URL: SQLite (``sqlite:///path``) or PostgreSQL (``postgresql+psycopg://...``)."""

    def __init__(self, url: str, clock: Clock, *, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self.url = url
        self._clock = clock
        self._random_bytes = random_bytes
        self._engine = _engine(url)

    def migrate(self) -> None:
        """Bring the schema to this version's."""
        schema.migrate(self._engine)

    def check(self) -> None:
        """Raise Misconfigured if the database has another version's schema, Unreachable if it does not answer."""
        with self.read() as connection:
            schema.check(connection)

    @contextmanager
    def unit(self, name: str, actor: str = SERVICE) -> Iterator[Unit]:
        """Open a unit of work; commit at the end of the block, or roll all of it back on any error."""
        with self._connection().execution_options(writes=True) as connection:
            transaction = connection.begin()
            try:
                yield Unit(
                    connection=connection,
                    actor=actor,
                    now=self._clock.now(),
                    random_bytes=self._random_bytes,
                )
                # A unit that wrote nothing ends like a read: there is no commit to crash at.
                if connection.info.pop(_WROTE, False):
                    with crash.around(f"commit {name}"):
                        transaction.commit()
            finally:
                transaction.close()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view, changing nothing."""
        with self._connection() as connection:
            if connection.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    def close(self) -> None:
        self._engine.dispose()

    def _connection(self) -> Connection:
        try:
            return self._engine.connect()
        except OperationalError as error:
            raise Unreachable(f"the database does not answer: {error.orig}") from error


def _engine(url: str) -> Engine:
    if url.startswith("sqlite"):
        engine = create_engine(url, connect_args={"timeout": 30})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = create_engine(url, isolation_level="READ COMMITTED")
    event.listen(engine, "after_cursor_execute", _note_write)
    return engine


def _note_write(connection: Connection, _cursor: Any, _text: str, _values: Any, context: Any, _many: bool) -> None:
    if context is not None and (context.isinsert or context.isupdate or context.isdelete):
        connection.info[_WROTE] = True


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # SQLAlchemy's own BEGIN below replaces the driver's deferred one.
    connection.isolation_level = None
    # What is erased is overwritten, so that a salt does not live on in a free page.
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads and then writes fails at once under contention.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
