"""The file door: what others have written is taken once by name, what the database says is written as often as needed.

A file is taken in the transaction that acts on it, and an answer is a row before it is a file. So a crash anywhere ends
in the same files with the same bytes.
"""

import sqlite3
from pathlib import Path

from issuer import crash, files
from issuer.errors import BrokenInvariant, Unreachable

_NOUNS = {
    "pain.002": "status",
    "camt.054": "notice",
    "camt.053": "statement",
    "report": "report",
    "refusal": "refusal",
}

SCHEMA = """
CREATE TABLE IF NOT EXISTS taken (
    directory TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (directory, name)
) STRICT;
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY,
    directory TEXT NOT NULL,
    name TEXT NOT NULL,
    body BLOB NOT NULL,
    written INTEGER NOT NULL DEFAULT 0,
    UNIQUE (directory, name)
) STRICT;
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (id) WHERE NOT written;
"""


class Folder:
    """A bank folder in the local file system. Raises Unreachable when it cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self, directory: str) -> list[str]:
        """The names of the whole files in a directory, in the order in which they appeared."""
        try:
            found = [entry for entry in (self.path / directory).iterdir() if not entry.name.startswith(".")]
            return [path.name for path in sorted(found, key=_appeared)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unreachable(f"the bank folder cannot be read: {error}") from error

    def read(self, directory: str, name: str) -> bytes:
        try:
            return (self.path / directory / name).read_bytes()
        except OSError as error:
            raise Unreachable(f"the bank folder cannot be read: {error}") from error

    def write(self, directory: str, name: str, body: bytes) -> None:
        """Make a file appear whole; writing the same again changes nothing."""
        try:
            with crash.around(f"{directory} {_NOUNS.get(name.partition('-')[0], 'key')}"):
                files.replace(self.path / directory / name, body)
        except OSError as error:
            raise Unreachable(f"the bank folder cannot be written: {error}") from error


def _appeared(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def untaken(connection: sqlite3.Connection, folder: Folder, directory: str) -> list[str]:
    """The names in a directory that were not taken yet, oldest first."""
    rows = connection.execute("SELECT name FROM taken WHERE directory = ?", (directory,))
    known = {row["name"] for row in rows}
    return [name for name in folder.names(directory) if name not in known]


def take(connection: sqlite3.Connection, directory: str, name: str) -> bool:
    """Mark a file as taken in this unit; False if another process took it meanwhile."""
    statement = "INSERT INTO taken (directory, name) VALUES (?, ?) ON CONFLICT DO NOTHING"
    return connection.execute(statement, (directory, name)).rowcount == 1


def send(connection: sqlite3.Connection, directories: tuple[str, ...], name: str, body: bytes) -> None:
    """Queue a file for each directory; a name stands for one body for ever."""
    statement = "INSERT INTO outbox (directory, name, body) VALUES (?, ?, ?)"
    try:
        connection.executemany(statement, [(directory, name, body) for directory in directories])
    except sqlite3.IntegrityError as error:
        raise BrokenInvariant(f"{name} was sent before") from error


def waiting(connection: sqlite3.Connection) -> list[sqlite3.Row]:
    """The queued files that may not be written yet, in the order in which they were queued."""
    return connection.execute("SELECT * FROM outbox WHERE NOT written ORDER BY id").fetchall()


def mark_written(connection: sqlite3.Connection, rows: list[sqlite3.Row]) -> None:
    connection.executemany("UPDATE outbox SET written = 1 WHERE id = ?", [(row["id"],) for row in rows])
