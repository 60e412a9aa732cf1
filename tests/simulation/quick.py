"""Documents are read once, and statements go by the shortest way: as they were compiled before, to SQLite's driver.

SQLAlchemy has bound the same values into the same text, and makes the same rows of what comes; its listeners are told
as always. What is left out is what it does around each execution, which takes longer than SQLite does, and a run is
mostly that. What is refused goes the long way, so that it is refused as always.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, CursorResult, Delete, Engine, Insert, Select, Update
from sqlalchemy.engine.result import IteratorResult, ResultMetaData
from sqlalchemy.sql import CompoundSelect

from issuer.messages import camt, pain

Place = tuple[str | None, Any, Callable[[Any], Any] | None]
"""The caller's name of a value and what the driver makes of it; or no name, and the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A statement as the driver takes it."""

    text: str
    places: tuple[Place, ...]
    names: frozenset[str]  # that the caller must give
    rows: ResultMetaData | None  # None if it gives none
    writes: bool


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a statement that gives no rows."""

    rowcount: int


_KINDS = (Select, CompoundSelect, Insert, Update, Delete)
_PLANS: WeakKeyDictionary[Any, Plan | None] = WeakKeyDictionary()
"""By the statement itself; None for those that were seen once, or whose text depends on what is given."""


def hasten(engine: Engine) -> None:
    """Have an engine of SQLite execute by the shortest way."""
    engine._connection_cls = _Connection


@cache
def remember_documents() -> None:
    """Have everybody who reads the same bytes be given the same document, from the first call on."""
    for module, name in ((camt, "read_notice"), (camt, "read_statement"), (pain, "read_order"), (pain, "read_status")):
        setattr(module, name, lru_cache(maxsize=1000)(getattr(module, name)))


class _Connection(Connection):
    def execute(self, statement: Any, parameters: Any = None, **options: Any) -> Any:
        if isinstance(parameters, list) and len(parameters) == 1:
            parameters = parameters[0]
        plan, given = _PLANS.get(statement), parameters or {}
        if plan is None or options or isinstance(given, list) or given.keys() != plan.names:
            return self._execute_slowly(statement, parameters, **options)
        values = [
            value if name is None else given[name] if process is None else process(given[name])
            for name, value, process in plan.places
        ]
        try:
            return self._go(plan, values)
        except sqlite3.Error:
            return self._execute_slowly(statement, parameters)

    def scalar(self, statement: Any, parameters: Any = None, **options: Any) -> Any:
        return self.execute(statement, parameters, **options).scalar()

    def scalars(self, statement: Any, parameters: Any = None, **options: Any) -> Any:
        return self.execute(statement, parameters, **options).scalars()

    def exec_driver_sql(self, statement: str, *parameters: Any, **options: Any) -> Any:
        if statement == "BEGIN IMMEDIATE":
            try:
                return self._driver.execute(statement)
            except sqlite3.Error:
                pass
        return super().exec_driver_sql(statement, *parameters, **options)

    @property
    def _driver(self) -> Any:
        return self.connection.dbapi_connection

    def _go(self, plan: Plan, values: Any) -> Any:
        if not plan.writes:
            return IteratorResult(plan.rows, iter(self._driver.execute(plan.text, values).fetchall()))  # type: ignore[arg-type]
        text = plan.text
        for listener in self.dispatch.before_cursor_execute:
            text, values = listener(self, None, text, values, None, False)
        cursor = self._driver.execute(text, values)
        rows = None if plan.rows is None else cursor.fetchall()
        for listener in self.dispatch.after_cursor_execute:
            listener(self, None, text, values, None, False)
        return Written(cursor.rowcount) if plan.rows is None else IteratorResult(plan.rows, iter(rows or ()))

    def _execute_slowly(self, statement: Any, parameters: Any, **options: Any) -> Any:
        result = super().execute(statement, parameters, **options)
        if isinstance(statement, _KINDS) and not isinstance(parameters, list):
            seen = statement in _PLANS
            _PLANS[statement] = _plan(result, parameters or {}) if seen else None
        return result


def _plan(result: CursorResult[Any], given: Mapping[str, Any]) -> Plan | None:
    """How a statement was executed just now."""
    context: Any = result.context
    compiled = context.compiled
    writes = compiled.isinsert or compiled.isupdate or compiled.isdelete
    rows = compiled._cached_metadata
    if {bind.key for bind in compiled.post_compile_params} & given.keys() or (rows is None and result.returns_rows):
        return None
    if writes and (compiled.insert_prefetch or compiled.update_prefetch or compiled.implicit_returning):
        return None
    order, processors = compiled.positiontup, dict(compiled._bind_processors)
    if compiled.post_compile_params:
        extracted = context.extracted_parameters
        bound = compiled.construct_params(given, extracted_parameters=extracted, escape_names=False)
        expanded = compiled._process_parameters_for_postcompile(bound)
        order, processors = expanded.positiontup, processors | expanded.processors
    keys = {name: bind.key for bind, name in compiled.bind_names.items() if bind.key in given}
    places = tuple(
        (keys[name], None, processors.get(name)) if name in keys else (None, value, None)
        for name, value in zip(order, context.parameters[0], strict=True)
    )
    names = frozenset(given)
    if names != set(keys.values()):
        return None
    return Plan(text=context.statement, places=places, names=names, rows=rows, writes=bool(writes))
