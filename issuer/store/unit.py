"""The unit of work: one database transaction, in the name of one actor, at one moment."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, bindparam, create_engine, event, select, text
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

from issuer import crash
from issuer.clock import Clock
from issuer.errors import Misconfigured, Unreachable
from issuer.store import schema
from issuer.store.tables import setting

if TYPE_CHECKING:
    import psycopg

_WROTE = "wrote"
_MOVE = select(setting.c.value).where(setting.c.name == bindparam("name"))

_IS_MOVED = "SELECT value FROM setting WHERE name = ?"  # asked in every unit of work, and so of the driver itself

_CONNECT_TIMEOUT = 10  # seconds for each of the servers that the URL names
_STATEMENTS = 1000  # prepared ones that SQLite's driver keeps; all of the program's are fewer
_IDLE_TIMEOUT = 60_000  # milliseconds; a process that stops in the middle of a unit does not hold others up for ever

MOVED = "moved"
"""The setting that names a move: the SQLite database that has it takes no more writes, the PostgreSQL one goes on."""

SERVICE = "service"
"""The actor of what the service does by itself; people act as ``operator:NAME``."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    connection: Connection
    actor: str
    now: int  # seconds since 1970 UTC, read once
    random_bytes: Callable[[int], bytes]
    recall: Callable[[Any], int] | None = None  # in recovery: the id of the record that was written at the time


class Store:
    """The database behind one URL: SQLite (``sqlite:///path``) or PostgreSQL (a connection URI as libpq reads it).

    Every use raises Unreachable when the database does not answer or undoes a unit: nothing of it was kept then, or
    its commit was not acknowledged, and whoever asks again finds out.
    """

    def __init__(self, url: str, clock: Clock, *, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self.url = url
        self._clock = clock
        self._random_bytes = random_bytes
        self._engine = _engine(url)
        self._idle: dict[bool, list[Connection]] = {True: [], False: []}  # by whether they write

    def migrate(self) -> None:
        """Bring the schema to this version's."""
        schema.migrate(self._engine)

    def check(self) -> None:
        """Raise Misconfigured if the database has another version's schema, or is not fit to keep what it is told."""
        with self.read() as connection:
            schema.check(connection)
            _require_fit(connection)

    @contextmanager
    def unit(self, name: str, actor: str = SERVICE) -> Iterator[Unit]:
        """Open a unit of work; commit at the end of the block, or roll all of it back on any error.

        Raises Misconfigured in a database that was moved.
        """
        with _answering(), self._connection(writes=True) as connection:
            transaction = connection.begin()
            try:
                _require_home(connection)
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
        with _answering(), self._connection(writes=False) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        self._forget()
        self._engine.dispose()

    @contextmanager
    def _connection(self, *, writes: bool) -> Iterator[Connection]:
        """A connection for one use. It is kept for the next; after an error none is, since others may be dead too."""
        kept = self._idle[writes]
        try:
            connection = kept.pop()
        except IndexError:  # asked for by trying, so that two threads never get the same one
            connection = self._open(writes=writes)
        try:
            yield connection
        except BaseException:
            connection.close()
            self._forget()
            raise
        kept.append(connection)

    def _forget(self) -> None:
        for kept in self._idle.values():
            while kept:
                kept.pop().close()

    def _open(self, *, writes: bool) -> Connection:
        connection = self._engine.connect().execution_options(writes=writes)
        if connection.dialect.name == "postgresql" and not writes:
            connection.execution_options(isolation_level="REPEATABLE READ")
        return connection


@contextmanager
def _answering() -> Iterator[None]:
    """What is no fault of a statement is silence."""
    try:
        yield
    except (OperationalError, InterfaceError, InternalError) as error:
        reason = str(error.orig).strip().partition("\n")[0]
        if "readonly database" in reason:
            what = "the database may not be written by this user"
            raise Unreachable(what, "Give the user that runs this its file and its folder.") from error
        raise Unreachable(f"the database does not answer: {reason}") from error


def move_of(connection: Connection) -> str | None:
    """The move that was made from this database, or into it."""
    return connection.execute(_MOVE, {"name": MOVED}).scalar()


def _require_home(connection: Connection) -> None:
    # A process that waited while it was moved, or was started then, must not write to what was left behind.
    if connection.dialect.name != "sqlite":
        return
    if connection.connection.cursor().execute(_IS_MOVED, (MOVED,)).fetchone() is not None:
        raise Misconfigured(
            "this database was moved to a server, and takes no more writes",
            "Start it again with the home's settings. If they still name this one, repeat `issuer move` as it was.",
        )


def _require_fit(connection: Connection) -> None:
    """Raise Misconfigured if PostgreSQL may lose a commit that it acknowledges, or does not know what a letter is."""
    if connection.dialect.name != "postgresql":
        return
    for name in ("fsync", "synchronous_commit"):
        if _setting(connection, name) == "off":
            what = f"the database runs with {name} = off, and forgets acknowledged commits in a crash"
            raise Misconfigured(what, f"Set {name} to on, for the server or for this role.")
    encoding = _setting(connection, "server_encoding")
    if encoding != "UTF8":
        what = f"the database's encoding is {encoding}, not UTF8"
        raise Misconfigured(what, "Make it with CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0.")


def _setting(connection: Connection, name: str) -> str:
    return str(connection.scalar(text("SELECT current_setting(:name)"), {"name": name}))


def _engine(url: str) -> Engine:
    if url.startswith("sqlite"):
        engine = create_engine(url, connect_args={"timeout": 30, "cached_statements": _STATEMENTS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = create_engine("postgresql+psycopg://", creator=lambda: _connect(url), isolation_level="READ COMMITTED")
    event.listen(engine, "after_cursor_execute", _note_write)
    return engine


def _note_write(connection: Connection, _cursor: Any, text_: str, _values: Any, context: Any, _many: bool) -> None:
    # What is written for many rows is given to the driver as text.
    as_text = text_.startswith(("INSERT", "UPDATE", "DELETE"))
    if as_text or (context is not None and (context.isupdate or context.isdelete)):
        connection.info[_WROTE] = True


def _connect(url: str) -> "psycopg.Connection[Any]":
    """A connection by libpq, which tries the servers that the URI names in turn (PostgreSQL manual, 32.1.1)."""
    # A home with SQLite does not wait for the driver.
    import psycopg
    from psycopg import sql
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from psycopg.types.array import ListBinaryDumper

    url = url.replace("postgresql+psycopg:", "postgresql:", 1)
    wait = conninfo_to_dict(url).get("connect_timeout", _CONNECT_TIMEOUT)
    made = psycopg.connect(make_conninfo(url, connect_timeout=wait, client_encoding="UTF8"))
    # Sets of rows are sent as arrays; as text, each of their bytes would be looked at twice.
    made.adapters.register_dumper(list, ListBinaryDumper)
    made.execute(sql.SQL("SET idle_in_transaction_session_timeout = {}").format(_IDLE_TIMEOUT))
    made.commit()
    return made


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # SQLAlchemy's own BEGIN below replaces the driver's deferred one.
    connection.isolation_level = None
    # What is erased is overwritten, so that a salt does not live on in a free page.
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads and then writes fails at once under contention.
    if connection.get_execution_options().get("writes", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        # It takes no lock yet, so there is nothing that could be refused.
        connection.connection.cursor().execute("BEGIN")
