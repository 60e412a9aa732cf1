"""Whatever is tampered with, in the log or on the chain, the stranger's verifier says what is false.

The tamperer has the log's own key wherever that helps: the lies are well signed, and still found out.
"""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from issuer import verify
from issuer.chain.signer import LocalSigner
from issuer.messages.contracts import TOKEN
from issuer.money import parse_units
from issuer.operations.redemptions import DEFAULT_INSTRUCTION
from issuer.tlog import checkpoint, merkle
from issuer.verify import Statement, Verdict
from tests import anvil, stranger
from tests.anvil import TestChain
from tests.world import Holder, World

CNH = 10**6


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with anvil.run() as chain:
        world = World.create(tmp_path_factory.mktemp("world"), chain)
        stranger.live(world)
        yield world
        world.close()


@pytest.fixture
def world(lived: World) -> Iterator[World]:
    """The world as it stood: what a test does to its chain is undone."""
    snapshot, now = lived.chain.ask("evm_snapshot"), lived.clock.now()
    yield lived
    assert lived.chain.ask("evm_revert", snapshot)
    lived.clock.advance(now - lived.clock.now())


def found(verdict: Verdict, statement: Statement, what: str) -> None:
    """The verdict is that this statement is the first false one, for this reason."""
    assert verdict.statement == statement, verdict.failure
    assert what in verdict.failure


# -- the folder, by one who cannot sign


def spoil(world: World, path: Path, change: Callable[[bytes], bytes]) -> Path:
    """A copy of the log folder with its last bundle of records changed."""
    shutil.copytree(world.issuer.home.log, path)
    size = world.issuer.log.log.checkpoint().size
    bundle = path / "tile" / "entries" / f"000.p/{size}"
    bundle.write_bytes(change(bundle.read_bytes()))
    return path


def test_tamper_with_a_byte_of_a_record(world: World, tmp_path: Path) -> None:
    log = spoil(world, tmp_path / "log", lambda body: body.replace(b"600000.000000", b"600001.000000"))
    found(stranger.check(world, log), Statement.ROOTS, "records do not have the root that the checkpoint of size")


def test_tamper_by_deleting_a_bundle(world: World, tmp_path: Path) -> None:
    log = tmp_path / "log"
    shutil.copytree(world.issuer.home.log, log)
    shutil.rmtree(log / "tile" / "entries")
    found(stranger.check(world, log), Statement.RECORDS, "are not in the log")


def test_tamper_with_any_byte_of_any_file(world: World, tmp_path: Path) -> None:
    """Nothing that is published goes unread, not even what only a smaller log needs; nothing breaks the verifier."""
    log, chance = tmp_path / "log", random.Random(6)  # noqa: S311 - a seed, so that a failure repeats
    shutil.copytree(world.issuer.home.log, log)
    files = sorted(path for path in log.rglob("*") if path.is_file())
    for path in files * 3:
        content = path.read_bytes()
        at, bit = chance.randrange(len(content)), 1 << chance.randrange(8)
        path.write_bytes(content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
        verdict = stranger.check(world, log)
        assert verdict.statement in (Statement.SIGNED, Statement.RECORDS, Statement.ROOTS), (path, at, verdict.failure)
        path.write_bytes(content)
    assert stranger.check(world, log).failure == ""


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("tile/0/000", "hash 7 of tile/0/000 is not that of the records under it"),
        ("tile/1/000.p/1", "hash 0 of tile/1/000.p/1 is not that of the records under it"),
    ],
)
def test_tamper_with_a_tile(world: World, tmp_path: Path, path: str, what: str) -> None:
    """Proofs are made from tiles: a wrong hash in one misleads those who ask for no records."""
    log = rewrite(world, tmp_path, lambda records: records.extend(filler(300)))
    assert stranger.check(world, log).failure == ""
    content = (log / path).read_bytes()
    at = 7 * 32 if len(content) > 32 else 0
    (log / path).write_bytes(content[:at] + bytes(32) + content[at + 32 :])
    found(stranger.check(world, log), Statement.ROOTS, what)


def test_tamper_by_taking_a_tile_away(world: World, tmp_path: Path) -> None:
    log = rewrite(world, tmp_path, lambda records: records.extend(filler(300)))
    (log / "tile/0/000").unlink()
    found(stranger.check(world, log), Statement.ROOTS, "the log has no file tile/0/000")


def filler(count: int) -> list[bytes]:
    return [stranger.record("lock.cleared", f"lock:{number}", None) for number in range(count)]


def test_tamper_with_a_checkpoint(world: World, tmp_path: Path) -> None:
    log = tmp_path / "log"
    shutil.copytree(world.issuer.home.log, log)
    note = (log / "checkpoint").read_text()
    size = note.split("\n")[1]
    (log / "checkpoint").write_text(note.replace(f"\n{size}\n", f"\n{int(size) - 1}\n"))
    found(stranger.check(world, log), Statement.SIGNED, "does not hold")


def test_tamper_by_putting_an_old_checkpoint_back(world: World, tmp_path: Path) -> None:
    log = tmp_path / "log"
    shutil.copytree(world.issuer.home.log, log)
    first, *_, last = world.issuer.log.past_sizes()
    shutil.copy(log / "checkpoints" / f"{first:03}", log / "checkpoint")
    verdict = stranger.check(world, log)
    assert (verdict.failure, verdict.size) == ("", last), "all that was published is read nevertheless"
    (log / "checkpoints" / f"{last:03}").write_text(checkpoint.sign(last, bytes(32), stranger.signer(world)))
    found(stranger.check(world, log), Statement.ROOTS, f"the checkpoint of size {last} is signed over")
    shutil.rmtree(log / "checkpoints")
    found(stranger.check(world, log), Statement.WHOLE, "records, but the log ends after")


# -- the log, by one who has its key


def rewrite(world: World, tmp_path: Path, change: Callable[[list[bytes]], object]) -> Path:
    records = stranger.bodies(world)
    change(records)
    return stranger.publish(tmp_path / "log", records, stranger.signer(world))


def _edit(records: list[bytes]) -> None:
    place = stranger.find(records, "mint.requested")
    records[place] = records[place].replace(b"400000.000000", b"400000.000001")


def _swap(records: list[bytes]) -> None:
    place = stranger.find(records, "mint.final")
    records[place - 1], records[place] = records[place], records[place - 1]


changes = pytest.mark.parametrize(
    "change",
    [
        lambda records: records.pop(stranger.find(records, "mint.final")),
        _edit,
        _swap,
        lambda records: records.insert(5, stranger.record("lock.cleared", "lock:1", None)),
    ],
    ids=["deleted", "edited", "reordered", "inserted"],
)


@changes
def test_tamper_with_an_anchored_record(world: World, tmp_path: Path, change: Callable[[list[bytes]], object]) -> None:
    log = rewrite(world, tmp_path, change)
    found(stranger.check(world, log), Statement.ANCHORED, "records do not have the root that report")


@changes
def test_tamper_with_a_record_that_was_seen(
    world: World, tmp_path: Path, change: Callable[[list[bytes]], object]
) -> None:
    """Whoever looked before needs neither anchor nor chain: what the log was then is enough."""
    _, seen = stranger.run(world)
    longer = [*stranger.bodies(world), *filler(1)]
    change(longer)
    source = verify.Source(str(stranger.publish(tmp_path / "log", longer, stranger.signer(world))))
    latest = source.checkpoint(verify.Key.parse(stranger.vkey(world)))
    with pytest.raises(verify.Untrue, match="root that this verifier saw at its last run") as told:
        verify._read_records(source, latest, verify._expected(latest, [], seen, []), lambda _: None)
    assert told.value.statement == Statement.CONSISTENT


def test_tamper_by_cutting_off_the_last_anchored_record(world: World, tmp_path: Path) -> None:
    anchored = stranger.check(world).anchored
    log = stranger.publish(tmp_path / "log", stranger.bodies(world)[: anchored - 1], stranger.signer(world))
    found(stranger.check(world, log), Statement.WHOLE, f"anchors {anchored} records, but the log ends after")


def test_tamper_by_cutting_off_what_was_seen(world: World, tmp_path: Path) -> None:
    """Records after the last anchor are signed only; who has seen them misses them."""
    verdict, seen = stranger.run(world)
    log = stranger.publish(tmp_path / "log", stranger.bodies(world)[: verdict.anchored], stranger.signer(world))
    found(stranger.check(world, log, seen=seen), Statement.WHOLE, f"{verdict.size} records were seen here before")


def test_tamper_by_showing_two_viewers_two_logs(world: World, tmp_path: Path) -> None:
    """Both are well signed and extend the anchor; each viewer's memory convicts the other's log."""
    added = [stranger.record("lock.cleared", f"lock:{number}", None) for number in (1, 2)]
    one, two = (
        rewrite(world, tmp_path / name, lambda records, tail=tail: records.append(tail))  # type: ignore[misc]
        for name, tail in zip("ab", added, strict=True)
    )
    first, seen = stranger.run(world, one)
    assert first.failure == ""
    assert stranger.check(world, two).failure == ""
    found(stranger.check(world, two, seen=seen), Statement.CONSISTENT, "root that this verifier saw at its last run")


def test_tamper_by_a_new_key_under_the_old_name(world: World, tmp_path: Path) -> None:
    other = stranger.other_signer(world)
    log = stranger.publish(tmp_path / "log", stranger.bodies(world), other)
    found(stranger.check(world, log), Statement.SIGNED, "is not signed by")
    _, seen = stranger.run(world)
    verdict = stranger.check(world, log, key=other.verifier.vkey, seen=seen)
    found(verdict, Statement.CONSISTENT, "the log has another key than at the last run")


def test_tamper_with_a_record_that_says_too_little(world: World, tmp_path: Path) -> None:
    record = stranger.record("mint.final", "batch:0x00", {"first": 3})
    log = rewrite(world, tmp_path, lambda records: records.append(record))
    found(stranger.check(world, log), Statement.RECORDS, "is not as documented: 'orders'")


def test_tamper_with_a_record_that_is_not_canonical(world: World, tmp_path: Path) -> None:
    record = stranger.record("lock.cleared", "lock:1", None).replace(b'"v":1', b'"v": 1')
    log = rewrite(world, tmp_path, lambda records: records.append(record))
    found(stranger.check(world, log), Statement.RECORDS, "not a canonical record")


JUNK: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**30,
    1.5,
    "",
    "x",
    "0x",
    "0xzz",
    "-1.000000",
    [],
    ["x"],
    [None],
    {},
    {"x": "x"},
)


def test_tamper_with_any_part_of_any_record(world: World, tmp_path: Path) -> None:
    """Whatever a signed record holds, the verifier comes to a verdict; a log that tells nonsense never breaks it."""
    chance, false = random.Random(7), 0  # noqa: S311 - a seed, so that a failure repeats
    bodies = stranger.bodies(world)
    for body in chance.sample(bodies, 60):
        record = json.loads(body)
        fill(record, chance)
        log = stranger.publish(tmp_path / "log", [*bodies, verify._canonical(record)], stranger.signer(world))
        false += not stranger.check(world, log).holds
    assert false > 40


def fill(record: Any, chance: random.Random) -> None:
    """Put junk in the place of one part of a record, or of a part of a part."""
    keys = list(record) if isinstance(record, dict) else list(range(len(record)))
    key = chance.choice(keys)
    if isinstance(record[key], dict | list) and record[key] and chance.random() < 0.7:
        fill(record[key], chance)
    else:
        record[key] = chance.choice(JUNK)


# -- records against the chain


ORDER = "0x" + "5a" * 32


def invented() -> list[bytes]:
    """Money, an order and its mint that never were: well formed, and consistent with each other."""
    root = "0x" + merkle.root([bytes.fromhex(ORDER[2:])]).hex()
    asked = {"customer": 1, "wallet": stranger.A.address, "value": "5.000000", "state": "approved"}
    came = {"customer": 1, "amount": "5.00", "state": "credited", "sender": ORDER}
    return [
        stranger.record("deposit.taken", "deposit:x|1|0", came, ["x|1|0"]),
        stranger.record("mint.requested", f"order:{ORDER}", asked),
        stranger.record("mint.reserved", f"order:{ORDER}", {"value": "5.000000"}),
        stranger.record("mint.final", f"batch:{root}", {"first": 3, "orders": [ORDER]}, ["0x" + "11" * 32]),
    ]


def test_tamper_with_a_record_without_a_mint(world: World, tmp_path: Path) -> None:
    log = rewrite(world, tmp_path, lambda records: records.extend(invented()))
    found(stranger.check(world, log), Statement.MINTED, "tells the mint of batch")


def test_tamper_with_an_order_minted_without_money(world: World, tmp_path: Path) -> None:
    log = rewrite(world, tmp_path, lambda records: records.extend(invented()[1:]))
    found(stranger.check(world, log), Statement.ONCE, "that is not there")


def test_tamper_with_an_order_minted_from_money_that_went_back(world: World, tmp_path: Path) -> None:
    """The bank took the credit back, and it is minted all the same."""
    taken, *rest = invented()
    back = {"amount": "5.00", "state": "returned"}
    recalled = stranger.record("deposit.recalled", "deposit:x|1|0", back, ["x|2|0"])
    recalled = recalled.replace(b'"before":null', b'"before":{"state":"credited"}')
    log = rewrite(world, tmp_path, lambda records: records.extend([taken, recalled, *rest]))
    found(stranger.check(world, log), Statement.ONCE, "that is not there")
    log = rewrite(world, tmp_path, lambda records: records.extend([taken, *rest[:2], recalled]))
    found(stranger.check(world, log), Statement.ONCE, "gives 5.000000 of deposit:x|1|0 back")
    log = rewrite(world, tmp_path, lambda records: records.extend([taken, recalled, recalled]))
    found(stranger.check(world, log), Statement.ONCE, "gives deposit:x|1|0 back to the bank again")


def test_tamper_with_a_redemption_paid_twice(world: World, tmp_path: Path) -> None:
    def pay_again(records: list[bytes]) -> None:
        for action in ("payout.instructed", "payout.paid"):
            again = records[stranger.find(records, action)]
            records.append(again.replace(b"-1", b"-2"))

    log = rewrite(world, tmp_path, pay_again)
    found(stranger.check(world, log), Statement.ONCE, f"pays redemption:{parse_units('100000')} again")


def test_tamper_with_a_redemption_paid_twice_under_one_order(world: World, tmp_path: Path) -> None:
    log = rewrite(world, tmp_path, lambda records: records.append(records[stranger.find(records, "payout.paid")]))
    found(stranger.check(world, log), Statement.ONCE, "was paid again")


def test_tamper_with_a_redemption_that_never_was(world: World, tmp_path: Path) -> None:
    told = {"holder": stranger.A.address, "value": "1.000000", "reference": "0x" + "00" * 32, "state": "payable"}
    record = stranger.record(
        "redemption.burned", "redemption:100001000000", {**told, "reason": None}, ["0x" + "1" * 64]
    )
    log = rewrite(world, tmp_path, lambda records: records.append(record))
    found(stranger.check(world, log), Statement.REDEEMED, "tells the redemption 100001000000, which is not on chain")


# -- the chain against the records


def reserve_more(world: World, by: int) -> None:
    """A report by both attestors, over more money than there is; the issuer did not ask for it."""
    sign_as_attestors(world, reserve=parse_units("900000") + by, credited=parse_units("1000000") + by)


def sign_as_attestors(world: World, **told: Any) -> tuple[str, list[str]]:
    """A report that both have signed is posted: the transaction, and the signatures."""
    keys = sorted((party._key for party in (world.bank, world.auditor) if party._key), key=lambda key: key.address)
    signers = [key.sign for key in keys]
    sent = stranger.forge_report(world, signers, [key.address for key in keys], **told)
    return sent, stranger.signatures_of(world, signers)


def test_tamper_with_a_forged_report(world: World) -> None:
    reserve_more(world, 0)
    found(stranger.check(world), Statement.REPORTED, "on chain (block")


def test_tamper_with_a_report_that_anchors_a_shorter_log(world: World) -> None:
    """The feed's memory of the last log is changed past its code; the shorter log is a true beginning of it."""
    feed, size = world.issuer.deployment.feed, stranger.latest_report(world)["logSize"]
    slot = stranger.find_slot(world, feed, size << 64 | stranger.latest_report(world)["number"])
    stranger.store(world, feed, slot, stranger.stored(world, feed, slot) - (size << 64))
    fewer = merkle.root(stranger.bodies(world)[: size - 1])
    sign_as_attestors(world, log_size=size - 1, log_root="0x" + fewer.hex())
    found(stranger.check(world), Statement.ANCHORED, f"anchors {size - 1} records, after report")


def test_tamper_with_a_report_that_shows_too_little(world: World) -> None:
    reserve_more(world, -1)
    found(stranger.check(world), Statement.BACKED, "900,000.000000 is owed and 899,999.999999 is in the reserve")


def test_tamper_with_a_mint_without_a_record(world: World) -> None:
    """A stolen minting key, while the reserve has room."""
    reserve_more(world, 5 * CNH)
    stranger.steal(world, [[stranger.A.address, 5 * CNH]])
    found(stranger.check(world), Statement.MINTED, "the mint of numbers 3 to 3 on chain")


def test_tamper_with_a_mint_that_nothing_backs(world: World) -> None:
    """The feed's storage is changed past its code, so that the gate lets one fen too much through."""
    feed = world.issuer.deployment.feed
    slot = stranger.find_slot(world, feed, parse_units("900000"))
    word = stranger.stored(world, feed, slot)
    more = word + 10_000 + (10_000 << 144)  # reserve in the lowest 72 bits, credited in the third 72
    stranger.store(world, feed, slot, more)
    stranger.steal(world, [[stranger.A.address, 10_000]])
    found(stranger.check(world), Statement.BACKED, "900,000.010000 is owed and 900,000.000000 is in the reserve")


def test_tamper_with_a_stale_report_that_still_minted(world: World) -> None:
    """The token's limit of a report's age is changed past its code."""
    reserve_more(world, 5 * CNH)
    token = world.token
    slot = stranger.find_slot(world, token, int(world.issuer.deployment.minter, 16))
    word, age = stranger.stored(world, token, slot), world.view("reportAge")
    shift = next(at for at in range(0, 232, 8) if word >> at & 0xFFFFFFFF == age and at >= 160)
    stranger.store(world, token, slot, word + ((10 * age - age) << shift))
    assert world.view("reportAge") == 10 * age
    world.clock.advance(age + 100)
    stranger.steal(world, [[stranger.A.address, 5 * CNH]])
    found(stranger.check(world), Statement.FRESH, f"seconds old; {age:,} are allowed")


def test_tamper_with_an_attestor_who_was_never_added(world: World, tmp_path: Path) -> None:
    """A stranger is written into the feed's storage, and signs with the bank; the log tells it as its own."""
    feed, intruder = world.issuer.deployment.feed, LocalSigner(b"\x66" * 32)
    bank = world.bank._key
    assert bank is not None
    number = stranger.mapped(world, feed, bank.address)
    stranger.store(world, feed, stranger.map_slot(intruder.address, number), 1)
    signers = [bank.sign, lambda digest: bytes.fromhex(intruder.sign_digest(digest)[2:])]
    sent = stranger.forge_report(world, signers, [bank.address, intruder.address])
    order = sorted(zip(signers, (bank.address, intruder.address), strict=True), key=lambda item: int(item[1], 16))
    told = stranger.tell_report(world, sent, stranger.signatures_of(world, [key for key, _ in order]))
    log = rewrite(world, tmp_path, lambda records: records.extend(told))
    what = f"is signed by {intruder.address.lower()}, who was no attestor then"
    found(stranger.check(world, log), Statement.ATTESTED, what)


def test_tamper_with_a_report_that_one_attestor_signed(world: World, tmp_path: Path) -> None:
    signatures = sign_as_attestors(world)[1]
    told = stranger.tell_report(world, "0x11", signatures[:1])
    log = rewrite(world, tmp_path, lambda records: records.extend(told))
    what = f"report {stranger.latest_report(world)['number']} has 1 signatures; the quorum was 2"
    found(stranger.check(world, log), Statement.ATTESTED, what)


def test_a_report_that_is_final_before_its_signatures_came_is_true(world: World, tmp_path: Path) -> None:
    """The bank folder is out of reach, and somebody else has posted it: the call that did so has the signatures."""
    sent, _ = sign_as_attestors(world)
    asked, _, final = stranger.tell_report(world, sent, [])
    log = rewrite(world, tmp_path, lambda records: records.extend((asked, final)))
    assert stranger.check(world, log).failure == ""


def test_tamper_with_a_redemption_that_was_paid_to_somebody_else(world: World, tmp_path: Path) -> None:
    """A burns 50,000, and the bank pays them as it is told: no record says to whom, nor that a signer counted them."""
    data = TOKEN.call("redeem", parse_units("50000"), DEFAULT_INSTRUCTION)
    burn = stranger.send_as(world, stranger.A.address, world.token, data)
    told = {"holder": stranger.A.address, "value": "50000.000000", "reference": DEFAULT_INSTRUCTION, "state": "payable"}
    burned = stranger.record("redemption.burned", "redemption:150000000000", {**told, "reason": None}, [burn])
    sent, signatures = sign_as_attestors(world, paid=parse_units("150000"), reserve=parse_units("850000"))
    report = stranger.tell_report(world, sent, signatures)
    log = rewrite(world, tmp_path, lambda records: records.extend((burned, *report)))
    found(stranger.check(world, log), Statement.ONCE, "150,000.000000 paid")


def test_tamper_with_a_power_that_nobody_asked_for(world: World) -> None:
    """A stolen freezer key: what the chain shows must be in the log, whoever did it."""
    data = TOKEN.call("freeze", [stranger.B.address])
    stranger.send_as(world, world.issuer.deployment.keys["freezer"], world.token, data)
    found(stranger.check(world), Statement.POWERS, "Frozen(")


def test_a_power_that_is_recorded_and_was_not_asked_for_is_counted(world: World, tmp_path: Path) -> None:
    data = TOKEN.call("freeze", [stranger.B.address])
    sent = stranger.send_as(world, world.issuer.deployment.keys["freezer"], world.token, data)
    receipt = world.chain.ask("eth_getTransactionReceipt", sent)
    key = f"event:{int(receipt['blockNumber'], 16)}:{int(receipt['logs'][0]['logIndex'], 16)}"
    told = {"contract": "token", "event": "Frozen", "account": stranger.B.address, "freezeCount": "1"}
    record = stranger.record("chain.frozen", key, {**told, "transaction": sent}, [sent])
    log = rewrite(world, tmp_path, lambda records: records.append(record))
    verdict = stranger.check(world, log)
    assert (verdict.failure, verdict.outside) == ("", 1)


def test_tamper_with_a_power_that_was_never_used(world: World, tmp_path: Path) -> None:
    def change(records: list[bytes]) -> None:
        place = stranger.find(records, "chain.frozen")
        records.append(records[place].replace(Holder(0xC).address.encode(), stranger.B.address.encode()))
        key = json.loads(records[-1])["subject"]
        records[-1] = records[-1].replace(key.encode(), f"{key}1".encode())

    log = rewrite(world, tmp_path, change)
    found(stranger.check(world, log), Statement.POWERS, "which is not on chain")


def test_tamper_with_another_chain(world: World, anvil: TestChain) -> None:
    found(stranger.check(world, url=anvil.url), Statement.BOUND, "the log is of the chain with genesis")


def test_tamper_with_a_chain_that_was_rewritten(world: World) -> None:
    """Another chain that grew from the same first block: what was final at the last run is not there."""
    _, seen = stranger.run(world)
    assert seen is not None
    other = replace(seen, block_hash="0x" + "ab" * 32)
    found(stranger.check(world, seen=other), Statement.BOUND, f"block {seen.block} was final with hash 0xabab")


def test_tamper_with_another_token(world: World) -> None:
    _, seen = stranger.run(world)
    assert seen is not None
    other = replace(seen, token=Holder(9).address.lower())
    found(stranger.check(world, seen=other), Statement.BOUND, "another one than at the last run")
