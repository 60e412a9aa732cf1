"""The exported books, added up by another program (beancount from PyPI), and compared with the chain."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from beancount import loader
from beancount.core.data import Transaction

from issuer.ledger import chart, journal
from issuer.money import UNITS_PER_CNH
from issuer.reports import export
from issuer.store.unit import Store
from tests import anvil, stranger
from tests.clock import ManualClock
from tests.world import World

DAY = 24 * 3600


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with anvil.run() as chain:
        world = World.create(tmp_path_factory.mktemp("world"), chain)
        stranger.live(world)
        yield world
        world.close()


def written(world: World, form: str) -> str:
    with world.issuer.store.read() as connection:
        return "\n".join(getattr(export, form)(connection)) + "\n"


def total(entries: Iterable[Any], root: str) -> Decimal:
    """What beancount has read for an account and all below it."""
    postings = [posting for entry in entries if isinstance(entry, Transaction) for posting in entry.postings]
    amounts = (found.units for found in postings if found.account.startswith(root))
    return sum((units.number or Decimal() for units in amounts if units), Decimal())


def test_beancount_balances_the_books_and_they_equal_the_chain(world: World, tmp_path: Path) -> None:
    path = tmp_path / "books.beancount"
    path.write_text(written(world, "beancount"))
    entries, errors, _ = loader.load_file(str(path))
    assert errors == []
    assert -total(entries, "Liabilities:Tokens:Outstanding") * UNITS_PER_CNH == world.view("totalSupply")
    assert total(entries, "Assets:Bank:Reserve") * UNITS_PER_CNH == world.view("totalSupply")
    assert total(entries, "Assets") + total(entries, "Liabilities") == 0
    subjects = [entry.meta["subject"] for entry in entries if isinstance(entry, Transaction)]
    assert any(subject.startswith("redemption:") for subject in subjects)


def test_beancount_finds_a_wrong_figure(world: World, tmp_path: Path) -> None:
    """Both that an entry does not balance, and that an asserted balance is not reached."""
    path, text = tmp_path / "books.beancount", written(world, "beancount")
    path.write_text(text.replace("Assets:Bank:Collection  1000000.000000", "Assets:Bank:Collection  1000001.000000", 1))
    _, errors, _ = loader.load_file(str(path))
    assert {type(error).__name__ for error in errors} >= {"ValidationError", "BalanceError"}


def test_beancount_reads_any_reference_and_any_clock(tmp_path: Path) -> None:
    """A bank's reference holds a quote and a backslash, and the clock was set back by a day after the first entry."""
    clock = ManualClock()
    store = Store(f"sqlite:///{tmp_path}/issuer.db", clock)
    store.migrate()
    references = ['a "quote"', "a back\\slash", 'both \\"']
    for reference in references:
        with store.unit("book") as unit:
            about = {"debit": chart.COLLECTION, "credit": chart.SUSPENSE}
            journal.post(unit, journal.transfer("came in", f"deposit:{reference}", units=1, **about))
        clock.advance(-DAY)
    with store.read() as connection:
        text = "\n".join(export.beancount(connection)) + "\n"
    store.close()
    path = tmp_path / "books.beancount"
    path.write_text(text)
    entries, errors, _ = loader.load_file(str(path))
    assert errors == []
    subjects = [entry.meta["subject"] for entry in entries if isinstance(entry, Transaction)]
    assert sorted(subjects) == sorted(f"deposit:{reference}" for reference in references)


def test_hledger_text_balances_too(world: World) -> None:
    """Read by its grammar: every entry sums to zero, and every assertion is the sum of the postings before it."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    asserted = 0
    for block in written(world, "hledger").split("\n\n"):
        postings = re.findall(r"^    (\S+)  (-?[0-9.]+) CNH(?: = (-?[0-9.]+) CNH)?$", block, re.MULTILINE)
        assert sum(Decimal(amount) for _, amount, _ in postings) == 0
        for name, amount, balance in postings:
            sums[name] += Decimal(amount)
            if balance:
                asserted += 1
                assert sums[name] == Decimal(balance)
    assert asserted == len(sums) > 4
    assert -sums["liabilities:tokens:outstanding"] * UNITS_PER_CNH == world.view("totalSupply")
