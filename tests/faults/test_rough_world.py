"""A world on a real Anvil to which bad things happen; after each, chain, bank, books and log agree to the unit."""

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select

from issuer.cli.home import Issuer, open_issuer
from issuer.errors import BrokenInvariant
from issuer.operations import locks
from issuer.store import tables
from tests import anvil as anvils
from tests import proxy
from tests.anvil import TestChain
from tests.faults import exact
from tests.faults.rough import NAMES, RoughWorld
from tests.world import PASSPHRASE

SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))]
seeded = pytest.mark.parametrize("seed", SEEDS)


@pytest.fixture
def world(tmp_path: Path, anvil: TestChain) -> Iterator[RoughWorld]:
    with opened(tmp_path, anvil) as world:
        yield world


@contextmanager
def opened(path: Path, chain: TestChain, blocks: int = 3) -> Iterator[RoughWorld]:
    RoughWorld.create(path, chain).close()
    world = RoughWorld(path, chain)
    world.blocks = blocks
    world.begin()
    yield world
    world.close()


@seeded
def test_a_bad_line_to_the_node(tmp_path: Path, anvil: TestChain, seed: int) -> None:
    """Answers are lost, late, doubled, cut, garbled, refused or empty; what was asked may be done all the same."""
    choose = Random(seed)  # noqa: S311 - a seed, so that a test repeats
    with proxy.before(anvil.url) as line:
        anvil.url = line.url
        with opened(tmp_path, anvil) as world:
            line.otherwise = proxy.rough(choose, share=0.06)
            for _ in range(8):
                world.live(choose)
                world.turn()
            world.until(lambda: sum(state == "final" for state, _ in world.orders()) > 2, 200)
            assert world.refused, "some steps could not be done"
            line.otherwise = None
            world.settle()


@seeded
def test_reorganisations_within_finality(tmp_path: Path, seed: int) -> None:
    """Epochs of 32 blocks: what is not final is taken back again and again, with mints, reports and burns in it."""
    choose = Random(seed)  # noqa: S311 - a seed, so that a test repeats
    with anvils.run(epoch=32) as chain:
        with opened(tmp_path, chain, blocks=68) as world:
            world.blocks = 11
            taken_back = 0
            for number in range(60):
                if number >= 12 and taken_back:
                    break
                world.live(choose)
                world.turn()
                if choose.random() < 0.5:
                    seen = len(world.truth().mints)
                    chain.reorganise(choose.randrange(1, 50))
                    taken_back += seen - len(world.truth().mints)
            assert taken_back > 0, "a mint was taken back"
            world.blocks = 68
            world.settle()
        chain.stop()


def test_a_reorganisation_beyond_finality_stops_everything(world: RoughWorld) -> None:
    choose = Random(1)  # noqa: S311 - a seed, so that a test repeats
    for _ in range(6):
        world.live(choose)
        world.turn()
    world.chain.reorganise(8)
    world.turn()
    before = sent(world.issuer)
    assert engaged(world.issuer) == {("minting", "broken-finality"), ("payouts", "broken-finality")}
    for _ in range(4):
        world.live(choose)
        world.turn()
    assert sent(world.issuer) == before, "nothing is minted, and nothing paid"


def sent(issuer: Issuer) -> list[object]:
    """The mints that were signed, and the payments that were written."""
    minting = select(tables.transaction.c.id).join(tables.intent).where(tables.intent.c.kind == "mint")
    with issuer.store.read() as connection:
        written = list(connection.scalars(select(tables.document.c.name).where(tables.document.c.name.like("pain%"))))
        return [*connection.scalars(minting), *sorted(written)]


# -- the disk


@contextmanager
def small_disk(path: Path) -> Iterator[Callable[[bool], None]]:
    """A disk of its own under a folder; the yielded call fills it, or makes room again."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk; the limit on file sizes is tested all the same")
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", path], check=True)
    filler = path / "filler"

    def fill(full: bool) -> None:
        if not full:
            filler.unlink()
            return
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 4096):
                    pass
            except OSError:
                return

    try:
        yield fill
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@contextmanager
def small_files(path: Path) -> Iterator[Callable[[bool], None]]:
    """No file of this process may grow beyond a few bytes: each write fails in the middle."""
    path.mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(full: bool) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]) if full else before)

    try:
        yield limit
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("limited", [small_disk, small_files])
def test_a_full_disk(
    limited: Callable[[Path], AbstractContextManager[Callable[[bool], None]]], tmp_path: Path, anvil: TestChain
) -> None:
    """Nothing can be stored, so nothing leaves; when there is room again, all goes on."""
    choose = Random(3)  # noqa: S311 - a seed, so that a test repeats
    with limited(tmp_path / "disk") as fill, opened(tmp_path / "disk", anvil) as world:
        for number in range(6):
            world.live(choose)
            if number % 3 < 2:
                world.turn()
                continue
            world.pass_time()
            refused = len(world.refused)
            fill(True)
            for _ in range(3):
                world.attempt(world.issuer.service.step)
            fill(False)
            assert len(world.refused) > refused, "what came in could not be taken"
        world.settle()


# -- the clock


@seeded
def test_the_clock_jumps(world: RoughWorld, seed: int) -> None:
    """The issuer's clock is off by hours, to and fro, while bank and chain go on by the right one."""
    choose = Random(seed)  # noqa: S311 - a seed, so that a test repeats
    for _ in range(6):
        world.live(choose)
        right = world.clock.now()
        world.clock.seconds = right + choose.choice((-86400, -3600, -1, 3600, 30 * 3600))
        world.attempt(world.issuer.service.step)
        world.clock.seconds = right
        world.turn()
    world.settle()


# -- two services


def test_two_services_on_one_home(world: RoughWorld) -> None:
    """On SQLite too: each step of one is followed by one of the other, and nothing is done twice."""
    choose = Random(5)  # noqa: S311 - a seed, so that a test repeats
    other = RoughWorld(world.path, world.chain)
    other.clock = world.clock
    for _ in range(6):
        world.live(choose)
        world.turn()
        other.attempt(other.issuer.service.step)
    world.settle()
    other.close()


@seeded
def test_two_services_on_two_copies_of_a_home(world: RoughWorld, seed: int) -> None:
    """The copy has the same keys and another database. They stop each other, and nothing is done twice."""
    choose = Random(seed)  # noqa: S311 - a seed, so that a test repeats
    for _ in range(5):
        world.live(choose)
        world.turn()
    world.issuer.close()
    shutil.copytree(world.path / "issuer", world.path / "copy")
    pair = [reopened(world, "issuer"), reopened(world, "copy")]
    broken: set[str] = set()
    for _ in range(8):
        world.live(choose)
        choose.shuffle(pair)
        for issuer in pair:
            try:
                world.attempt(issuer.service.step)
            except BrokenInvariant as error:
                broken.add(error.code)
        world.pass_time()
    truth = exact.Truth(pair[0], world.books)
    assert broken or any(engaged(issuer) for issuer in pair), "somebody has noticed"
    for name, holder in zip(NAMES, world.holders, strict=True):
        wired = sum(wire.amount for wire in truth.wires if wire.name == name) * 10_000
        made = sum(value for orders in truth.mints.values() for to, value in orders if to == holder.address)
        assert made <= wired, "no yuan was minted twice"
    known = {reference for issuer in pair for reference in references(issuer)}
    assert truth.mints.keys() <= known, "each mint is one batch's"
    for redemption, (times, moved, par) in truth.payments.items():
        assert (times, par, -moved * 10_000) == (1, truth.burns[redemption], par), "each burn was paid once"
    for issuer in pair:
        issuer.close()


def reopened(world: RoughWorld, name: str) -> Issuer:
    """A home and its own database, at the same chain and the same bank."""
    home = world.path / name
    changed = {"issuer_home": home, "database_url": f"sqlite:///{home}/issuer.db"}
    return open_issuer(world.settings.model_copy(update=changed), clock=world.clock, passphrase=lambda: PASSPHRASE)


def engaged(issuer: Issuer) -> set[tuple[str, str]]:
    with issuer.store.read() as connection:
        return {(lock["scope"], lock["code"]) for lock in locks.live(connection)}


def references(issuer: Issuer) -> list[str]:
    with issuer.store.read() as connection:
        return list(connection.scalars(select(tables.batch.c.reference)))
