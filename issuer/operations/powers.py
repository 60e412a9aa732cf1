"""Powers over the token: every use is asked for by a person, sent by the key that holds it, and recorded (R-33).

Quick powers take effect at once: freeze, stop, lower a limit, cancel. Slow ones are proposed, wait on chain in
everyone's sight, and are accepted when their delay is over; the guardian may cancel them until then.
"""

from typing import Any

from sqlalchemy import Connection, Row, insert, select

from issuer import audit
from issuer.errors import NotFound, Refused
from issuer.messages.contracts import CONTRACTS
from issuer.money import format_units
from issuer.operations.transitions import move
from issuer.store import intents, turn
from issuer.store.facts import Fact
from issuer.store.states import Door, ProposalState
from issuer.store.tables import cursor, proposal
from issuer.store.unit import Unit

_AMOUNTS = frozenset(("capacity", "refill", "value"))
"""Arguments in units; a refill is a second's."""


def freeze(unit: Unit, *, accounts: list[str], case: str) -> dict[str, Any]:
    """Freeze accounts under a case, in one step. The coins stay backed (R-13)."""
    return order(unit, "freeze", {"accounts": accounts}, case=case)


def stop(unit: Unit, *, stops: int, case: str) -> dict[str, Any]:
    """Stop transfers, mints or redemptions (bits 1, 2, 4), in one step."""
    return order(unit, "stop", {"stops": stops}, case=case)


def lower(unit: Unit, *, key: str, capacity: int, refill: int, case: str) -> dict[str, Any]:
    """Lower a minting limit at once: capacity in units, refill in units per second."""
    return order(unit, "lower", {"key": key, "capacity": capacity, "refill": refill}, case=case)


def propose(unit: Unit, *, contract: str, act: str, case: str) -> dict[str, Any]:
    """Propose a slow act (calldata of `contract`: token, minter or feed); it is accepted when its delay is over."""
    return order(unit, "propose", {"contract": contract, "act": act}, case=case)


def cancel(unit: Unit, *, act_id: str, case: str) -> dict[str, Any]:
    """Cancel a slow act that waits. Raises NotFound or Refused."""
    turn.wait(unit)
    row = _get(unit.connection, act_id)
    if row["state"] not in (ProposalState.PROPOSED, ProposalState.ACCEPTING, ProposalState.FAILED):
        raise Refused(f"the act is {row['state']}", "Only a waiting act can be cancelled.")
    return order(unit, "cancel", {"contract": row["contract"], "act_id": act_id}, case=case)


def accept_ready(unit: Unit) -> int:
    """Have the slow acts accepted whose delay is over by the chain's own time; the number ordered."""
    now = unit.connection.execute(select(cursor.c.timestamp)).scalar() or 0
    statement = select(proposal).where(proposal.c.state == ProposalState.PROPOSED, proposal.c.ready_at <= now)
    rows = unit.connection.execute(statement).all()
    for row in rows:
        accept(unit, row)
    return len(rows)


def accept(unit: Unit, row: Row[Any]) -> None:
    """Have one slow act accepted."""
    move(unit, proposal, row.act_id, ProposalState.PROPOSED, ProposalState.ACCEPTING)
    order(unit, "accept", {"contract": row.contract, "act": row.act}, case=f"act:{row.act_id}")


def proposed(unit: Unit, fact: Fact) -> None:
    """A slow act waits on chain, whoever proposed it."""
    told = fact.payload
    known = unit.connection.execute(select(proposal).where(proposal.c.act_id == told["actId"])).one_or_none()
    values = {"contract": told["contract"], "act": told["act"], "ready_at": told["readyAt"], "at": unit.now}
    if known is None:
        statement = insert(proposal).values(act_id=told["actId"], state=ProposalState.PROPOSED, **values)
        unit.connection.execute(statement)
    else:
        move(unit, proposal, told["actId"], known.state, ProposalState.PROPOSED, **values)
    observed(unit, fact)


def accepted(unit: Unit, fact: Fact) -> None:
    _end(unit, fact, ProposalState.ACCEPTED)


def cancelled(unit: Unit, fact: Fact) -> None:
    _end(unit, fact, ProposalState.CANCELLED)


def not_accepted(unit: Unit, subject: str, *, refused: bool) -> None:
    """An acceptance came to nothing. If the contract would refuse it, it has failed; else it is ordered again."""
    row = _get(unit.connection, subject.removeprefix("case:act:"))
    state = ProposalState.FAILED if refused else ProposalState.PROPOSED
    if row["state"] == ProposalState.ACCEPTING:
        move(unit, proposal, row["act_id"], ProposalState.ACCEPTING, state)


def observed(unit: Unit, fact: Fact) -> None:
    """Record a use of a power that the chain shows, ours or not."""
    told = {name: _text(name, value) for name, value in fact.payload.items() if name not in ("block", "timestamp")}
    audit.append(unit, f"chain.{fact.kind}", f"event:{fact.key}", after=told, evidence=[fact.payload["transaction"]])


def every(connection: Connection) -> list[dict[str, Any]]:
    """The slow acts, with the function and arguments that each would call."""
    rows = connection.execute(select(proposal).order_by(proposal.c.at)).mappings()
    return [{**row, **_decoded(row["contract"], row["act"])} for row in rows]


def order(unit: Unit, kind: str, payload: dict[str, Any], *, case: str) -> dict[str, Any]:
    record = audit.append(
        unit, f"power.{kind}", f"case:{case}", after={name: _text(name, value) for name, value in payload.items()}
    )
    intents.emit(unit, Door.CHAIN, kind, f"case:{case}", payload, record)
    return {"power": kind, "case": case, **payload}


def _text(name: str, value: Any) -> Any:
    """An amount as CNH, any other number in digits: it may be larger than a canonical record can hold (RFC 8785)."""
    if name in _AMOUNTS:
        return format_units(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _end(unit: Unit, fact: Fact, state: ProposalState) -> None:
    row = _get(unit.connection, fact.payload["actId"])
    move(unit, proposal, row["act_id"], row["state"], state)
    observed(unit, fact)


def _get(connection: Connection, act_id: str) -> dict[str, Any]:
    row = connection.execute(select(proposal).where(proposal.c.act_id == act_id)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no act {act_id}", "See `issuer act list`.")
    return dict(row)


def _decoded(contract: str, act: str) -> dict[str, Any]:
    function, arguments = CONTRACTS[contract].decode_call(act)
    return {"function": function, "arguments": arguments}
