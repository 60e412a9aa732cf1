"""What a signer checks before it signs a reserve report; shared by the bank and the auditor.

The issuer's log must be the one that was signed before, and longer: its checkpoint is signed by the issuer's log key
and proven consistent with the last one that this signer signed, or with one seen since that extends it. Token, feed
and chain are those of the first report: the account backs one token, so any other's allotment would exceed it. Numbers
and as-of times grow.
"""

import sqlite3
from dataclasses import dataclass

from issuer.errors import IssuerError
from issuer.messages.folder import LONGEST_REASON, ReportRequest
from issuer.messages.iso20022 import printable
from issuer.messages.report import MAX_NUMBER, Report, check_range
from issuer.tlog import checkpoint, note
from issuer.tlog.checkpoint import Checkpoint
from issuer.tlog.merkle import InvalidProof, verify_consistency
from issuer.tlog.note import UnverifiedNote

SCHEMA = """
CREATE TABLE IF NOT EXISTS trusted (
    name TEXT PRIMARY KEY,  -- what was pinned when it was first used, such as the issuer's log key
    value TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS seen (  -- the last checkpoint signed, and those seen since that extend it
    size INTEGER PRIMARY KEY,
    root BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS signed (
    number INTEGER PRIMARY KEY,
    token TEXT NOT NULL,
    feed TEXT NOT NULL,
    chain_id INTEGER NOT NULL,
    as_of INTEGER NOT NULL,
    log_size INTEGER NOT NULL
) STRICT;
"""

TOO_EARLY = "too-early"


class AttestationRefused(Exception):  # noqa: N818 - named for what happens, as all errors here are
    """A report is not signed, with the code and the sentence of the refusal that is sent."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = printable(reason, LONGEST_REASON)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a signer itself knows of the reserve, in units of 10^-6 CNH."""

    reserve: int
    paid: int
    credited: int


def pin(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Trust a value on first use; raises AttestationRefused when it has changed since."""
    connection.execute("INSERT INTO trusted VALUES (?, ?) ON CONFLICT DO NOTHING", (name, value))
    row = connection.execute("SELECT value FROM trusted WHERE name = ?", (name,)).fetchone()
    if row["value"] != value:
        raise AttestationRefused("changed-key", f"the {name} is another one than at first")


def witness(connection: sqlite3.Connection, request: ReportRequest, log_key: str) -> Checkpoint:
    """The request's checkpoint, verified and remembered. Raises AttestationRefused."""
    try:
        found = checkpoint.verify(request.checkpoint, note.parse_vkey(log_key))
        check_range(found.size, "the log's size", MAX_NUMBER)
    except UnverifiedNote as error:
        raise AttestationRefused("unsigned-checkpoint", error.what) from error
    except IssuerError as error:
        raise AttestationRefused("malformed-checkpoint", error.what) from error
    last = _last_signed(connection)
    if last is not None:
        _check_extends(connection, request, found, last["log_size"])
    # Of two roots for one size, neither signed, the later one is kept: a proof that goes on from it must not fail.
    connection.execute("INSERT OR REPLACE INTO seen VALUES (?, ?)", (found.size, found.root))
    return found


def compose(
    connection: sqlite3.Connection, request: ReportRequest, log: Checkpoint, figures: Figures, now: int
) -> Report:
    """The report that answers a request, as of the earlier of now and the request's block; or AttestationRefused."""
    check_follows(connection, request)
    as_of = min(now, request.block_time)
    check_later(connection, as_of)
    if request.withheld > min(figures.reserve, figures.credited):
        raise AttestationRefused("withheld", "more is to be left out than the reserve or the credits have")
    return Report(
        token=request.token,
        number=request.number,
        reserve=figures.reserve - request.withheld,
        paid=figures.paid,
        credited=figures.credited - request.withheld,
        as_of=as_of,
        log_root="0x" + log.root.hex(),
        log_size=log.size,
    )


def check_follows(connection: sqlite3.Connection, request: ReportRequest) -> None:
    """Raises AttestationRefused for another token, feed or chain than the first report's, or a number used before."""
    last = _last_signed(connection)
    if last is None:
        return
    if (request.token, request.feed, request.chain_id) != (last["token"], last["feed"], last["chain_id"]):
        raise AttestationRefused(
            "over-allotted",
            f"the whole account is allotted to token {last['token']} on chain {last['chain_id']}; nothing is left",
        )
    if request.number <= last["number"]:
        raise AttestationRefused("old-number", f"report {last['number']} is signed already; use a higher number")


def check_later(connection: sqlite3.Connection, as_of: int) -> None:
    """Raises AttestationRefused unless the time is after the last report's."""
    last = _last_signed(connection)
    if last is not None and as_of <= last["as_of"]:
        raise AttestationRefused(TOO_EARLY, "no second has passed since the last report; ask again with a later block")


def record(connection: sqlite3.Connection, report: Report, request: ReportRequest) -> None:
    """Remember what is signed; from now on a proof starts there, or at what is proven to extend it."""
    values = (report.number, report.token, request.feed, request.chain_id, report.as_of, report.log_size)
    connection.execute("INSERT INTO signed VALUES (?, ?, ?, ?, ?, ?)", values)
    # Whatever was seen before extends the checkpoint signed before it, and perhaps not this one.
    connection.execute("DELETE FROM seen")
    root = bytes.fromhex(report.log_root.removeprefix("0x"))
    connection.execute("INSERT INTO seen VALUES (?, ?)", (report.log_size, root))


def _last_signed(connection: sqlite3.Connection) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute("SELECT * FROM signed ORDER BY number DESC LIMIT 1").fetchone()
    return row


def _check_extends(connection: sqlite3.Connection, request: ReportRequest, found: Checkpoint, signed_size: int) -> None:
    """Whether the checkpoint begins with all that was signed before."""
    if found.size < signed_size:
        raise AttestationRefused("log-shrank", f"the log had {signed_size} records and now has {found.size}")
    from_size = signed_size if found.size == signed_size else request.from_size
    row = connection.execute("SELECT root FROM seen WHERE size = ?", (from_size,)).fetchone()
    if from_size < signed_size or row is None:
        raise AttestationRefused("log-unproven", f"the proof starts at {from_size}; start it at {signed_size}")
    proof = [] if from_size == found.size else request.consistency
    try:
        verify_consistency(from_size, row["root"], found.size, found.root, proof)
    except InvalidProof as error:
        raise AttestationRefused("log-forked", error.what) from error
