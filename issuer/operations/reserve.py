"""Reserve reports: asked of the bank and the auditor, signed by both, posted on chain before the mints they cover."""

from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, or_, select, update

from issuer import audit
from issuer.errors import NotFound, Refused
from issuer.money import format_units
from issuer.operations import batches, locks
from issuer.operations.binding import Binding
from issuer.operations.binding import get as binding_of
from issuer.operations.policy import Policy
from issuer.operations.transitions import move
from issuer.store import intents, turn
from issuer.store.facts import Fact
from issuer.store.states import Door, ReportState, Scope
from issuer.store.tables import checkpoint, cursor, log_tree, report
from issuer.store.unit import Unit

TOO_EARLY = "too-early"
"""The bank's refusal of a report whose as-of time would not be later than the last one's."""

_UNACCEPTABLE, _SIGNERS_CHANGED = "bad-report", "signers-changed"
"""Codes under which the issuer itself gives a report up."""

PAUSE = 5
"""Seconds after a refused report was asked for before another one is."""

_FIGURES = ("reserve", "paid", "credited", "as_of")
"""What the signers say, and the feed repeats."""

_POSTABLE = (ReportState.REQUESTED, ReportState.ATTESTED, ReportState.REFUSED)

_NUMBERED = select(report).where(report.c.number == bindparam("number"))
_REQUESTED = select(report).where(report.c.state == ReportState.REQUESTED)
_LATEST = (
    select(report)
    .where(report.c.state.in_((ReportState.ATTESTED, ReportState.FINAL)))
    .order_by(report.c.number.desc())
    .limit(1)
)
_LAST_REFUSED = select(func.max(report.c.at)).where(report.c.state == ReportState.REFUSED)
_ANCHOR = (
    select(checkpoint)
    .where(checkpoint.c.size <= select(log_tree.c.published).scalar_subquery())
    .order_by(checkpoint.c.size.desc())
    .limit(1)
)


def request(unit: Unit) -> dict[str, Any]:
    """Ask bank and auditor for a report that anchors the log as it is published now.

    Raises Misconfigured before the first deployment; Refused while one is asked for, while a failed order's money is
    on its way out of the reserve, or while the chain has no block later than the last report.
    """
    turn.wait(unit)
    binding_of(unit.connection)
    if _asked_for(unit.connection):
        raise Refused("a report is asked for already", "Wait for the answers: see `issuer report show`.")
    if batches.leaving(unit.connection):
        # Whether the bank books it before or after it signs, nobody can tell, nor whether to leave it out.
        raise Refused("a failed order's money is leaving the reserve", "Wait for the bank: see `issuer payout list`.")
    anchor, block_time = _anchor(unit.connection), _block_time(unit.connection)
    last = latest(unit.connection)
    if anchor is None or (last is not None and block_time <= last["as_of"]):
        raise Refused("nothing has happened since the last report", "Wait for a new block, then ask again.")
    return ask(unit, anchor, block_time)


def ask(unit: Unit, anchor: Row[Any], block_time: int) -> dict[str, Any]:
    """Ask for the next report, anchoring the log as it was at a checkpoint, and as of no later than a block's time.

    Its record tells all that the request says: asked for again after a restore, it has the same bytes.
    """
    number = _last_number(unit.connection) + 1
    withheld = batches.withhold(unit, number)
    values = {"log_size": anchor.size, "log_root": anchor.root, "withheld": withheld, "signatures": {}}
    statement = insert(report).values(number=number, state=ReportState.REQUESTED, at=unit.now, **values)
    unit.connection.execute(statement)
    subject = f"report:{number}"
    after = {"log_size": anchor.size, "log_root": anchor.root, "withheld": format_units(withheld)}
    record = audit.append(unit, "report.requested", subject, after=after | {"block_time": block_time})
    told = {"number": number, "block_time": block_time, "withheld": withheld}
    payload = told | _asked(unit.connection, anchor)
    intents.emit(unit, Door.BANK, "report-request", subject, payload, record)
    return get(unit.connection, number)


def request_if_due(unit: Unit, policy: Policy) -> int:
    """Ask for a report when a batch or a failed order waits for one, or the last one has aged; 1 if asked."""
    if not _due(unit, policy):
        return 0
    try:
        request(unit)
    except Refused:
        return 0
    return 1


def signed(unit: Unit, fact: Fact) -> None:
    """One attestor's signature. With the quorum's, the report may be posted and the mints it covers sent.

    One that comes later is kept if it says the same: of an attestor more than the quorum needs, of a report that
    somebody has posted before its last signature came here, or of one that another attestor has refused. It tells how
    much of the log its signer has seen, which the next request must start from.
    """
    told, binding = fact.payload, binding_of(unit.connection)
    row = _by_number(unit.connection, told["number"])
    problem = _problem(row, told, binding)
    if row is not None and problem and row.reason == _SIGNERS_CHANGED:
        return  # whom it was asked of then is no attestor of the feed now
    if row is None or problem:
        _give_up(unit, row, _UNACCEPTABLE)
        reason = f"the answer to report {told['number']} by {told['signer']} is not acceptable: {problem}"
        locks.engage(unit, Scope.MINTING, _UNACCEPTABLE, reason, "Ask the signer why, then clear the lock.")
        return
    signatures = {**row.signatures, told["signer"]: told["signature"]}
    figures = {name: told["report"][name] for name in ("reserve", "paid", "credited")}
    values = {**figures, "as_of": told["report"]["asOf"], "signatures": signatures}
    unit.connection.execute(update(report).where(report.c.number == row.number).values(**values))
    after = {"signer": told["signer"], "as_of": values["as_of"]}
    after |= {name: format_units(units) for name, units in figures.items()}
    audit.append(unit, "report.signed", f"report:{row.number}", after=after)
    if len(_standing(row.signatures, binding)) < binding.quorum <= len(_standing(signatures, binding)):
        _attest(unit, row, told["report"], _standing(signatures, binding))


def signers_changed(unit: Unit, before: Binding) -> None:
    """Other attestors, another quorum or feed: a report that waits has its signatures now, or another is asked for.

    Whom it was asked of may be no attestor any more, and who is one now was not asked.
    """
    now, row = binding_of(unit.connection), unit.connection.execute(_REQUESTED).one_or_none()
    if row is None or (now.feed, now.attestors, now.quorum) == (before.feed, before.attestors, before.quorum):
        return
    signatures = _standing(row.signatures, now)
    if now.feed == before.feed and len(signatures) >= now.quorum:
        _attest(unit, row, _message(row, now.token), signatures)
    else:
        _give_up(unit, row, _SIGNERS_CHANGED)


def refused(unit: Unit, fact: Fact) -> None:
    """A signer refuses: an early request is asked again, anything else stops minting until a person has looked."""
    told = fact.payload
    row = _by_number(unit.connection, told["number"])
    if row is None or row.state != ReportState.REQUESTED:
        return
    reason = f"{told['by']}: {told['reason']} ({told['code']})"
    move(unit, report, row.number, ReportState.REQUESTED, ReportState.REFUSED, reason=reason)
    audit.append(unit, "report.refused", f"report:{row.number}", after={"by": told["by"], "code": told["code"]})
    if told["code"] != TOO_EARLY:
        remedy = "Settle it with the signer, then clear the lock."
        locks.engage(unit, Scope.MINTING, "report-refused", f"report {row.number} was refused by {reason}", remedy)


def posted(unit: Unit, fact: Fact) -> None:
    """The feed holds a report, finally: it must be one of ours, as it was signed.

    Anybody may post it, also before a signature has come here: then those that come must say the same.
    """
    told = fact.payload
    row = _by_number(unit.connection, told["number"])
    if row is None or row.log_root != told["log_root"] or not _figures_agree(row, told):
        reason = f"the feed holds a report {told['number']} that is none of ours"
        remedy = "Two attestors have signed it: ask both, rotate their keys if need be, then clear the lock."
        locks.engage(unit, Scope.MINTING, "unknown-report", reason, remedy)
        return
    move(unit, report, row.number, _POSTABLE, ReportState.FINAL, **{name: told[name] for name in _FIGURES})
    audit.append(unit, "report.final", f"report:{row.number}", evidence=[told["transaction"]])
    batches.try_again(unit)


def not_posted(unit: Unit, subject: str, reason: str) -> None:
    """The feed would not take an attested report: unless it turns out to be there, another one is asked for."""
    number = int(subject.removeprefix("report:"))
    row = _by_number(unit.connection, number)
    if row is not None and row.state == ReportState.ATTESTED:
        move(unit, report, number, ReportState.ATTESTED, ReportState.REFUSED, reason=reason)
        audit.append(unit, "report.refused", subject, after={"by": "feed", "code": reason})


def latest(connection: Connection) -> dict[str, Any] | None:
    """The last report that the quorum has signed, posted or not."""
    row = connection.execute(_LATEST).mappings().one_or_none()
    return None if row is None else dict(row)


def get(connection: Connection, number: int) -> dict[str, Any]:
    """One report. Raises NotFound."""
    row = connection.execute(_NUMBERED, {"number": number}).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no report {number}", "See `issuer report show` for the latest one.")
    return dict(row)


def _asked(connection: Connection, anchor: Row[Any]) -> dict[str, Any]:
    """Which token's report it is, and which log it anchors, from the last size that a signer has seen."""
    binding = binding_of(connection)
    answered = or_(report.c.as_of.is_not(None), report.c.reason.in_((_UNACCEPTABLE, _SIGNERS_CHANGED)))
    seen = select(func.max(report.c.log_size)).where(answered)
    return {
        "chain_id": binding.chain_id,
        "token": binding.token,
        "feed": binding.feed,
        "checkpoint": anchor.note,
        "log_size": anchor.size,
        "from_size": connection.execute(seen).scalar() or 0,
    }


def _due(unit: Unit, policy: Policy) -> bool:
    if locks.locked(unit.connection, Scope.MINTING) or _asked_for(unit.connection):
        return False
    if 0 <= unit.now - _last_refused(unit.connection) < PAUSE:
        return False
    last = latest(unit.connection)
    aged = last is None or unit.now - last["as_of"] >= policy.report_refresh
    return aged or batches.report_wanted(unit.connection)


def _problem(row: Row[Any] | None, told: dict[str, Any], binding: Binding) -> str | None:
    signed_ = told["report"]
    if row is None:
        return "it was not asked for"
    if told["signer"] not in binding.attestors:
        return "its signer is no attestor"
    if (told["chain_id"], told["feed"], signed_["token"]) != (binding.chain_id, binding.feed, binding.token):
        return "it names another token"
    if (signed_["logSize"], signed_["logRoot"]) != (row.log_size, row.log_root):
        return "it names another state of the log"
    if not _figures_agree(row, {**signed_, "as_of": signed_["asOf"]}):
        return "it differs from what was signed or posted before"
    return None


def _figures_agree(row: Row[Any], told: dict[str, Any]) -> bool:
    """Whether these are the figures of a report, or the first that are told of it."""
    return row.as_of is None or all(getattr(row, name) == told[name] for name in _FIGURES)


def _standing(signatures: dict[str, str], binding: Binding) -> dict[str, str]:
    """The signatures of those who are attestors."""
    return {signer: signature for signer, signature in signatures.items() if signer in binding.attestors}


def _message(row: Row[Any], token: str) -> dict[str, Any]:
    """What was signed, under the names of the contract."""
    figures = {"reserve": row.reserve, "paid": row.paid, "credited": row.credited, "asOf": row.as_of}
    return {"token": token, "number": row.number, **figures, "logRoot": row.log_root, "logSize": row.log_size}


def _give_up(unit: Unit, row: Row[Any] | None, code: str) -> None:
    """Wait no more for the signatures of a report, so that another one can be asked for."""
    if row is not None and row.state == ReportState.REQUESTED:
        move(unit, report, row.number, ReportState.REQUESTED, ReportState.REFUSED, reason=code)
        audit.append(unit, "report.refused", f"report:{row.number}", after={"by": "issuer", "code": code})


def _attest(unit: Unit, row: Row[Any], signed_: dict[str, Any], signatures: dict[str, str]) -> None:
    """The quorum has signed: the log shows it, and the report is posted, unless it has been already or was refused."""
    subject = f"report:{row.number}"
    ascending = [signatures[signer] for signer in sorted(signatures, key=lambda signer: int(signer, 16))]
    record = audit.append(unit, "report.attested", subject, after={"signatures": ascending})
    if row.state == ReportState.REQUESTED:
        move(unit, report, row.number, ReportState.REQUESTED, ReportState.ATTESTED)
        intents.emit(unit, Door.CHAIN, "report", subject, {"report": signed_, "signatures": ascending}, record)


def _anchor(connection: Connection) -> Row[Any] | None:
    """The last checkpoint that lies in the published log."""
    return connection.execute(_ANCHOR).one_or_none()


def _block_time(connection: Connection) -> int:
    """The newest block's: a report is as of no later moment, and holds what the bank has booked until it signs."""
    return connection.execute(select(cursor.c.head_timestamp)).scalar() or 0


def _last_number(connection: Connection) -> int:
    return connection.execute(select(func.max(report.c.number))).scalar() or 0


def _last_refused(connection: Connection) -> int:
    """When the last refused report was asked for."""
    return connection.execute(_LAST_REFUSED).scalar() or 0


def _asked_for(connection: Connection) -> bool:
    return connection.execute(_REQUESTED).first() is not None


def _by_number(connection: Connection, number: int) -> Row[Any] | None:
    return connection.execute(_NUMBERED, {"number": number}).one_or_none()
