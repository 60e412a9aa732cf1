"""Records: what was decided, by whom, about what, as canonical JSON.

Version 1 of a record is one object with exactly these members:

- ``v``: 1;
- ``at``: seconds since 1970 UTC;
- ``actor``: ``service``, or a person as ``operator:NAME``;
- ``action``: ``noun.verb``; what before and after hold is the action's own matter;
- ``subject``: what it is about, as ``noun:id``;
- ``before``, ``after``: objects with what the action changed, or null;
- ``evidence``: hashes and references of what the decision rests on, as text.

Personal data is never in a record: only commitments to it (see issuer.audit.personal).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert

from issuer.errors import InvalidInput, MalformedDocument
from issuer.messages.abi import keccak
from issuer.store import sets
from issuer.store.tables import audit_record
from issuer.store.unit import Unit
from issuer.tlog.tiles import MAX_ENTRY_SIZE

VERSION = 1

LONG = 16_384
"""Bytes of canonical JSON: of a longer value that somebody else has chosen a record holds the hash, so that it fits."""

_MAX_INTEGER = 2**53 - 1
"""What RFC 8785 can write without losing digits (its section 3.2.2.3 refers to IEEE 754 doubles)."""

_MAX_DEPTH = 16
"""The parser's own guard is the interpreter's recursion limit, which a dependency raises until the stack overflows."""

_APPEND = insert(audit_record).returning(audit_record.c.id)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_HEX = re.compile("0x(?:[0-9a-f]{2})*")
_NOT_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[^\[\]{}]', re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Record:
    at: int
    actor: str
    action: str
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    evidence: Sequence[str]

    def encode(self) -> bytes:
        """The bytes that are hashed into the log. Raises InvalidInput."""
        body = canonical({"v": VERSION, **vars(self)})
        if len(body) > MAX_ENTRY_SIZE:
            raise InvalidInput(f"a record is at most {MAX_ENTRY_SIZE} bytes long, not {len(body)}")
        return body


def append(
    unit: Unit,
    action: str,
    subject: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    evidence: Sequence[str] = (),
) -> int:
    """Write a record in the name of the unit's actor; return its id, which an intent waits on.

    In recovery the record is in the log already, and its own id is found. Raises InvalidInput for values that have no
    canonical form: floats, integers beyond 2^53 - 1, keys not in ASCII.
    """
    record = Record(
        at=unit.now,
        actor=unit.actor,
        action=action,
        subject=subject,
        before=before,
        after=after,
        evidence=evidence,
    )
    if unit.recall is not None:
        return unit.recall(record)
    return int(unit.connection.execute(_APPEND, {"body": record.encode(), "subject": subject}).scalar_one())


def append_all(unit: Unit, action: str, told: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a record of one action on each of many subjects, in their order, with what each has after it.

    Raises as `append` does.
    """
    if unit.recall is not None:
        for subject, after in told.items():
            append(unit, action, subject, after=after)
        return
    blank: dict[str, Any] = {"at": unit.now, "actor": unit.actor, "action": action, "before": None, "evidence": ()}
    bodies = [Record(subject=subject, after=after, **blank).encode() for subject, after in told.items()]
    ids = sets.numbers(unit, audit_record, len(bodies))
    sets.insert(unit, audit_record, {"id": ids, "body": bodies, "subject": list(told)})


def shorten(value: str) -> str | dict[str, Any]:
    """Text or 0x-hex bytes as a record holds it: of what is long, Keccak-256 and the number of bytes."""
    if len(canonical(value)) <= LONG:
        return value
    raw = bytes.fromhex(value[2:]) if _HEX.fullmatch(value) else value.encode()
    return {"keccak256": keccak(raw), "length": len(raw)}


def decode(body: bytes) -> Record:
    """Read a record back. Raises MalformedDocument unless it is a record of version 1 in its canonical form."""
    if _depth(body) > _MAX_DEPTH:
        raise MalformedDocument(f"an audit record nests at most {_MAX_DEPTH} deep")
    try:
        fields = json.loads(body)
        if fields.pop("v") != VERSION:
            raise MalformedDocument(f"not a record of version {VERSION}")
        record = Record(**fields)
        written = record.encode()
    except (ValueError, TypeError, AttributeError, KeyError, InvalidInput) as error:
        raise MalformedDocument("not an audit record") from error
    if written != body:
        raise MalformedDocument("the audit record is not in its canonical form")
    return record


def canonical(value: object) -> bytes:
    """JSON in the one form of RFC 8785, for integers up to 2^53 - 1 and ASCII keys. Raises InvalidInput for the rest.

    Within these limits sorting by code point is sorting by UTF-16 unit, and the standard encoder escapes as the RFC
    does, so that its bytes are those of RFC 8785.
    """
    _check(value)
    try:
        return _ENCODER.encode(value).encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("text with half a character has no canonical form") from error


def _check(value: object, depth: int = 0) -> None:
    if depth > _MAX_DEPTH:
        raise InvalidInput(f"canonical JSON nests at most {_MAX_DEPTH} deep here")
    if value is None or isinstance(value, str | bool):
        return
    if isinstance(value, int):
        if abs(value) > _MAX_INTEGER:
            raise InvalidInput(f"the integer {value} is too large for canonical JSON", "Write it as text.")
    elif isinstance(value, dict):
        _check_object(value, depth)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item, depth + 1)
    else:
        raise InvalidInput(f"{type(value).__name__} has no canonical form", "Use integers, text, lists and objects.")


def _check_object(value: dict[Any, Any], depth: int) -> None:
    for key, item in value.items():
        if not isinstance(key, str) or not key.isascii():
            raise InvalidInput(f"the key {key!r} is not ASCII text")
        _check(item, depth + 1)


def _depth(body: bytes) -> int:
    """How deep a JSON text nests, told without parsing it."""
    depth = deepest = 0
    for bracket in _NOT_BRACKETS.sub(b"", body):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest
