"""The documented schema of the records, against the code that writes them and the records that a whole world wrote."""

import ast
from collections.abc import Iterator
from dataclasses import replace

import pytest

from issuer import audit, verify
from issuer.audit import personal, schema
from issuer.audit.record import Record, decode
from issuer.chain import calls
from issuer.chain.events import KINDS
from issuer.errors import MalformedDocument, NotFound
from issuer.tlog import merkle
from tests import anvil, stranger
from tests.anvil import ROOT
from tests.world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with anvil.run() as chain:
        world = World.create(tmp_path_factory.mktemp("world"), chain)
        stranger.live(world)
        yield world
        world.close()


_APPENDS = ("audit.append", "audit.append_all", "record.append")


def appended() -> Iterator[ast.expr]:
    """The action of every call that appends a record, wherever the code has one."""
    for path in sorted((ROOT / "issuer").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in _APPENDS:
                yield node.args[1]


def test_every_action_that_the_code_writes_is_documented_and_no_other() -> None:
    written = {node.value for node in appended() if isinstance(node, ast.Constant)}
    computed = {ast.unparse(node) for node in appended() if not isinstance(node, ast.Constant)}
    assert computed == {"action", "f'chain.{fact.kind}'", "f'power.{kind}'"}
    decided = {"mint.approved", "mint.rejected", "mint.cancelled"}
    used = {f"power.{kind}" for kind in calls.JOBS if kind not in ("mint", "report")}
    elsewhere = {"minted", "redeemed", "reported", "verified", "unverified"}
    seen = {f"chain.{kind}" for kind in set(KINDS.values()) - elsewhere}
    assert set(schema.ACTIONS) == written | decided | used | seen


def test_every_event_of_a_power_is_recorded_and_known_to_the_verifier() -> None:
    """The verifier has its own list of events: none that the issuer records may be missing there, or the reverse."""
    recorded = set(KINDS) - {"Minted", "Redeemed", "ReportPosted"}
    known = {form.name for form in verify.FORMS.values()} - {"Transfer", "Minted", "Redeemed", "ReportPosted"}
    assert known == recorded


def test_the_verifier_shortens_what_the_records_do() -> None:
    for value in ("0x" + "ab" * 8192, "0x" + "AB" * 8192, "\0" * 3000, "\N{REPLACEMENT CHARACTER}" * 6000, "x" * 100):
        assert verify._shown("label", value) == audit.shorten(value)


def test_every_record_of_a_whole_world_is_as_documented(world: World) -> None:
    records = [decode(body) for body in stranger.bodies(world)]
    for found in records:
        schema.check(found)
    assert {found.action for found in records} >= {"mint.final", "redemption.burned", "report.final", "chain.frozen"}


def test_the_document_is_printed_from_the_schema() -> None:
    text = (ROOT / "docs" / "records.md").read_text()
    assert text == schema.document(), "run: python -m issuer.audit.schema > docs/records.md"


GOOD = Record(
    at=1,
    actor="service",
    action="mint.reserved",
    subject="order:1",
    before=None,
    after={"value": "1.000000"},
    evidence=(),
)


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "mint.invented"},
        {"subject": "batch:1"},
        {"after": {"value": "1.00"}},
        {"after": {"value": 1_000_000}},
        {"after": {}},
        {"after": None},
        {"after": {"value": "1.000000", "more": "x"}},
        {"before": {"value": "1.000000"}},
        {"evidence": ("0x11",)},
    ],
)
def test_a_record_that_is_not_as_documented_is_found(wrong: dict[str, object]) -> None:
    schema.check(GOOD)
    with pytest.raises(MalformedDocument):
        schema.check(replace(GOOD, **wrong))  # type: ignore[arg-type]


def test_erasing_the_salt_erases_the_data_and_keeps_every_proof(world: World) -> None:
    added = next(at for at, body in enumerate(stranger.bodies(world)) if b'"customer.added"' in body)
    body = stranger.bodies(world)[added]
    commitment = decode(body).after["name"]  # type: ignore[index]
    with world.issuer.store.read() as connection:
        assert personal.reveal(connection, commitment).value == "Platform A"
    with world.issuer.store.unit("erase", "operator:test") as unit:
        personal.erase(unit, commitment)
    world.issuer.integrator.run()
    with world.issuer.store.read() as connection, pytest.raises(NotFound):
        personal.reveal(connection, commitment)
    log = world.issuer.log.log
    latest = log.checkpoint()
    proof = log.inclusion(added, latest.size)
    merkle.verify_inclusion(merkle.leaf_hash(body), added, latest.size, latest.root, proof)
    verdict = stranger.check(world)
    assert (verdict.failure, verdict.erased) == ("", 1)
