"""Files that are whole or absent, whenever the process or the machine dies."""

import os
import secrets
from pathlib import Path


def replace(path: Path, body: bytes, *, mode: int = 0o644) -> None:
    """Make a file hold exactly these bytes, synced to disk together with its name; folders are made as needed."""
    _make(path.parent)
    # Two processes may write the same file at once: each writes its own part of it.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync(path.parent)


def _make(folder: Path) -> None:
    """Have a folder, and its own name in the folder above it, on disk."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def sync(folder: Path) -> None:
    """Have a folder's names on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
