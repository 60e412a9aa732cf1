"""The bank folder: the only way to and from the bank and the auditor. Files appear whole or not at all, and stay."""

import os
from pathlib import Path
from typing import Protocol

from issuer import crash, files
from issuer.errors import Unreachable


class BankFolder(Protocol):
    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder, sorted. Raises Unreachable."""
        ...

    def read(self, folder: str, name: str) -> bytes:
        """A file's bytes. Raises Unreachable."""
        ...

    def write(self, folder: str, name: str, body: bytes) -> None:
        """Make a file appear whole, synced to disk; the same bytes may be written again. Raises Unreachable."""
        ...


class DirectoryFolder:
    """A bank folder in the local file system."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self, folder: str) -> list[str]:
        try:
            with os.scandir(self._path / folder) as entries:
                files_there = [entry.name for entry in entries if entry.is_file()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unreachable(f"the bank folder cannot be read: {error}") from error
        return sorted(name for name in files_there if not name.startswith("."))

    def read(self, folder: str, name: str) -> bytes:
        try:
            return (self._path / folder / name).read_bytes()
        except OSError as error:
            raise Unreachable(f"the bank folder cannot be read: {error}") from error

    def write(self, folder: str, name: str, body: bytes) -> None:
        try:
            with crash.around(f"write {folder}"):
                files.replace(self._path / folder / name, body)
        except OSError as error:
            raise Unreachable(f"the bank folder cannot be written: {error}") from error
