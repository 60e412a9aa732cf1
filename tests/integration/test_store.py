"""The unit of work on both engines."""

from contextlib import suppress
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, select, text

from issuer.errors import Misconfigured
from issuer.store import recovery, schema, tables
from issuer.store.unit import Store, Unit
from tests.clock import ManualClock


def names(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.scalars(select(tables.setting.c.name)))


def test_a_unit_commits_all_of_it(store: Store) -> None:
    with store.unit("write") as unit:
        unit.connection.execute(insert(tables.setting).values(name="a", value="1"))
        unit.connection.execute(insert(tables.setting).values(name="b", value="2"))
    assert sorted(names(store)) == ["a", "b"]


def test_an_error_leaves_nothing(store: Store) -> None:
    with suppress(ZeroDivisionError), store.unit("write") as unit:
        unit.connection.execute(insert(tables.setting).values(name="a", value="1"))
        raise ZeroDivisionError
    assert names(store) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_number_that_an_open_unit_has_drawn_is_not_drawn_again(store: Store) -> None:
    """After a restore numbers go on behind those that were given again; who writes meanwhile has drawn his already."""

    def lock(unit: Unit, code: str) -> int:
        values = {"scope": "minting", "code": code, "reason": "", "remedy": "", "since": 1}
        return int(
            unit.connection.execute(insert(tables.lock).values(**values).returning(tables.lock.c.id)).scalar_one()
        )

    with store.unit("open") as slow:
        drawn = lock(slow, "one")
        with store.unit("meanwhile") as unit:
            recovery.continue_numbers(unit)
            assert lock(unit, "two") > drawn


def test_the_schema_is_exactly_the_tables(store: Store) -> None:
    store.check()
    with store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_the_versions_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [schema.VERSIONS[-1]]
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == schema.VERSIONS


def test_a_database_of_another_version_is_refused(tmp_path: Path, clock: ManualClock) -> None:
    store = Store(f"sqlite:///{tmp_path}/empty.db", clock)
    with pytest.raises(Misconfigured, match="schema none") as refused:
        store.check()
    assert "issuer upgrade" in refused.value.do
    store.migrate()
    with store.unit("come from the future") as unit:
        unit.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Misconfigured, match="schema 9999") as refused:
        store.check()
    assert "the version of the program" in refused.value.do
    store.close()
