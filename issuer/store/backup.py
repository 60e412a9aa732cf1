"""Backup and restore of a SQLite database: one consistent copy while others write, and its return in recovery.

PostgreSQL has its own means (pg_dump, base backups); what comes back from them begins its recovery with `restore` too,
or by itself when the log folder turns out to be ahead.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from issuer import crash, files
from issuer.clock import utc
from issuer.errors import Conflict, InvalidInput, Misconfigured, Refused

_PREFIX = "sqlite:///"
_AT = "backed_up_at"
_BUSY = 2.0  # seconds


def path_of(url: str) -> Path:
    """The file of a SQLite database. Raises Misconfigured for another one."""
    if not url.startswith(_PREFIX):
        raise Misconfigured(
            "the database is not SQLite, and is copied by its own means",
            "Use pg_dump or a base backup; after bringing one back, run `issuer restore` without a file.",
        )
    return Path(url.removeprefix(_PREFIX))


def save(url: str, target: Path, now: int) -> None:
    """Write one consistent copy of the database, which may be in use (sqlite3's backup API); readable by its owner.

    Raises Misconfigured, or Conflict if the file exists.
    """
    source = path_of(url)
    if target.exists():
        raise Conflict(f"{target} exists already", "Give a name that is not taken: a backup is never overwritten.")
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    with _open(source) as live, _open(part) as copy:
        live.backup(copy)
        # One file without a journal beside it.
        copy.execute("PRAGMA journal_mode = DELETE")
        with copy:
            copy.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", (_AT, str(now)))
    _place(part, target, "backup.write")


def saved_at(backup: Path) -> int:
    """When a backup was made, in seconds since 1970 UTC. Raises InvalidInput for a file that is none."""
    if not backup.is_file():
        raise InvalidInput(f"there is no file {backup}", "Give the file that `issuer backup` wrote.")
    try:
        with _open(backup) as copy:
            (state,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
            row = copy.execute("SELECT value FROM setting WHERE name = ?", (_AT,)).fetchone()
    except sqlite3.DatabaseError as error:
        raise InvalidInput(f"{backup} is no backup: {error}", "Give the file that `issuer backup` wrote.") from error
    if state != "ok" or row is None:
        raise InvalidInput(f"{backup} is damaged, or no backup", "Give the file that `issuer backup` wrote.")
    return int(row[0])


def prepare(url: str, backup: Path) -> Path:
    """Lay a copy of a backup beside the database, to be put into recovery before it takes the database's place."""
    target = path_of(url)
    ready = target.with_name(f".{target.name}.restored")
    ready.unlink(missing_ok=True)
    ready.touch(mode=0o600)
    with _open(backup) as source, _open(ready) as copy:
        source.backup(copy)
    return ready


def put_in_place(url: str, ready: Path, now: int) -> Path | None:
    """Let a prepared copy be the database; where the one that was there lies now, if there was one.

    Raises Refused while a process has the database open.
    """
    target = path_of(url)
    kept = target.with_name(f"{target.name}.before-{utc(now).replace(':', '')}") if target.exists() else None
    if kept is not None:
        _settle(target)
        _place(target, kept, "restore.keep")
    # What is left of one that was lost without them would be played into the copy.
    for ending in ("-wal", "-shm", "-journal"):
        target.with_name(target.name + ending).unlink(missing_ok=True)
    _place(ready, target, "restore.place")
    return kept


def require_idle(url: str) -> None:
    """Raise Refused while a process has the database open."""
    _settle(path_of(url))


def _settle(path: Path) -> None:
    """Bring a database into its one file. Raises Refused while another process uses it."""
    try:
        with _open(path) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        raise Refused(f"the database is in use: {error}", "End `issuer run` and every other command first.") from error
    except sqlite3.DatabaseError:
        # It cannot be read, which may be why another one is restored; its journals go with it.
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _place(source: Path, target: Path, effect: str) -> None:
    with source.open("rb+") as file:
        os.fsync(file.fileno())
    with crash.around(effect):
        source.replace(target)
        files.sync(target.parent)


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, timeout=_BUSY)) as connection:
        yield connection
