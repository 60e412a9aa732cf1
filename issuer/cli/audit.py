"""`issuer audit`: the log."""

from dataclasses import asdict
from typing import Any

import click

from issuer.audit import trail, verify
from issuer.audit.verify import Anchor, Verdict
from issuer.cli import answer
from issuer.cli.parameters import NUMBER, TEXT, answers
from issuer.cli.session import Session
from issuer.clock import utc
from issuer.errors import BrokenInvariant
from issuer.reports import trace as traces


class Unverified(BrokenInvariant):
    code = "unverified-log"
    remedy = "Keep database, log folder and chain as they are; nothing of them may be changed until it is explained."


@click.group()
def audit() -> None:
    """Read and check the log: every decision, in order, signed, and anchored on chain by the reserve reports."""


@audit.command()
@click.option("--subject", type=TEXT, help="Only what is about this, such as customer:1 or report:3.")
@click.option("--limit", type=NUMBER, default=50, show_default=True, help="How many of the last records.")
@answers
def show(session: Session, subject: str | None, limit: int) -> None:
    """Show the last records, oldest first. A record without a place is not in the signed log yet."""
    with session.issuer.store.read() as connection:
        newest = trail.latest(connection, limit) if subject is None else trail.trace(connection, [subject])[::-1]
    found = newest[:limit][::-1]
    if session.as_json:
        answer.echo_json([{"id": entry.id, "place": entry.place, "record": asdict(entry.record)} for entry in found])
        return
    columns = ("place", "at", "actor", "action", "subject", "after")
    rows = [{"place": entry.place, **asdict(entry.record), "subject": _short(entry.record.subject)} for entry in found]
    answer.rows(rows, columns, empty="There is no such record.", as_json=False)


@audit.command()
@click.argument("name", type=TEXT, metavar="ID")
@answers
def trace(session: Session, name: str) -> None:
    """Print the whole life of a mint order or a redemption, from the log, the books, the bank's files and the chain.

    ID is order:N, redemption:N, or the number alone where only one has it.
    """
    with session.issuer.store.read() as connection:
        found = traces.trace(connection, traces.subjects(connection, name))
    if session.as_json:
        answer.echo_json([asdict(event) | {"at": utc(event.at)} for event in found])
        return
    columns = ("at", "source", "place", "actor", "what", "subject", "details")
    rows = [{**asdict(event), "subject": _short(event.subject)} for event in found]
    answer.rows(rows, columns, empty="Nothing is recorded.", as_json=False)


@audit.command(name="verify")
@answers
def verify_(session: Session) -> None:
    """Check the log folder by itself, against the database, and against the root that is anchored on chain."""
    issuer = session.issuer
    anchor = issuer.anchor()
    anchors = [] if anchor is None else [Anchor(size=anchor[0], root=bytes.fromhex(anchor[1][2:]))]
    with issuer.store.read() as connection:
        verdict = verify.verify(issuer.log, anchors=anchors, connection=connection)
    if verdict.failure is not None:
        failure = verdict.failure
        raise Unverified(f"statement {failure.statement} ({failure.statement.name.lower()}) is false: {failure.what}")
    answer.record(_verdict(verdict), as_json=session.as_json)


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "holds": verdict.holds,
        "size": verdict.size,
        "root": verdict.root,
        "checkpoints": verdict.checkpoints,
        "anchored": verdict.anchored,
        "pending": verdict.pending,
    }


def _short(subject: str) -> str:
    """A subject without the middle of a hash."""
    kind, colon, name = subject.partition(":")
    return f"{kind}{colon}{name[:10]}..." if name.startswith("0x") else subject
