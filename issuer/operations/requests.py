"""What people and programs ask for, once each: an idempotency key is bound for ever to its caller, operation and body.

The key is bound in the unit of work that carries the request out, so a refused request binds nothing and two calls
with one key never both run.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy.exc import IntegrityError

from issuer import audit
from issuer.audit.record import canonical
from issuer.errors import Conflict, IssuerError, Locked, Refused, Unreachable
from issuer.store import recovery
from issuer.store.tables import request
from issuer.store.unit import Store, Unit

_KNOWN = select(request).where(request.c.key == bindparam("key"))
_BIND = insert(request)
LOST = ""
"""Stands for the hash of a body that was lost with a database."""

_FOR_RECOVERY = frozenset(("key.resume", "transaction.cancel"))
"""What recovery may wait for a person to do."""

_CATCH_UP = "Run `issuer run`; `issuer status` says what it waits for. Then ask again."


@dataclass(frozen=True, kw_only=True)
class Answer:
    body: dict[str, Any]
    replayed: bool  # the first answer, given again


@dataclass(frozen=True, kw_only=True)
class Request:
    caller: str  # the actor, such as ``operator:alice``
    key: str
    operation: str
    body: dict[str, Any]

    @property
    def body_hash(self) -> str:
        return "0x" + hashlib.sha256(canonical(self.body)).hexdigest()


def carry_out(store: Store, request: Request, act: Callable[[Unit], dict[str, Any]]) -> Answer:
    """Do the act once for this key, or give its first answer again.

    Raises Conflict if the key is bound to another operation or body, Locked while a restored database is in recovery
    and the key is not known, and whatever the act raises; a refusal is written to the audit log.
    """
    try:
        return _once(store, request, act)
    except IntegrityError:
        return _replay_after_race(store, request)
    except Unreachable:
        raise
    except IssuerError as error:
        # Another call with this key may have been first, and done what is refused now.
        known = find(store, request)
        if known is not None:
            return known
        if isinstance(error, Refused):
            _record_refusal(store, request, error)
        raise


def find(store: Store, asked: Request) -> Answer | None:
    """The answer that a key has already, if any. Raises Conflict if it is bound to another operation or body."""
    with store.read() as connection:
        return _known(connection, asked)


def _once(store: Store, asked: Request, act: Callable[[Unit], dict[str, Any]]) -> Answer:
    with store.unit(asked.operation, asked.caller) as unit:
        known = _known(unit.connection, asked)
        if known is not None:
            return known
        _require_caught_up(unit.connection, asked.operation)
        answer = act(unit)
        bind(unit, key=asked.key, operation=asked.operation, body_hash=asked.body_hash, answer=answer)
        return Answer(body=answer, replayed=False)


def bind(unit: Unit, *, key: str, operation: str, body_hash: str, answer: dict[str, Any]) -> None:
    """Bind a key for ever, also in the log: a restored database must not carry its request out a second time."""
    values = {"key": key, "caller": unit.actor, "operation": operation, "body_hash": body_hash}
    unit.connection.execute(_BIND, {**values, "answer": answer, "at": unit.now})
    audit.append(unit, "request.accepted", f"request:{key}", after={"operation": operation})


def _require_caught_up(connection: Connection, operation: str) -> None:
    """Raise Locked while this key may be bound already, in the part of the log that a restored database lacks.

    Also once the log is applied, until recovery ends: what is asked for would rest on facts that are not in yet.
    """
    found = recovery.find(connection)
    if found is None and not recovery.behind(connection) and recovery.has_whole_log(connection):
        return
    if operation in _FOR_RECOVERY and _knows_log(connection, found):
        return
    raise Locked("the database was restored and may not know yet what was decided after its backup", _CATCH_UP)


def _knows_log(connection: Connection, found: recovery.Recovery | None) -> bool:
    # What it waits for is noted by a step that has read the log folder. A key must not be counted on over
    # transactions that are still to be found.
    looked = found is not None and bool(found.waits) and recovery.searched(connection)
    return looked and recovery.has_whole_log(connection) and not recovery.behind(connection)


def _replay_after_race(store: Store, asked: Request) -> Answer:
    known = find(store, asked)
    if known is None:
        raise Conflict("another request changed the same thing at the same moment", "Try again with the same key.")
    return known


def _known(connection: Connection, asked: Request) -> Answer | None:
    row = connection.execute(_KNOWN, {"key": asked.key}).one_or_none()
    if row is None:
        return None
    if (row.caller, row.operation, row.body_hash) == (asked.caller, asked.operation, LOST):
        raise Conflict(
            f"the key {asked.key!r} was used before the database was restored; what it did stands, its answer is lost",
            "Look at what exists with the matching list command; use a new key only for a new request.",
        )
    if (row.caller, row.operation, row.body_hash) != (asked.caller, asked.operation, asked.body_hash):
        raise Conflict(
            f"the key {asked.key!r} is bound to another request ({row.operation} by {row.caller})",
            "Use a new key for a new request; repeat the old request exactly to see its answer.",
        )
    return Answer(body=row.answer, replayed=True)


def _record_refusal(store: Store, asked: Request, refusal: IssuerError) -> None:
    with store.unit("refuse", asked.caller) as unit:
        audit.append(
            unit,
            "request.refused",
            f"request:{asked.key}",
            after={"operation": asked.operation, "code": refusal.code},
        )
