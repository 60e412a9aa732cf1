"""The audit log: records a second, until they lie in the published log."""

import time
from collections.abc import Mapping
from decimal import Decimal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from issuer.audit import append_all
from issuer.audit.folder import LogFolder
from issuer.audit.integrator import Integrator
from issuer.tlog import merkle
from issuer.tlog.note import Signer, Verifier
from tests.benchmarks import engines
from tests.benchmarks.figures import Line, Measurement, Value, rate

RECORDS = 100_000
BATCH = 1_000  # records in one transaction
EVERY = 10  # transactions between two runs of the integrator

TEXT = f"""
{RECORDS:,} records, {BATCH:,} in a transaction, each record made from its fields; after every {EVERY} transactions the
integrator gives them their places, computes the root, signs a checkpoint, and writes entries, tiles and checkpoint to
the log folder, each file synced to disk. All of that is in the time. At the end the folder's root is computed again
from its entries.
"""


def run() -> Mapping[str, Value]:
    return {f"audit_{engine}_per_second": _rate(engine) for engine in ("sqlite", "postgresql")}


def _rate(engine: str) -> Value:
    with engines.store(engine) as store, engines.folder() as path:
        key = Ed25519PrivateKey.generate()
        verifier = Verifier(name="example.com/log", public_key=key.public_key().public_bytes_raw())
        folder = LogFolder(path, verifier)
        integrator = Integrator(store, folder, Signer(verifier=verifier, sign=key.sign))
        began = time.perf_counter()
        for batch in range(RECORDS // BATCH):
            with store.unit("append") as unit:
                numbers = range(batch * BATCH, (batch + 1) * BATCH)
                append_all(unit, "mint.reserved", {f"order:{number}": {"value": "1000.000000"} for number in numbers})
            if batch % EVERY == EVERY - 1:
                integrator.run()
        took = time.perf_counter() - began
        found = folder.log.checkpoint()
        assert found.size == RECORDS
        assert _root(folder) == found.root
    return rate(RECORDS, took)


def _root(folder: LogFolder) -> bytes:
    return merkle.root(folder.log.entries(RECORDS))


MEASUREMENT = Measurement(
    name="audit",
    title="Audit log",
    text=TEXT,
    lines=tuple(
        Line(
            name=f"audit_{engine}_per_second",
            what=f"{title}, places, root and published files included",
            unit="records/s",
            at_least=Decimal(20_000),
        )
        for engine, title in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL"))
    ),
    run=run,
)
