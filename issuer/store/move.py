"""Moving house: every row of one database into another, empty one, whatever engine either runs on."""

import secrets
from collections.abc import Sequence
from itertools import islice

from sqlalchemy import Connection, Table, exists, func, insert, select

from issuer.errors import Refused
from issuer.store.tables import metadata, setting
from issuer.store.unit import MOVED, Store, Unit, move_of

_PAGE = 5000
_EMPTY = "Give the address of an empty one. If a move there was cut short, drop that database and create it again."


def copy(source: Store, target: Store) -> dict[str, int]:
    """Copy all rows while nobody else writes; how many of each table. All of it is there afterwards, or nothing.

    From then on the source, if it is SQLite, takes no more writes. A repetition copies nothing. Raises Misconfigured if
    the source has another version's schema or the target is not fit, Refused if the target holds anything else.
    """
    source.check()
    target.migrate()
    target.check()
    if _is_done(source, target):
        return {}
    # The target is committed first: what is cut short between the two commits leaves the source as it was.
    with source.unit("hold still") as old, target.unit("move in") as new:
        _require_empty(new.connection)
        old.connection.execute(insert(setting).values(name=MOVED, value=secrets.token_hex(16)))
        counts = {table.name: _copy(old.connection, new.connection, table) for table in metadata.sorted_tables}
        continue_numbers(new, metadata.sorted_tables)
    return counts


def continue_numbers(unit: Unit, tables: Sequence[Table]) -> None:
    """Have PostgreSQL number new rows after those that were given their numbers; SQLite does by itself."""
    if unit.connection.dialect.name != "postgresql":
        return
    for table in tables:
        column = table.autoincrement_column
        if column is not None:
            last = select(func.coalesce(func.max(column), 0) + 1).scalar_subquery()
            name = func.pg_get_serial_sequence(table.name, column.name)
            unit.connection.execute(select(func.setval(name, last, False)))


def _is_done(source: Store, target: Store) -> bool:
    """Whether this move was made already. Raises Refused if another one was."""
    with source.read() as old, target.read() as new:
        made = move_of(old)
        if made not in (None, move_of(new)):
            raise Refused("the database was moved to another address already", "Give that address again.")
    return made is not None


def _require_empty(connection: Connection) -> None:
    for table in metadata.sorted_tables:
        if connection.scalar(select(exists().select_from(table))):
            raise Refused(f"the new database has rows already, in {table.name}", _EMPTY)


def _copy(source: Connection, target: Connection, table: Table) -> int:
    rows = source.execution_options(yield_per=_PAGE).execute(select(table)).mappings()
    found, count = iter(rows), 0
    while page := [dict(row) for row in islice(found, _PAGE)]:
        target.execute(insert(table), page)
        count += len(page)
    return count
