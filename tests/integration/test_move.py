"""Moving the database: every row arrives as it was, and the house goes on from there."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select, text

from issuer.errors import Misconfigured, Refused
from issuer.ledger import journal
from issuer.money import fen_to_units
from issuer.operations import mints
from issuer.store import backup, move
from issuer.store.tables import metadata
from issuer.store.unit import Store
from tests.clock import ManualClock
from tests.integration.desk import ALICE, ALICE_BANK, POLICY, Desk

FEN = 1_000_00
UNITS = fen_to_units(FEN)


@pytest.fixture
def url(postgresql: str) -> str:
    """An empty database on a server."""
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS new_house")
        connection.execute("CREATE DATABASE new_house")
    return postgresql.replace("/postgres?", "/new_house?")


@pytest.fixture
def old(tmp_path: Path, clock: ManualClock) -> Store:
    """A house with a customer's order in it, half way."""
    store = Store(f"sqlite:///{tmp_path}/issuer.db", clock)
    store.migrate()
    desk = Desk(store)
    customer_id = desk.customer("Alice Limited", ALICE_BANK, ALICE)
    desk.wire(ALICE_BANK, "Alice Limited", FEN)
    desk.act(mints.request, POLICY, customer_id=customer_id, wallet=ALICE, value=UNITS)
    desk.to_funded()
    return store


def rows(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with store.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]
            for table in metadata.sorted_tables
        }


def test_every_row_arrives_and_the_next_follows(old: Store, url: str, clock: ManualClock) -> None:
    new = Store(url, clock)
    counts = move.copy(old, new)
    assert rows(new) == rows(old)
    assert counts == {name: len(found) for name, found in rows(old).items()}
    moved = Desk.__new__(Desk)
    moved.store, moved.policy, moved.numbers = new, POLICY, iter(range(1000, 2000))
    moved.attest(reserve_units=UNITS, credited=UNITS)
    moved.mint()
    assert moved.order(1)["state"] == "final"
    with new.read() as connection:
        journal.verify(connection)
    new.close()
    old.close()


def test_a_house_that_is_lived_in_is_not_moved_into(old: Store, url: str, clock: ManualClock) -> None:
    new = Store(url, clock)
    new.migrate()
    with new.unit("live") as unit:
        unit.connection.execute(text("INSERT INTO setting (name, value) VALUES ('a', 'b')"))
    with pytest.raises(Refused, match="has rows already, in setting"):
        move.copy(old, new)
    new.close()
    old.close()


def test_a_database_in_use_is_not_set_aside(old: Store) -> None:
    with old.unit("work"), pytest.raises(Refused, match="in use"):
        backup.require_idle(old.url)
    old.close()
    kept = backup.set_aside(old.url, 0)
    assert kept.name == "issuer.db.moved-1970-01-01T000000Z"
    with pytest.raises(Misconfigured):
        backup.require_idle("postgresql://somewhere/else")


def test_a_database_that_knows_no_letters_is_refused(postgresql: str, clock: ManualClock) -> None:
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS letters")
        connection.execute("CREATE DATABASE letters ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    store = Store(postgresql.replace("/postgres?", "/letters?"), clock)
    store.migrate()
    with pytest.raises(Misconfigured, match="SQL_ASCII, not UTF8"):
        store.check()
    store.close()
