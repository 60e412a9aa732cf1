"""Moving a row from one state to another: compare and set, so that no move is made twice."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Table, Update, bindparam, update

from issuer.errors import BrokenInvariant
from issuer.store import sets
from issuer.store.unit import Unit


def move(unit: Unit, table: Table, row_id: Any, old: str | Collection[str], new: str, **values: Any) -> None:
    """Set the state (and other columns) of one row that is in the old state. Raises BrokenInvariant if it is not."""
    sources = (old,) if isinstance(old, str) else tuple(old)
    told = {"row": row_id, "state": new, **values}
    if unit.connection.execute(_move(table, sources), told).rowcount != 1:
        raise BrokenInvariant(f"{table.name} {row_id} is not {' or '.join(sources)}, so it cannot become {new}")


def move_all(unit: Unit, table: Table, row_ids: Collection[int], old: str, new: str, **values: Any) -> None:
    """Set the state (and other columns) of all these rows. Raises BrokenInvariant if one is not in the old state."""
    (key,) = table.primary_key.columns
    statement = sets.among(unit.connection, _move_from(table), key)
    told = {"among": list(row_ids), "old": old, "state": new, **values}
    _require_all(table, row_ids, old, new, unit.connection.execute(statement, told).rowcount)


def move_each(
    unit: Unit,
    table: Table,
    row_ids: Sequence[int],
    old: str,
    new: str,
    columns: Mapping[str, Sequence[Any]],
    **same: Any,
) -> None:
    """The same, with columns that have a value of its own in each row."""
    _require_all(table, row_ids, old, new, sets.change(unit, table, row_ids, columns, old=old, state=new, **same))


def _require_all(table: Table, row_ids: Collection[int], old: str, new: str, moved: int) -> None:
    if moved != len(row_ids):
        raise BrokenInvariant(f"{len(row_ids) - moved} rows of {table.name} are not {old}, so they cannot become {new}")


@cache
def _move(table: Table, sources: tuple[str, ...]) -> Update:
    """Takes the row's key as ``row``, and the columns to set by their names."""
    (key,) = table.primary_key.columns
    return update(table).where(key == bindparam("row"), table.c.state.in_(sources))


@cache
def _move_from(table: Table) -> Update:
    """Takes the state of all rows to move as ``old``, and the columns to set by their names."""
    return update(table).where(table.c.state == bindparam("old"))
