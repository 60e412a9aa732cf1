"""Queries by the shortest way: a statement that was executed before goes to SQLite's driver as it was compiled then.

SQLAlchemy has bound the same values into the same text, and makes the same rows of what comes. What is left out is what
it does around each execution, which takes longer than SQLite, and a run is mostly queries. What writes, and what is
refused, goes the long way.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, CursorResult, Engine, Select
from sqlalchemy.engine.result import IteratorResult, ResultMetaData
from sqlalchemy.sql import CompoundSelect

Place = tuple[str | None, Any, Callable[[Any], Any] | None]
"""The caller's name of a value and what the driver makes of it; or no name, and the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A query as the driver takes it."""

    text: str
    places: tuple[Place, ...]
    names: frozenset[str]  # that the caller must give
    rows: ResultMetaData


_PLANS: WeakKeyDictionary[Any, Plan | None] = WeakKeyDictionary()
"""By the statement itself; None for those that were seen once, or whose text depends on what is given."""


def hasten(engine: Engine) -> None:
    """Have an engine of SQLite ask by the shortest way."""
    engine._connection_cls = _Connection


class _Connection(Connection):
    def execute(self, statement: Any, parameters: Any = None, **options: Any) -> Any:
        plan, given = _PLANS.get(statement), parameters or {}
        if plan is None or options or not self.in_transaction() or given.keys() != plan.names:
            return self._execute_slowly(statement, parameters, **options)
        values = [
            value if name is None else given[name] if process is None else process(given[name])
            for name, value, process in plan.places
        ]
        driver: Any = self.connection.dbapi_connection
        try:
            rows = driver.execute(plan.text, values).fetchall()
        except sqlite3.Error:
            return self._execute_slowly(statement, parameters)  # it says what is wrong as it always does
        return IteratorResult(plan.rows, iter(rows))

    def scalar(self, statement: Any, parameters: Any = None, **options: Any) -> Any:
        return self.execute(statement, parameters, **options).scalar()

    def scalars(self, statement: Any, parameters: Any = None, **options: Any) -> Any:
        return self.execute(statement, parameters, **options).scalars()

    def _execute_slowly(self, statement: Any, parameters: Any, **options: Any) -> Any:
        result = super().execute(statement, parameters, **options)
        if isinstance(statement, Select | CompoundSelect) and not isinstance(parameters, list):
            seen = statement in _PLANS
            _PLANS[statement] = _plan(result, parameters or {}) if seen else None
        return result


def _plan(result: CursorResult[Any], given: Mapping[str, Any]) -> Plan | None:
    """How a query was executed just now."""
    context: Any = result.context
    compiled, rows = context.compiled, context.compiled._cached_metadata
    if rows is None or {bind.key for bind in compiled.post_compile_params} & given.keys():
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
    return Plan(text=context.statement, places=places, names=frozenset(given), rows=rows)
