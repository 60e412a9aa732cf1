"""Moving the database: every row arrives as it was, and the house goes on from there."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Table, select, text

from issuer import crash
from issuer.errors import Misconfigured, Refused
from issuer.ledger import journal
from issuer.money import fen_to_units
from issuer.operations import customers, mints
from issuer.operations.requests import Request, carry_out
from issuer.store import backup, move
from issuer.store.tables import metadata
from issuer.store.unit import Store, Unit
from tests.clock import ManualClock
from tests.integration.desk import ALICE, ALICE_BANK, BOB_BANK, POLICY, Desk

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


def test_a_database_in_use_is_not_moved(old: Store) -> None:
    with old.unit("work"), pytest.raises(Refused, match="in use"):
        backup.require_idle(old.url)
    old.close()
    with pytest.raises(Misconfigured):
        backup.require_idle("postgresql://somewhere/else")


def test_who_waits_while_it_is_moved_is_told_and_nothing_is_lost(
    old: Store, url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another operator's command is accepted by the database that goes on, or by none."""
    new, other, copying = Store(url, clock), Store(old.url, clock), threading.Event()
    finish = move.continue_numbers

    def slowly(unit: Unit, tables: Sequence[Table]) -> None:
        copying.set()
        time.sleep(0.5)
        finish(unit, tables)

    monkeypatch.setattr(move, "continue_numbers", slowly)
    with ThreadPoolExecutor(1) as pool:
        moving = pool.submit(move.copy, old, new)
        copying.wait(30)
        with pytest.raises(Misconfigured, match="was moved"):
            ask(other)
        moving.result()
    assert rows(old) == rows(new)
    assert ask(new)["name"] == "Bob"
    for store in (new, other, old):
        store.close()


def ask(store: Store) -> dict[str, object]:
    asked = Request(caller="operator:ben", key="k-1", operation="customer.add", body={})
    added = partial(customers.add, policy=POLICY, name="Bob", jurisdiction="HK", bank_account=BOB_BANK)
    return carry_out(store, asked, added).body


MOMENTS = [
    "before commit move in",
    "after commit move in",
    "before commit hold still",
    "after commit hold still",
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_move_that_was_cut_short_is_repeated(old: Store, url: str, clock: ManualClock, moment: str) -> None:
    """Until the last commit the old database is the one that goes on, and then it is the new one."""
    new, before = Store(url, clock), rows(old)

    def die(point: str) -> None:
        if point == moment:
            raise KeyboardInterrupt

    crash.observe(die)
    try:
        with pytest.raises(KeyboardInterrupt):
            move.copy(old, new)
    finally:
        crash.observe(None)
    if moment == "after commit hold still":
        assert move.copy(old, new) == {}
        assert ask(new)["name"] == "Bob"
    else:
        assert rows(old) == before
        assert ask(old)["name"] == "Bob"
    if moment == "before commit move in":
        assert move.copy(old, new)["customer"] == 2
    elif moment != "after commit hold still":
        with pytest.raises(Refused, match="has rows already") as refused:
            move.copy(old, new)
        assert "drop that database" in refused.value.do
    new.close()
    old.close()


def test_a_database_that_knows_no_letters_is_refused(postgresql: str, clock: ManualClock) -> None:
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS letters")
        connection.execute("CREATE DATABASE letters ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    store = Store(postgresql.replace("/postgres?", "/letters?"), clock)
    store.migrate()
    with pytest.raises(Misconfigured, match="SQL_ASCII, not UTF8"):
        store.check()
    store.close()
