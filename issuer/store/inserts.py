"""Inserts that both engines understand."""

from functools import cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(connection: Connection, table: Table) -> Any:
    """An insert that passes over rows which are there already, by any of the table's unique keys."""
    return _insert_new(connection.dialect.name, table)


@cache
def _insert_new(dialect: str, table: Table) -> Any:
    engine = postgresql if dialect == "postgresql" else sqlite
    return engine.insert(table).on_conflict_do_nothing()
