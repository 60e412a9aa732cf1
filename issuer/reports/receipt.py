"""Receipts: a customer's own mint or redemption, with the proof that the log holds it and the chain anchors the log.

One small JSON file of version 1, which `issuer verify --receipt` checks against a block's hash and a feed alone:

- ``token``, ``feed``, ``chain_id``: what it is about;
- ``records``: the bytes of each record, its place, and its RFC 6962 inclusion proof;
- ``checkpoint``: the signed note over the log that a report has anchored;
- ``anchor``: the block and transaction of that report, and the proof from the block's hash to the report's event.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from issuer.audit import trail
from issuer.audit.record import decode
from issuer.errors import Refused
from issuer.reports import trace
from issuer.store.states import ReportState
from issuer.store.tables import audit_record, report
from issuer.tlog import merkle, tiles
from issuer.tlog.log import Log

_PROVEN = frozenset(
    (
        "mint.requested",
        "mint.final",
        "redemption.burned",
        "payout.paid",
        "payout.partly-returned",
        "payout.returned",
    )
)
"""What of an order's or a redemption's life its owner is given."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the issuer has recorded, and the first report that anchors all of it."""

    records: tuple[tuple[int, bytes], ...]  # place and body
    size: int  # of the anchored log
    transaction: str  # that posted the report


def evidence(connection: Connection, name: str) -> Evidence:
    """What is recorded of ``order:N`` or ``redemption:N``. Raises NotFound, InvalidInput, or Refused until anchored."""
    rows = [row for row in _rows(connection, own(trace.subjects(connection, name))) if row.place is not None]
    if not any(decode(row.body).action in ("mint.final", "redemption.burned") for row in rows):
        raise Refused(f"{name} is not final in the log yet", "Follow it with `issuer audit trace`.")
    anchor = _anchor(connection, max(row.place for row in rows))
    if anchor is None:
        raise Refused(f"no report anchors the records of {name} yet", "Ask for one with `issuer report request`.")
    posted = trail.trace(connection, [f"report:{anchor.number}"])
    transaction = next(entry.record.evidence[0] for entry in posted if entry.record.action == "report.final")
    return Evidence(records=tuple((row.place, row.body) for row in rows), size=anchor.log_size, transaction=transaction)


def compose(found: Evidence, log: Log, bound: Mapping[str, Any], anchor: Mapping[str, Any]) -> dict[str, Any]:
    """The receipt; `bound` names token, feed and chain_id, `anchor` is the proof from the block's hash.

    Raises InvalidProof if the log, as it was signed at this size, does not hold what the database does.
    """
    root = log.past(found.size).root
    return {
        "v": 1,
        **bound,
        "records": [_record(log, place, body, found.size, root) for place, body in found.records],
        "checkpoint": log.note(tiles.checkpoint_path(found.size)),
        "anchor": dict(anchor),
    }


def own(subjects: Sequence[str]) -> list[str]:
    """Of all that `trace.subjects` names, the order and its batches, or the redemption.

    An order before it is one whose money came back and was used again: no mint of it belongs to this receipt.
    """
    ordered = [subject for subject in subjects if subject.startswith(("order:", "redemption:"))]
    return [ordered[-1], *(subject for subject in subjects if subject.startswith("batch:"))]


def _record(log: Log, place: int, body: bytes, size: int, root: bytes) -> dict[str, Any]:
    proof = log.inclusion(place, size)
    merkle.verify_inclusion(merkle.leaf_hash(body), place, size, root, proof)
    return {"index": place, "record": body.decode(), "proof": ["0x" + part.hex() for part in proof]}


def _rows(connection: Connection, subjects: list[str]) -> list[Any]:
    statement = select(audit_record.c.place, audit_record.c.body).where(audit_record.c.subject.in_(subjects))
    rows = connection.execute(statement.order_by(audit_record.c.place)).all()
    return [row for row in rows if decode(row.body).action in _PROVEN and not _is_funding(row.body)]


def _is_funding(body: bytes) -> bool:
    """A payment between the issuer's own accounts is no matter of the customer's."""
    record = decode(body)
    return record.action.startswith("payout.") and not record.subject.startswith("redemption:")


def _anchor(connection: Connection, place: int) -> Row[Any] | None:
    """The first final report that anchors a place of the log."""
    statement = select(report).where(report.c.state == ReportState.FINAL, report.c.log_size > place)
    return connection.execute(statement.order_by(report.c.number).limit(1)).one_or_none()
