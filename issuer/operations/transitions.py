"""Moving a row from one state to another: compare and set, so that no move is made twice."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Table, update

from issuer.errors import BrokenInvariant
from issuer.store.unit import Unit


def move(unit: Unit, table: Table, row_id: Any, old: str | Collection[str], new: str, **values: Any) -> None:
    """Set the state (and other columns) of one row that is in the old state. Raises BrokenInvariant if it is not."""
    sources = [old] if isinstance(old, str) else list(old)
    (key,) = table.primary_key.columns
    statement = update(table).where(key == row_id, table.c.state.in_(sources)).values(state=new, **values)
    if unit.connection.execute(statement).rowcount != 1:
        raise BrokenInvariant(f"{table.name} {row_id} is not {' or '.join(sources)}, so it cannot become {new}")
