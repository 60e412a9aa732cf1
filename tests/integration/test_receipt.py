"""Receipts of a real mint and a real redemption: checked against a block's hash alone, and against the chain."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from issuer import verify
from issuer.chain import anchoring
from issuer.errors import NotFound, Refused
from issuer.operations import mints
from issuer.reports import receipt as receipts
from issuer.tlog.merkle import InvalidProof
from issuer.verify import Key, Untrue
from tests import anvil, stranger
from tests.world import World

REDEMPTION = "redemption:100000000000"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with anvil.run() as chain:
        world = World.create(tmp_path_factory.mktemp("world"), chain)
        stranger.live(world)
        yield world
        world.close()


def receipt(world: World, name: str) -> dict[str, Any]:
    with world.issuer.store.read() as connection:
        found = receipts.evidence(connection, name)
    made = world.issuer.deployment
    bound = {"token": made.token, "feed": made.feed, "chain_id": made.chain_id}
    anchor = anchoring.prove(world.issuer.node, made, found.transaction)
    return json.loads(json.dumps(receipts.compose(found, world.issuer.log.log, bound, anchor)))  # type: ignore[no-any-return]


def prove(world: World, given: dict[str, Any], *, block_hash: str = "", key: str = "") -> list[str]:
    known = Key.parse(key or stranger.vkey(world))
    return verify.verify_receipt(given, world.token, known, block_hash or given["anchor"]["block_hash"])


@pytest.mark.parametrize(
    ("name", "actions"),
    [
        ("order:1", ["mint.requested", "mint.final"]),
        ("order:2", ["mint.requested", "mint.final"]),
        (REDEMPTION, ["redemption.burned", "payout.paid"]),
    ],
)
def test_a_receipt_proves_its_records_from_a_block_hash(world: World, name: str, actions: list[str]) -> None:
    given = receipt(world, name)
    header = world.chain.ask("eth_getBlockByNumber", hex(given["anchor"]["block"]), False)
    proven = prove(world, given, block_hash=header["hash"])
    assert [line.split()[2] for line in proven[:-2]] == actions
    assert "anchors that log" in proven[-1]
    assert len(json.dumps(given)) < 20_000


def test_a_receipt_is_checked_online_and_offline(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, path = receipt(world, "order:1"), tmp_path / "receipt.json"
    path.write_text(json.dumps(given))
    arguments = ["--receipt", str(path), "--token", world.token, "--key", str(world.issuer.home.log_key)]
    assert verify.main([*arguments, "--block-hash", given["anchor"]["block_hash"]]) == 0
    assert verify.main([*arguments, "--rpc", world.chain.url]) == 0
    assert capsys.readouterr().out.count("RECEIPT VERIFIED") == 2
    assert verify.main([*arguments, "--block-hash", "0x" + "12" * 32]) == 1
    assert "FALSE: statement 6 (anchored): the receipt's header is not that of block" in capsys.readouterr().out


def _another_amount(given: dict[str, Any]) -> None:
    given["records"][0]["record"] = given["records"][0]["record"].replace("600000.000000", "900000.000000")


def _another_place(given: dict[str, Any]) -> None:
    given["records"][0]["index"] += 1


def _another_proof(given: dict[str, Any]) -> None:
    given["anchor"]["proof"][-1] = given["anchor"]["proof"][-1][:-2] + "00"


def _another_event(given: dict[str, Any]) -> None:
    given["feed"] = given["token"]


def _nothing(given: dict[str, Any]) -> None:
    del given["anchor"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_another_amount, "is not in the log of"),
        (_another_place, "is not in the log of"),
        (_another_proof, "does not lead from its block|not a receipt"),
        (_another_event, "is no report of the token's feed"),
        (_nothing, "this is not a receipt"),
    ],
)
def test_tamper_with_a_receipt(world: World, change: Callable[[dict[str, Any]], None], what: str) -> None:
    given = receipt(world, "order:1")
    block_hash = given["anchor"]["block_hash"]
    change(given)
    with pytest.raises(Untrue, match=what):
        prove(world, given, block_hash=block_hash)


def test_tamper_with_a_receipt_whose_order_is_in_another_mint(world: World) -> None:
    """Both records are in the log; only their link is missing."""
    given = receipt(world, "order:2")
    other = next(item for item in receipt(world, "order:1")["records"] if "mint.final" in item["record"])
    size = int(given["checkpoint"].split("\n")[1])
    other["proof"] = ["0x" + part.hex() for part in world.issuer.log.log.inclusion(other["index"], size)]
    given["records"][-1] = other
    with pytest.raises(Untrue, match="is not in the batch"):
        prove(world, given)


def test_tamper_with_a_receipt_for_another_log(world: World) -> None:
    other = stranger.other_signer(world).verifier.vkey
    with pytest.raises(Untrue, match="is not signed by"):
        prove(world, receipt(world, "order:1"), key=other)


def test_no_receipt_leaves_for_a_record_that_the_log_does_not_hold(world: World) -> None:
    with world.issuer.store.read() as connection:
        found = receipts.evidence(connection, "order:1")
    place, body = found.records[0]
    changed = body.replace(b"600000.000000", b"900000.000000")
    assert changed != body
    with pytest.raises(InvalidProof, match=f"leaf {place} is not under the root"):
        receipts.compose(replace(found, records=((place, changed),)), world.issuer.log.log, {}, {})


def test_what_is_not_final_or_not_anchored_has_no_receipt(world: World) -> None:
    with world.issuer.store.read() as connection, pytest.raises(NotFound):
        receipts.evidence(connection, "order:77")
    with world.issuer.store.unit("ask", "operator:test") as unit:
        asked = mints.request(unit, world.issuer.policy, customer_id=1, wallet=stranger.A.address, value=10**6)
    with world.issuer.store.read() as connection, pytest.raises(Refused, match="is not final in the log yet"):
        receipts.evidence(connection, f"order:{asked['id']}")
