"""Powers over the contracts: every use is asked for by a person, sent by the key that holds it, and recorded (R-33).

Quick powers take effect in one transaction: freeze, stop, lower a limit, remove an attestor, revoke. Slow ones are
proposed, wait on chain in everyone's sight, and are accepted when their delay is over; the guardian may cancel them
until then. A slow act of the authority is scheduled and executed, which is the same by other names.

What was not asked for here is recorded as the chain shows it, and what somebody else has proposed is left to them: the
service accepts by itself only what a person asked it to propose.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, insert, select

from issuer import audit
from issuer.errors import InvalidInput, MalformedDocument, NotFound, Refused
from issuer.messages.abi import keccak
from issuer.messages.contracts import CONTRACTS, explain
from issuer.money import format_units
from issuer.operations import locks
from issuer.operations.transitions import move
from issuer.store import intents, turn
from issuer.store.facts import Fact
from issuer.store.states import Door, IntentState, ProposalState, Scope
from issuer.store.tables import cursor, fact, intent, proposal, transaction
from issuer.store.unit import Unit

QUICK = {
    "verify": "token",
    "unverify": "token",
    "freeze": "token",
    "stop": "token",
    "lower": "minter",
    "removeAttestor": "feed",
    "revoke": "authority",
    "grantRole": "authority",
    "revokeRole": "authority",
    "labelRole": "authority",
    "setRoleAdmin": "authority",
    "setRoleGuardian": "authority",
    "setGrantDelay": "authority",
    "setTargetAdminDelay": "authority",
    "setTargetFunctionRole": "authority",
}
"""The functions that are called at once, and whose they are."""

_WAITING = (ProposalState.PROPOSED, ProposalState.ACCEPTING)
_AMOUNTS = frozenset(("capacity", "refill", "value", "balance"))
"""Arguments in units; a refill is a second's."""


def case_id(case: str) -> str:
    """A case as the chain names it: SHA-256 of its text."""
    return "0x" + hashlib.sha256(case.encode()).hexdigest()


# -- asked for by people


def freeze(unit: Unit, *, accounts: list[str], case: str) -> dict[str, Any]:
    """Freeze accounts under a case, in one step. The coins stay backed (R-13)."""
    return use(unit, "freeze", {"accounts": accounts}, case=case)


def stop(unit: Unit, *, stops: int, case: str) -> dict[str, Any]:
    """Stop transfers, mints or redemptions (bits 1, 2, 4), in one step."""
    return use(unit, "stop", {"stops": stops}, case=case)


def use(unit: Unit, function: str, arguments: dict[str, Any], *, case: str) -> dict[str, Any]:
    """Have a quick function called, with its arguments by name; amounts in units. Raises Refused for one too long."""
    _require_whole(arguments)
    return order(unit, function, arguments, case=case) | {"done_when": "`issuer act list` shows it final"}


def propose(unit: Unit, *, contract: str, act: str, case: str) -> dict[str, Any]:
    """Propose a slow act (calldata of `contract`: token, minter, feed or authority); it is accepted after its delay.

    Raises Refused if the same act waits already, or if it is so long that its records could only name it.
    """
    turn.wait(unit)
    _require_whole({"act": act})
    known = _find(unit.connection, proposal.c.act_id == _name(act))
    if known is not None and known["state"] in (ProposalState.ORDERED, *_WAITING):
        raise Refused(f"the same act is {known['state']} already", "See `issuer act list`.")
    order(unit, "propose", {"contract": contract, "act": act}, case=case)
    return {
        "ordered": "propose",
        **_decoded(contract, act),
        "contract": contract,
        "case": case,
        "act_id": _name(act),
        "done_when": "`issuer act list` shows it accepted, after its delay on chain",
    }


def take_up(unit: Unit, *, act_id: str, case: str, admin: str | None = None) -> dict[str, Any]:
    """Accept a slow act whose delay is over and that the service leaves alone: another's, or one that has failed.

    The authority lets only who has scheduled an act execute it; ``admin`` is who would here. Raises NotFound, Refused.
    """
    turn.wait(unit)
    row = get(unit.connection, act_id)
    if row["state"] not in (ProposalState.PROPOSED, ProposalState.FAILED):
        raise Refused(f"the act is {row['state']}", "Only an act that waits on chain can be accepted.")
    if row["ready_at"] > _now(unit.connection):
        raise Refused("the act's delay is not over", "`issuer act list` shows when it is.")
    if admin is not None and row["caller"] not in (None, admin):
        remedy = "Have them execute it by the call of `issuer act show`, or cancel it and order it here."
        raise Refused(f"the authority takes it only from {row['caller']}, who has scheduled it", remedy)
    move(unit, proposal, act_id, row["state"], ProposalState.ACCEPTING, case=case, reason=None)
    order(unit, "accept", {"contract": row["contract"], "act": row["act"]}, case=case)
    return {**_shown(row), "case": case, "state": ProposalState.ACCEPTING, "reason": None}


def cancel(unit: Unit, *, act_id: str, case: str) -> dict[str, Any]:
    """Cancel a slow act that waits. Raises NotFound or Refused."""
    turn.wait(unit)
    row = get(unit.connection, act_id)
    if row["state"] not in (*_WAITING, ProposalState.FAILED):
        raise Refused(f"the act is {row['state']}", "Only an act that waits on chain can be cancelled.")
    payload = {"contract": row["contract"], "act_id": act_id}
    payload |= {"act": row["act"], "caller": row["caller"]} if row["contract"] == "authority" else {}
    return order(unit, "cancel", payload, case=case) | {"done_when": "`issuer act list` shows it cancelled"}


# -- one step of the service


def accept_ready(unit: Unit) -> int:
    """Have the acts accepted that were proposed here and whose delay is over by the chain's own time; their number.

    Not those that a person has ordered to be cancelled: the two would race for the next block.
    """
    ready = proposal.c.ready_at <= _now(unit.connection)
    asked = proposal.c.case.is_not(None)
    statement = select(proposal).where(proposal.c.state == ProposalState.PROPOSED, asked, ready)
    doomed = _being_cancelled(unit.connection)
    rows = [row for row in unit.connection.execute(statement) if row.act_id not in doomed]
    for row in rows:
        accept(unit, row)
    return len(rows)


def accept(unit: Unit, row: Row[Any]) -> None:
    """Have one slow act accepted."""
    move(unit, proposal, row.act_id, ProposalState.PROPOSED, ProposalState.ACCEPTING)
    order(unit, "accept", {"contract": row.contract, "act": row.act}, case=f"act:{row.act_id}")


# -- what the chain shows


def proposed(unit: Unit, fact: Fact) -> None:
    """A slow act waits on chain, whoever proposed it."""
    told = fact.payload
    _waits(unit, told["contract"], told["act"], told["readyAt"], {"operation": None, "caller": None})
    observed(unit, fact)


def accepted(unit: Unit, fact: Fact) -> None:
    _end(unit, fact, proposal.c.act_id == fact.payload["actId"], ProposalState.ACCEPTED)


def cancelled(unit: Unit, fact: Fact) -> None:
    _end(unit, fact, proposal.c.act_id == fact.payload["actId"], ProposalState.CANCELLED)


def ruled(unit: Unit, fact: Fact) -> None:
    """The authority has changed who may do what, or an act of it is scheduled, executed or cancelled."""
    told = fact.payload
    if told["event"] == "OperationScheduled" and _is_ours(told["data"]):
        named = {"operation": told["operationId"], "caller": told["caller"]}
        _waits(unit, "authority", told["data"], told["schedule"], named)
    ends = {"OperationExecuted": ProposalState.ACCEPTED, "OperationCanceled": ProposalState.CANCELLED}
    if told["event"] in ends:
        _end(unit, fact, proposal.c.operation == told["operationId"], ends[told["event"]])
    else:
        observed(unit, fact)


def retired(unit: Unit, fact: Fact) -> None:
    """The token mints nothing any more: nor is any money taken for it."""
    reason = f"the token is retired; its successor is {fact.payload['successor']}"
    locks.engage(unit, Scope.MINTING, "retired", reason, "Nothing is minted here again; redemptions go on.")
    observed(unit, fact)


def observed(unit: Unit, fact: Fact) -> None:
    """Record a use of a power that the chain shows, ours or not."""
    names = fact.payload.keys() - {"block", "timestamp", "address"}
    # What is rescued is counted in another token's units.
    text = str if fact.kind == "rescued" else None
    told = {name: (text or _texts(name))(fact.payload[name]) for name in sorted(names)}
    audit.append(unit, f"chain.{fact.kind}", f"event:{fact.key}", after=told, evidence=[fact.payload["transaction"]])


def not_proposed(unit: Unit, intent_id: int, reason: str) -> None:
    """A proposal came to nothing: the contract would refuse it, or its transaction failed."""
    row = get(unit.connection, _name(intents.get(unit.connection, intent_id).payload["act"]))
    if row["state"] == ProposalState.ORDERED:
        move(unit, proposal, row["act_id"], ProposalState.ORDERED, ProposalState.REFUSED, reason=reason)


def not_accepted(unit: Unit, intent_id: int, reason: str | None) -> None:
    """An acceptance came to nothing. If the contract would refuse it, it has failed; else it is ordered again."""
    row = get(unit.connection, _name(intents.get(unit.connection, intent_id).payload["act"]))
    state = ProposalState.PROPOSED if reason is None else ProposalState.FAILED
    if row["state"] == ProposalState.ACCEPTING:
        move(unit, proposal, row["act_id"], ProposalState.ACCEPTING, state, reason=reason)


# -- looked at


def get(connection: Connection, act_id: str) -> dict[str, Any]:
    """One slow act. Raises NotFound."""
    row = _find(connection, proposal.c.act_id == act_id)
    if row is None:
        raise NotFound(f"there is no act {act_id}", "See `issuer act list`.")
    return dict(row)


def every(connection: Connection) -> list[dict[str, Any]]:
    """The acts ordered or seen, oldest first, with the function and arguments that each calls.

    `case` is null for a slow act that somebody else has proposed. A quick act is `ordered`, `sent`, then `final` or
    `refused`, and so is a cancellation; neither has an `act_id`.
    """
    slow = [_shown(dict(row)) for row in connection.execute(select(proposal)).mappings()]
    return sorted([*slow, *_quick(connection)], key=lambda row: row["at"])


def reason(connection: Connection, intent_id: int, outcome: str | None = None) -> str | None:
    """Why an intent of the chain came to nothing: its transaction's outcome, or why it was never signed."""
    if outcome is not None:
        return f"its transaction is {outcome}"
    told = select(fact.c.payload).where(fact.c.door == Door.CHAIN, fact.c.key.startswith(f"refused:{intent_id}:"))
    payload = connection.execute(told).scalar()
    return None if payload is None else explain(payload["error"], payload["arguments"])


def granted(connection: Connection) -> list[tuple[int, str]]:
    """Every role and account that the chain has ever told to be given to it, in the order of roles."""
    told = select(fact.c.payload).where(fact.c.door == Door.CHAIN, fact.c.kind == "role")
    found = [payload for payload in connection.scalars(told) if payload["event"] == "RoleGranted"]
    return sorted({(payload["roleId"], payload["account"]) for payload in found})


def order(unit: Unit, kind: str, payload: dict[str, Any], *, case: str) -> dict[str, Any]:
    """Record that a power is to be used, and have it sent."""
    if kind == "propose":
        _want(unit, payload, case)
    after = {name: _texts(name)(value) for name, value in payload.items()}
    record = audit.append(unit, f"power.{kind}", f"case:{case}", after=after)
    intents.emit(unit, Door.CHAIN, kind, f"case:{case}", payload, record)
    return {"ordered": kind, "case": case, **payload}


# -- within


def _require_whole(arguments: Mapping[str, Any]) -> None:
    """Raise Refused if a record would hold only an argument's hash: what is asked for here is recorded whole."""
    for name, value in arguments.items():
        if isinstance(value, str) and audit.shorten(value) != value:
            raise Refused(f"the {name} is too long, with {len(value)} characters", "Split it, or make it shorter.")


def _want(unit: Unit, payload: dict[str, Any], case: str) -> None:
    act_id = _name(payload["act"])
    known = _find(unit.connection, proposal.c.act_id == act_id)
    fresh = {**payload, "case": case, "ready_at": None, "operation": None, "caller": None, "reason": None}
    _keep(unit, act_id, known, ProposalState.ORDERED, fresh)


def _texts(name: str) -> Any:
    """How a record writes a value of this name."""
    return format_units if name in _AMOUNTS else _text


def _text(value: Any) -> Any:
    """Any number that is no amount in digits, and what is long by its hash: a record may not hold more (RFC 8785)."""
    if isinstance(value, str):
        return audit.shorten(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _waits(unit: Unit, contract: str, act: str, ready_at: int, named: Mapping[str, str | None]) -> None:
    act_id = _name(act)
    known = _find(unit.connection, proposal.c.act_id == act_id)
    ours = known is not None and known["state"] == ProposalState.ORDERED
    values = {"contract": contract, "act": act, "ready_at": ready_at, **named, "reason": None}
    _keep(unit, act_id, known, ProposalState.PROPOSED, values if ours else values | {"case": None})


def _keep(unit: Unit, act_id: str, known: RowMapping | None, state: ProposalState, values: Mapping[str, Any]) -> None:
    """Write an act's row, or write it anew: the same act may be wanted again when it has ended."""
    if known is None:
        unit.connection.execute(insert(proposal).values(act_id=act_id, state=state, at=unit.now, **values))
    else:
        move(unit, proposal, act_id, known["state"], state, at=unit.now, **values)


def _end(unit: Unit, fact: Fact, which: Any, state: ProposalState) -> None:
    row = _find(unit.connection, which)
    if row is not None:
        move(unit, proposal, row["act_id"], row["state"], state, reason=None)
    observed(unit, fact)


def _is_ours(data: str) -> bool:
    """Whether the authority is to do this to itself, rather than to call something else."""
    return any(data.startswith(item.selector) for item in CONTRACTS["authority"].functions.values())


def _now(connection: Connection) -> int:
    """The time of the last final block."""
    return connection.execute(select(cursor.c.timestamp)).scalar() or 0


def _name(act: str) -> str:
    """An act's own id, which is the token's, the minter's and the feed's name of it too."""
    return keccak(bytes.fromhex(act[2:]))


def _being_cancelled(connection: Connection) -> set[str]:
    """The acts that a cancellation is under way for."""
    under_way = intent.c.state.in_((IntentState.OPEN, IntentState.BOUND))
    told = select(intent.c.payload).where(intent.c.door == Door.CHAIN, intent.c.kind == "cancel", under_way)
    return {payload["act_id"] for payload in connection.scalars(told)}


def _find(connection: Connection, which: Any) -> RowMapping | None:
    return connection.execute(select(proposal).where(which)).mappings().one_or_none()


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in row if name not in ("act", "operation")} | _decoded(row["contract"], row["act"])


def _decoded(contract: str, act: str) -> dict[str, Any]:
    """The function that an act calls, and its arguments by name."""
    try:
        function, arguments = CONTRACTS[contract].decode_call(act)
    except (InvalidInput, MalformedDocument):
        return {"function": act[:10], "arguments": {"data": act}}
    if function == "rescue":
        arguments["value"] = str(arguments["value"])
    return {"function": function, "arguments": arguments}


def _quick(connection: Connection) -> Iterable[dict[str, Any]]:
    statement = (
        select(intent, transaction.c.outcome)
        .outerjoin(transaction, transaction.c.intent_id == intent.c.id)
        .where(intent.c.door == Door.CHAIN, intent.c.kind.in_((*QUICK, "cancel")), intent.c.subject.startswith("case:"))
    )
    for row in connection.execute(statement):
        yield {
            "act_id": None,
            "contract": QUICK.get(row.kind) or row.payload["contract"],
            "ready_at": None,
            "state": _QUICK_STATES[IntentState(row.state)],
            "at": row.at,
            "case": row.subject.removeprefix("case:"),
            "reason": reason(connection, row.id, row.outcome) if row.state == IntentState.VOID else None,
            "function": row.kind,
            "arguments": row.payload if row.kind in QUICK else {"act_id": row.payload["act_id"]},
        }


_QUICK_STATES = {
    IntentState.OPEN: "ordered",
    IntentState.BOUND: "sent",
    IntentState.DONE: "final",
    IntentState.VOID: "refused",
}
