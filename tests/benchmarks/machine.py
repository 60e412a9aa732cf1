"""What the figures were measured on: words that only this machine and this moment have."""

import os
import platform
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import psycopg
from sqlalchemy import text

from issuer.chain import anvil
from tests.anvil import ROOT
from tests.benchmarks import engines
from tests.benchmarks.figures import Line, Measurement, Value, milliseconds

SYNCS = 200
_PAGE = b"\x00" * 4096

TEXT = f"""
Both engines run as they are installed; the settings that decide what a commit is worth are asked of them. A sync is
{SYNCS} times 4 KiB appended to a file and fsynced, on the disk where everything is measured. The load tells what else
the machine was doing: above the number of its cores, other work has taken its share of every time on this page.
"""

_POSTGRESQL = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers")
_SQLITE = ("journal_mode", "synchronous")
_PACKAGES = ("SQLAlchemy", "psycopg", "web3", "eth-account", "coincurve")


def run() -> Mapping[str, Value]:
    found: dict[str, Value] = {
        "machine_processor": _processor(),
        "machine_cores": os.cpu_count() or 0,
        "machine_memory_gigabytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "machine_system": f"{platform.system()} {platform.release()}",
        "machine_load": f"{os.getloadavg()[0]:.1f}",
        "machine_sync_ms": _sync(),
        "version_python": platform.python_version(),
        "version_sqlite": sqlite3.sqlite_version,
        "version_anvil": _anvil(),
    }
    found |= {f"version_{name.lower()}": version(name) for name in _PACKAGES}
    with engines.store("sqlite") as store, store.read() as connection:
        found |= {f"sqlite_{name}": str(connection.scalar(text(f"PRAGMA {name}"))) for name in _SQLITE}
    with engines.folder() as path, engines.database(path) as url, psycopg.connect(url) as opened:
        for name in _POSTGRESQL:
            row = opened.execute("SELECT current_setting(%s)", (name,)).fetchone()
            found[f"postgresql_{name}"] = str(row[0]) if row else ""
    return found


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def _sync() -> Value:
    with engines.folder() as path, (path / "synced").open("wb", buffering=0) as file:
        began = time.perf_counter()
        for _ in range(SYNCS):
            file.write(_PAGE)
            os.fsync(file.fileno())
        return milliseconds((time.perf_counter() - began) / SYNCS)


def _anvil() -> str:
    said = subprocess.run([anvil.executable(ROOT), "--version"], capture_output=True, text=True, check=True).stdout
    return said.splitlines()[0].rpartition(" ")[2]


def _line(name: str, what: str, unit: str = "") -> Line:
    return Line(name=name, what=what, unit=unit)


MEASUREMENT = Measurement(
    name="machine",
    title="Machine and settings",
    text=TEXT,
    lines=(
        _line("machine_processor", "Processor"),
        _line("machine_cores", "Cores", "cores"),
        _line("machine_memory_gigabytes", "Memory", "GiB"),
        _line("machine_system", "System"),
        _line("machine_load", "Load of the machine when this was written"),
        _line("machine_sync_ms", "A sync of the disk", "ms"),
        _line("version_python", "Python"),
        _line("version_sqlite", "SQLite"),
        _line("version_anvil", "Anvil"),
        *(_line(f"version_{name.lower()}", name) for name in _PACKAGES),
        *(_line(f"sqlite_{name}", f"SQLite: {name}") for name in _SQLITE),
        *(_line(f"postgresql_{name}", f"PostgreSQL: {name}") for name in _POSTGRESQL),
    ),
    run=run,
)
