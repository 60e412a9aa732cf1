"""Receipts of a real mint and a real redemption: checked against a block's hash alone, and against the chain."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from issuer import verify
from issuer.chain import anchoring
from issuer.errors import NotFound, Refused, Unreachable
from issuer.messages.abi import checksum
from issuer.messages.contracts import TOKEN
from issuer.money import parse_units
from issuer.operations import mints, powers, redemptions
from issuer.reports import receipt as receipts
from issuer.tlog.merkle import InvalidProof
from issuer.verify import Key, Untrue
from tests import anvil, shell, stranger
from tests.shell import Shell
from tests.world import Holder, World

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
    made = world.issuer.speaking
    feed, anchor = anchoring.prove(world.issuer.node, made, found.transaction)
    bound = {"token": made.token, "feed": feed, "chain_id": made.chain_id}
    return json.loads(json.dumps(receipts.compose(found, world.issuer.log.log, bound, anchor)))  # type: ignore[no-any-return]


def prove(world: World, given: dict[str, Any], *, block_hash: str = "", key: str = "") -> list[str]:
    known, feed = Key.parse(key or stranger.vkey(world)), world.issuer.deployment.feed
    return verify.verify_receipt(given, world.token, known, block_hash or given["anchor"]["block_hash"], feed)


@pytest.mark.parametrize(
    ("name", "actions", "outcome"),
    [
        ("order:1", ["mint.requested", "mint.final"], []),
        ("order:2", ["mint.requested", "mint.final"], []),
        (
            REDEMPTION,
            ["redemption.burned", "payout.paid"],
            [f"{REDEMPTION} is paid, by these records: 100,000.000000"],
        ),
    ],
)
def test_a_receipt_proves_its_records_from_a_block_hash(
    world: World, name: str, actions: list[str], outcome: list[str]
) -> None:
    given = receipt(world, name)
    header = world.chain.ask("eth_getBlockByNumber", hex(given["anchor"]["block"]), False)
    proven = prove(world, given, block_hash=header["hash"])
    assert [line.split()[2] for line in proven[: len(actions)]] == actions
    assert proven[len(actions) : -2] == outcome
    assert "anchors that log" in proven[-1]
    assert len(json.dumps(given)) < 20_000


def test_a_receipt_is_checked_online_and_offline(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, path = receipt(world, "order:1"), tmp_path / "receipt.json"
    path.write_text(json.dumps(given))
    arguments = ["--receipt", str(path), "--token", world.token, "--key", str(world.issuer.home.log_key)]
    offline = [*arguments, "--feed", world.issuer.deployment.feed, "--block-hash"]
    assert verify.main([*offline, given["anchor"]["block_hash"]]) == 0
    assert verify.main([*arguments, "--rpc", world.chain.url]) == 0
    assert capsys.readouterr().out.count("RECEIPT VERIFIED") == 2
    assert verify.main([*offline, "0x" + "12" * 32]) == 1
    assert "FALSE: statement 6 (anchored): the receipt's header is not that of block" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        verify.main([*arguments, "--block-hash", given["anchor"]["block_hash"]])
    assert "give --rpc; a receipt may be checked against --block-hash and --feed" in capsys.readouterr().err


def online(world: World, tmp_path: Path, given: Any) -> int:
    """The status of the program that is given a receipt and a node."""
    path = tmp_path / "receipt.json"
    path.write_text(given if isinstance(given, str) else json.dumps(given))
    arguments = ["--receipt", str(path), "--token", world.token, "--key", str(world.issuer.home.log_key)]
    return verify.main([*arguments, "--rpc", world.chain.url])


@pytest.fixture
def recursion() -> Iterator[None]:
    """Python's own limit, as the program has it: a package of the tests' raises it beyond the stack."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("recursion")
@pytest.mark.parametrize("given", ['{"v":1}', "[]", "7", "nothing", "[" * 100_000])
def test_what_is_no_receipt_is_said_to_be_none(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    assert online(world, tmp_path, given) == 1
    assert "not a receipt" in capsys.readouterr().out


def test_tamper_with_the_numbers_of_a_receipt(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong: list[Any] = ["5", -1, None, 10**30, [], 1.5]
    for junk in wrong:
        given = receipt(world, "order:1")
        given["anchor"]["transaction_index"] = junk
        assert online(world, tmp_path, given) == 1
        assert "FALSE: statement" in capsys.readouterr().out


def test_tamper_with_a_receipt_that_anybodys_contract_anchors(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says just what the feed said, for a log of the right key."""
    given, deployment = receipt(world, "order:1"), world.issuer.deployment
    told = world.chain.ask("eth_getTransactionReceipt", given["anchor"]["transaction"])["logs"]
    sent = stranger.send_as(world, Holder(0x66).address, None, saying(told[given["anchor"]["log_index"]]))
    impostor = checksum(world.chain.ask("eth_getTransactionReceipt", sent)["contractAddress"])
    with pytest.raises(Unreachable, match="posts no report"):
        anchoring.prove(world.issuer.node, deployment, sent)
    given["feed"], given["anchor"] = anchoring.prove(world.issuer.node, replace(deployment, feed=impostor), sent)
    with pytest.raises(Untrue, match=f"is no report of the token's feed {deployment.feed.lower()}"):
        prove(world, given)
    assert online(world, tmp_path, given) == 1
    assert f"the receipt's is {impostor}" in capsys.readouterr().out


def saying(log: dict[str, Any]) -> str:
    """Code of a contract that, as it is made, emits the same event."""
    data = bytes.fromhex(log["data"][2:])
    push = "".join("7f" + topic[2:] for topic in reversed(log["topics"]))
    size = f"60{len(data):02x}"
    length = 7 + len(push) // 2 + 6
    return f"0x{size}60{length:02x}600039{push}{size}6000a{len(log['topics'])}00{data.hex()}"


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
    given["records"] = [other, given["records"][0]]
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


def test_a_receipt_of_a_payment_that_came_back_does_not_say_paid(world: World) -> None:
    name = "redemption:150000000000"
    world.call(stranger.B, "redeem", parse_units("50000"), redemptions.DEFAULT_INSTRUCTION)
    world.until(lambda: stranger.paid(world) == ["paid", "paid"])
    world.bank.give_back(redemption_id=150_000_000_000)
    world.until(lambda: stranger.paid(world) == ["paid", "returned"])
    stranger.report(world)
    proven = prove(world, receipt(world, name))
    assert f"{name} is not paid, by these records: of 50,000.000000 that were paid, 50,000.000000 came back" in proven
    assert not any(line.startswith(f"{name} is paid") for line in proven)


def test_an_older_receipt_holds_when_the_token_has_another_feed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given, old = receipt(world, "order:1"), world.issuer.deployment.feed
    new = another_feed(world)
    with world.issuer.store.unit("set", "operator:test") as unit:
        powers.propose(unit, contract="token", act=TOKEN.call("setFeed", old, new), case="F-1")
    world.until(lambda: world.issuer.speaking.feed == new)
    assert online(world, tmp_path, given) == 0
    shell.enter(monkeypatch, world.path, world.chain.url)
    again = Shell(capsys).answer("receipt", "order:1")
    assert again == given
    given["feed"] = new
    assert online(world, tmp_path, given) == 1


def another_feed(world: World) -> str:
    """As much of a feed as the token asks of one: whatever is asked, it answers the token's address."""
    code = f"73{world.token[2:].lower()}60005260206000f3"
    made = f"0x60{len(code) // 2:02x}600c60003960{len(code) // 2:02x}6000f3{code}"
    sent = stranger.send_as(world, Holder(0x66).address, None, made)
    return checksum(world.chain.ask("eth_getTransactionReceipt", sent)["contractAddress"])
