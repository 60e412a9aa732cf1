"""Recall: what an operation records, while it is lived through again, is found among the next records of the log."""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import takewhile
from typing import Any

from sqlalchemy import Column, Update, bindparam, update

from issuer.audit import schema
from issuer.audit.record import Record
from issuer.audit.restoration import Lost
from issuer.errors import Conflict
from issuer.store import recovery, tables
from issuer.store.unit import Unit

_RENAMED: dict[str, Column[Any]] = {
    "customer.added": tables.customer.c.id,
    "lock.engaged": tables.lock.c.id,
    "mint.requested": tables.mint_order.c.commitment,
}
"""Records whose subject was drawn or counted then: the row gets the name that the log has for it."""

_FEW = 16

Renamed = tuple[str, str, str]
"""An action, the subject made now, that of the log."""


class Unmatched(Conflict):
    """An operation would record something else than the log has."""


class Recall:
    """Finds records by what an operation would write now."""

    def __init__(self, window: Sequence[Lost], last: int) -> None:
        """One act may bring about the first record and those that are like it, up to the place ``last``."""
        self.head = window[0].record
        self.used: list[int] = []  # places
        self.rest = list(window)
        self.renamed: list[Renamed] = []
        self._window = window
        self._last = last

    @property
    def run(self) -> list[Record]:
        """The records of the head's action, actor and moment that follow one another from it on."""
        return [item.record for item in takewhile(self._continues, self._window)]

    @property
    def next(self) -> list[Record]:
        """The few records after the head that are of its moment, among them those of its own unit of work."""
        return [item.record for item in self._window[1:_FEW] if item.record.at == self.head.at]

    @property
    def after(self) -> list[Record]:
        """The records after the head."""
        return [item.record for item in self._window[1:]]

    def __call__(self, made: Record) -> int:
        """The id of the record. Raises Unmatched."""
        fields = json.loads(made.encode())
        for item in self.rest:
            if _alike(item.record, fields):
                if fields["subject"] != item.record.subject:
                    self.renamed.append((made.action, fields["subject"], item.record.subject))
                return self._use(item)
        raise Unmatched(f"it would record {made.action} of {made.subject}")

    def use_head(self) -> int:
        """Take the head as it is; its id."""
        return self._use(self._window[0])

    @property
    def holds(self) -> bool:
        """Whether the head was among what was recorded."""
        return self._window[0].place in self.used

    def _continues(self, item: Lost) -> bool:
        found, head = item.record, self.head
        alike = (found.action, found.actor, found.at) == (head.action, head.actor, head.at)
        return alike and item.place <= self._last

    def _use(self, item: Lost) -> int:
        self.rest.remove(item)
        self.used.append(item.place)
        return item.id


def rename(unit: Unit, renamed: Iterable[Renamed]) -> None:
    """Give rows the names that the log has for them."""
    for action, made, known in renamed:
        column = _RENAMED[action]
        read = column.type.python_type
        unit.connection.execute(_rename(column), {"made": read(name(made)), "known": read(name(known))})
        if read is int:
            recovery.continue_numbers(unit)


@cache
def _rename(column: Column[Any]) -> Update:
    return update(column.table).where(column == bindparam("made")).values({column.name: bindparam("known")})


def name(subject: str) -> str:
    """What a subject names, without its kind."""
    return subject.partition(":")[2]


def _alike(known: Record, made: dict[str, Any]) -> bool:
    """Whether the log's record is this one, but for what was drawn at random."""
    if (known.action, known.actor, known.at) != (made["action"], made["actor"], made["at"]):
        return False
    if known.subject != made["subject"] and known.action not in _RENAMED:
        return False
    if (known.before, list(known.evidence)) != (made["before"], made["evidence"]):
        return False
    return _certain(known.action, known.after) == _certain(known.action, made["after"])


def _certain(action: str, fields: Any) -> dict[str, Any] | None:
    """A record's fields without commitments, each of which has its own salt."""
    kinds = schema.ACTIONS[action].after or {}
    if fields is None:
        return None
    return {name: value for name, value in fields.items() if kinds.get(name) != "commitment"}
