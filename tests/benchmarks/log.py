"""The published log when it is large: what a proof takes, what appending takes, and that neither grows with it."""

import resource
import time
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from issuer.audit.folder import LogFolder
from issuer.tlog import checkpoint, merkle
from issuer.tlog.merkle import CompactRange
from issuer.tlog.note import Signer, Verifier
from tests.benchmarks import engines
from tests.benchmarks.figures import Line, Measurement, Value, milliseconds, rate, ratio

RECORDS = 1_000_000
LARGE = 10_000_000
STEP = 50_000  # records under one checkpoint
PROOFS = 1_000

BODY = (
    b'{"action":"mint.reserved","actor":"service","after":{"value":"1000.000000"},"at":1800000000,"before":null,'
    b'"evidence":[],"subject":"order:0x%064d","v":1}'
)

TEXT = f"""
A log of {RECORDS:,} records on the disk. {PROOFS:,} inclusion proofs of records taken at random, each made from the
folder's files with nothing kept in memory between two of them, and each verified; the time is the mean of one. Then
{STEP:,} records more under one checkpoint: entries, tiles and checkpoint written and synced.
"""

LARGE_TEXT = f"""
A log that grows to {LARGE:,} records, {STEP:,} under a checkpoint, on the disk, as if by a new process each time: all
that is known of the log are its files. The last million against the first, and the most memory the process ever had.
"""


class Growing:
    """A log folder, and the root that its records have."""

    def __init__(self, path: Path) -> None:
        key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
        verifier = Verifier(name="example.com/log", public_key=key.public_key().public_bytes_raw())
        self.signer = Signer(verifier=verifier, sign=key.sign)
        self.folder = LogFolder(path / "log", verifier)
        self.tree = CompactRange()

    def grow(self) -> float:
        """The seconds that the folder takes for the next records."""
        for body in bodies(self.tree.size, self.tree.size + STEP):
            self.tree.append(merkle.leaf_hash(body))
        note = checkpoint.sign(self.tree.size, self.tree.root(), self.signer)
        given = list(bodies(self.tree.size - STEP, self.tree.size))
        start = self.tree.size - STEP
        began = time.perf_counter()
        # Of the bundle that was open, the database gives the older records too.
        self.folder.extend(note, lambda at, end: [*bodies(at, start), *given[max(0, at - start) : end - start]])
        return time.perf_counter() - began


def bodies(start: int, end: int) -> Iterable[bytes]:
    return (BODY % number for number in range(start, end))


def run() -> Mapping[str, Value]:
    with engines.folder() as path:
        log = Growing(path)
        for _ in range(RECORDS // STEP):
            log.grow()
        proof = _proof(log)
        return {"log_inclusion_proof_ms": milliseconds(proof), "log_appends_per_second": rate(STEP, log.grow())}


def run_large() -> Mapping[str, Value]:
    with engines.folder() as path:
        log = Growing(path)
        took = [log.grow() for _ in range(LARGE // STEP)]
        first, last = (sum(part) for part in (took[: RECORDS // STEP], took[-RECORDS // STEP :]))
        proof = _proof(log)
    return {
        "large_log_per_second": rate(LARGE, sum(took)),
        "large_log_growth_ratio": ratio(last, first),
        "large_log_inclusion_proof_ms": milliseconds(proof),
        "large_log_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _proof(log: Growing) -> float:
    """The mean time of one inclusion proof, in seconds; every one holds."""
    chance, size, root = Random(1), log.tree.size, log.tree.root()  # noqa: S311 - a seed, so that a run repeats
    places = chance.sample(range(size), PROOFS)
    began = time.perf_counter()
    proofs = [log.folder.log.inclusion(place, size) for place in places]
    took = time.perf_counter() - began
    for place, proof in zip(places, proofs, strict=True):
        merkle.verify_inclusion(merkle.leaf_hash(BODY % place), place, size, root, proof)
    return took / PROOFS


MEASUREMENT = Measurement(
    name="log",
    title="The published log",
    text=TEXT,
    lines=(
        Line(
            name="log_inclusion_proof_ms",
            what=f"an inclusion proof from {RECORDS:,} records",
            unit="ms",
            at_most=Decimal(5),
        ),
        Line(name="log_appends_per_second", what="records published with their tiles", unit="records/s"),
    ),
    run=run,
)

LARGE_MEASUREMENT = Measurement(
    name="large-log",
    title="Ten million records",
    text=LARGE_TEXT,
    lines=(
        Line(name="large_log_per_second", what="records published with their tiles", unit="records/s"),
        Line(
            name="large_log_growth_ratio",
            what="time of the last million records over that of the first",
            unit="times",
            at_most=Decimal("1.5"),
        ),
        Line(name="large_log_inclusion_proof_ms", what=f"an inclusion proof from {LARGE:,} records", unit="ms"),
        Line(name="large_log_megabytes", what="memory of the process at most", unit="MB"),
    ),
    run=run_large,
)
