"""Files that are whole or absent, whenever the process or the machine dies."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path


def replace(path: Path, body: bytes, *, mode: int = 0o644) -> None:
    """Make a file hold exactly these bytes, synced to disk together with its name; folders are made as needed."""
    replace_all({path: body}, mode=mode)


def replace_all(bodies: Mapping[Path, bytes], *, mode: int = 0o644) -> None:
    """Make each file hold exactly its bytes. All are on disk before the first appears, and all names when this returns.

    Many at once take the disk a fraction of the time, because it writes while the next is being asked for.
    """
    # Two processes may write the same file at once: each writes its own part of it.
    parts = {path: path.with_name(f".{path.name}.{secrets.token_hex(4)}.part") for path in bodies}
    folders = {path.parent for path in bodies}
    try:
        for folder in folders:
            _make(folder)
        for path, part in parts.items():
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(bodies[path])
        for part in parts.values():
            sync(part)
        for path, part in parts.items():
            part.replace(path)
    except BaseException:
        for part in parts.values():
            part.unlink(missing_ok=True)
        raise
    for folder in folders:
        sync(folder)


def _make(folder: Path) -> None:
    """Have a folder, and its own name in the folder above it, on disk."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def sync(path: Path) -> None:
    """Have a file's bytes, or a folder's names, on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
