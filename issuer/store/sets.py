"""Sets of rows: many are written by as few statements as one would be, on both engines.

PostgreSQL takes the columns of a set as arrays and unnests them; SQLite runs one prepared statement over the rows.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import repeat
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    Delete,
    Insert,
    Select,
    Table,
    Update,
    any_,
    bindparam,
    cast,
    func,
    select,
    text,
    update,
)
from sqlalchemy import insert as insert_into
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from issuer.store.unit import Unit

_Statement = TypeVar("_Statement", Select[Any], Update, Delete)

_NUMBERS = text("SELECT array_agg(nextval(pg_get_serial_sequence(:name, 'id'))) FROM generate_series(1, :count)")


def numbers(unit: Unit, table: Table, count: int) -> list[int]:
    """Ids for so many new rows, ascending, which no other unit gets."""
    if _is_postgresql(unit.connection):
        return sorted(unit.connection.scalar(_NUMBERS, {"name": table.name, "count": count}) or [])
    # SQLite's write lock is held.
    last = unit.connection.scalar(_last(table)) or 0
    return list(range(last + 1, last + count + 1))


def insert(unit: Unit, table: Table, columns: Mapping[str, Sequence[Any]], **same: Any) -> None:
    """Insert rows in order, given by their columns, all of one length, and by the values that are the same in all."""
    told = {name: _plain(table.c[name], values) for name, values in columns.items()}
    if _is_postgresql(unit.connection):
        unit.connection.execute(_unnested(table, tuple(told), tuple(same)), told | same)
    else:
        rows = zip(*told.values(), *(repeat(value) for value in same.values()), strict=False)
        unit.connection.exec_driver_sql(_prepared(table, (*told, *same)), list(rows))


def change(
    unit: Unit, table: Table, keys: Sequence[Any], columns: Mapping[str, Sequence[Any]], *, old: str, **same: Any
) -> int:
    """Set columns of rows that are in the old state, by their keys: some to a value of its own in each, others to the
    same in all; how many rows there were.
    """
    told = {name: _plain(table.c[name], list(values)) for name, values in columns.items()}
    if _is_postgresql(unit.connection):
        given = {"keys": list(keys), "old": old, **told, **same}
        return unit.connection.execute(_changed_by_sets(table, tuple(told), tuple(same)), given).rowcount
    statement, order = _changed(table, (*told, *same))
    rows = {"at": keys, **told, **{name: repeat(value) for name, value in {"old": old, **same}.items()}}
    return unit.connection.exec_driver_sql(statement, list(zip(*(rows[name] for name in order), strict=False))).rowcount


def add(unit: Unit, table: Table, changes: Mapping[Any, int], **values: Any) -> None:
    """Add to the balances of rows, by their keys, and set other columns of theirs.

    The rows are held in the order of their keys, so that two units never wait for each other in a circle.
    """
    keys = sorted(changes)
    told = [changes[key] for key in keys]
    if _is_postgresql(unit.connection):
        hold, change = _added_to_held(table, tuple(values))
        unit.connection.execute(hold, {"keys": keys})
        unit.connection.execute(change, {"keys": keys, "changes": told, **values})
    else:
        statement, order = _added(table, tuple(values))
        given = {"at": keys, "change": told, **{name: repeat(value) for name, value in values.items()}}
        unit.connection.exec_driver_sql(statement, list(zip(*(given[name] for name in order), strict=False)))


def among(connection: Connection, statement: _Statement, column: Column[Any]) -> _Statement:
    """The statement for those rows whose column is in a list, which it takes as ``among``."""
    return _among(statement, column, _is_postgresql(connection))  # type: ignore[no-any-return]


def _is_postgresql(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _plain(column: Column[Any], values: Sequence[Any]) -> Sequence[Any]:
    return [json.dumps(value) for value in values] if isinstance(column.type, JSON) else values


@cache
def _among(statement: Any, column: Column[Any], postgresql: bool) -> Any:
    each: ColumnElement[Any]
    if postgresql:
        each = func.unnest(bindparam("among", type_=ARRAY(column.type)))
    else:
        each = func.json_each(bindparam("among", type_=JSON)).table_valued("value").c.value
    return statement.where(column.in_(select(each)))


@cache
def _last(table: Table) -> Select[Any]:
    return select(func.max(table.c.id))


@cache
def _unnested(table: Table, names: tuple[str, ...], same: tuple[str, ...]) -> Insert:
    """Takes columns as arrays, and what is the same in all rows as it is, by their names."""
    given = [_values(table.c[name]) for name in names]
    given += [cast(bindparam(name), table.c[name].type) for name in same]
    return insert_into(table).from_select([*names, *same], select(*given))


def _values(column: Column[Any]) -> ColumnElement[Any]:
    if isinstance(column.type, JSON):
        return cast(func.unnest(bindparam(column.name, type_=ARRAY(Text))), JSON)
    return func.unnest(bindparam(column.name, type_=ARRAY(column.type)))


@cache
def _prepared(table: Table, names: tuple[str, ...]) -> str:
    """Takes a row's values in the order of the names."""
    # SQLAlchemy would write the columns in the table's order.
    quote = sqlite.dialect().identifier_preparer.quote
    columns, places = (", ".join(part) for part in (map(quote, names), "?" * len(names)))
    return f"INSERT INTO {quote(table.name)} ({columns}) VALUES ({places})"  # noqa: S608 - names of our own tables


@cache
def _changed(table: Table, names: tuple[str, ...]) -> tuple[str, list[str]]:
    """What sets these columns of the row ``at`` in the state ``old``, and the order in which it takes all of them."""
    (key,) = table.primary_key.columns
    values: dict[str, ColumnElement[Any]] = {name: bindparam(name) for name in names}
    changed = update(table).where(key == bindparam("at"), table.c.state == bindparam("old")).values(**values)
    compiled = changed.compile(dialect=sqlite.dialect())
    return str(compiled), list(compiled.positiontup or ())


@cache
def _changed_by_sets(table: Table, names: tuple[str, ...], same: tuple[str, ...]) -> Update:
    """Takes keys and columns as arrays, and what is the same in all rows as it is, by their names."""
    (key,) = table.primary_key.columns
    at = func.unnest(bindparam("keys", type_=ARRAY(key.type))).label("at")
    given = select(at, *(_values(table.c[name]).label(name) for name in names)).subquery()
    values: dict[str, ColumnElement[Any]] = {name: given.c[name] for name in names}
    values |= {name: bindparam(name) for name in same}
    return update(table).where(key == given.c.at, table.c.state == bindparam("old")).values(**values)


@cache
def _added(table: Table, names: tuple[str, ...]) -> tuple[str, list[str]]:
    """What adds ``change`` to the row ``at`` and sets these columns, and the order in which it takes all of them."""
    (key,) = table.primary_key.columns
    values: dict[str, ColumnElement[Any]] = {name: bindparam(name) for name in names}
    change = update(table).where(key == bindparam("at"))
    compiled = change.values(balance=table.c.balance + bindparam("change"), **values).compile(dialect=sqlite.dialect())
    return str(compiled), list(compiled.positiontup or ())


@cache
def _added_to_held(table: Table, names: tuple[str, ...]) -> tuple[Any, Update]:
    """Holds the rows in the order of their keys; adds the changes to them."""
    (key,) = table.primary_key.columns
    keys = bindparam("keys", type_=ARRAY(key.type))
    changes = bindparam("changes", type_=ARRAY(table.c.balance.type))
    given = select(func.unnest(keys).label("at"), func.unnest(changes).label("change")).subquery()
    values: dict[str, ColumnElement[Any]] = {name: bindparam(name) for name in names}
    change = update(table).where(key == given.c.at).values(balance=table.c.balance + given.c.change, **values)
    return select(key).where(key == any_(keys)).order_by(key).with_for_update(key_share=True), change
