"""A stranger beside a world, who knows its RPC address, its token and its log; and what may lie to a stranger."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from issuer import verify
from issuer.audit.folder import LogFolder
from issuer.audit.record import canonical
from issuer.messages import contracts
from issuer.messages.abi import keccak
from issuer.messages.contracts import FEED
from issuer.messages.report import Report, digest
from issuer.money import parse_units
from issuer.operations import powers, redemptions, reserve
from issuer.operations.redemptions import DEFAULT_INSTRUCTION
from issuer.tlog import checkpoint, merkle
from issuer.tlog.note import Signer, Verifier
from issuer.verify import Seen, Verdict
from tests.world import A_BANK, B_BANK, Holder, World

A, B = Holder(0xA), Holder(0xB)


def live(world: World) -> None:
    """The main job, a power used, and a report after it all: two mints, a redemption, an account frozen."""
    alice = world.onboard("Platform A", A_BANK, A)
    world.onboard("Platform B", B_BANK, B)
    world.wire(A_BANK, "Platform A", "1000000.00")
    world.request_mint(alice, A, "600000.00")
    world.until(lambda: world.orders() == [("final", None)])
    world.request_mint(alice, A, "400000.00")
    world.until(lambda: world.orders() == [("final", None)] * 2)
    world.call(A, "transferWithMemo", B.address, parse_units("250000"), "0x" + b"invoice 7".ljust(32, b"\0").hex())
    world.turn()
    world.call(B, "redeem", parse_units("100000"), DEFAULT_INSTRUCTION)
    world.until(lambda: paid(world) == ["paid"])
    with world.issuer.store.unit("freeze", "operator:test") as unit:
        powers.freeze(unit, accounts=[Holder(0xC).address], case="C-1")
    world.turn()
    report(world)


def paid(world: World) -> list[str]:
    with world.issuer.store.read() as connection:
        return [row["state"] for row in redemptions.every(connection)]


def report(world: World) -> None:
    """A report that anchors the log as it is, final and recorded."""
    with world.issuer.store.unit("ask", "operator:test") as unit:
        number = reserve.request(unit)["number"]
    world.until(lambda: state_of(world, number) == "final")
    world.turn()


def state_of(world: World, number: int) -> str:
    with world.issuer.store.read() as connection:
        return str(reserve.get(connection, number)["state"])


def vkey(world: World) -> str:
    return world.issuer.home.log_key.read_text().strip()


def check(
    world: World, log: Path | str | None = None, *, key: str = "", seen: Seen | None = None, url: str = ""
) -> Verdict:
    """The verdict of a verifier without patience: whatever is final must be recorded."""
    return run(world, log, key=key, seen=seen, url=url)[0]


def run(
    world: World, log: Path | str | None = None, *, key: str = "", seen: Seen | None = None, url: str = ""
) -> tuple[Verdict, Seen | None]:
    node, source = verify.Node(url or world.chain.url), verify.Source(str(log or world.issuer.home.log))
    own = verify.Key.parse(key or vkey(world))
    return verify.verify(node, source, world.token, own, seen=seen, grace=0, say=lambda _: None)


# -- a log written anew, by one who has its key


def signer(world: World) -> Signer:
    key = world.issuer.keystore.log_key()
    return Signer(verifier=world.issuer._verifier, sign=key.sign)


def other_signer(world: World) -> Signer:
    """A new key under the old name."""
    key = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
    name = world.issuer._verifier.name
    return Signer(verifier=Verifier(name=name, public_key=key.public_key().public_bytes_raw()), sign=key.sign)


def bodies(world: World) -> list[bytes]:
    log = world.issuer.log.log
    return list(log.entries(log.checkpoint().size))


def publish(path: Path, records: Sequence[bytes], key: Signer) -> Path:
    """A whole and well signed log of these records, without any past checkpoint."""
    shutil.rmtree(path, ignore_errors=True)
    note = checkpoint.sign(len(records), merkle.root(records), key)
    LogFolder(path, key.verifier).extend(note, lambda start, end: records[start:end])
    return path


def record(action: str, subject: str, after: dict[str, Any] | None, evidence: Sequence[str] = ()) -> bytes:
    fields = {"actor": "service", "action": action, "subject": subject, "before": None, "after": after}
    return canonical({"v": 1, "at": 1_800_000_000, **fields, "evidence": list(evidence)})


def find(records: Sequence[bytes], action: str) -> int:
    """The place of the last record of an action."""
    return max(at for at, body in enumerate(records) if f'"action":"{action}"'.encode() in body)


# -- a chain on which somebody did what he must not, or could


def send_as(world: World, sender: str, target: str | None, data: str) -> str:
    """A transaction by any account, mined and final; its hash. Asserts that it succeeded. No target: a new contract."""
    node = world.chain.node
    world.chain.fund(sender)
    node.call("anvil_impersonateAccount", [sender])
    sent = node.call("eth_sendTransaction", [{"from": sender, "to": target, "data": data, "gas": hex(10_000_000)}])
    world.clock.advance(12)
    world.chain.mine_at(world.clock.now())
    world.chain.finalize()
    assert node.call("eth_getTransactionReceipt", [sent])["status"] == "0x1"
    return str(sent)


def steal(world: World, orders: list[list[Any]]) -> str:
    """A mint by the stolen minting key."""
    data = contracts.mint_call(world.view("nextNumber"), "0x" + "ab" * 32, orders)
    return send_as(world, world.issuer.deployment.keys["sender"], world.issuer.deployment.minter, data)


def forge_report(
    world: World, signers: Sequence[Callable[[bytes], bytes]], addresses: Sequence[str], **told: Any
) -> str:
    """Post a report that the issuer never asked for, over the latest one's figures but for these."""
    deployment = world.issuer.deployment
    values = latest_report(world)
    fields = {
        "token": deployment.token,
        "number": values["number"] + 1,
        "reserve": values["reserve"],
        "paid": values["paid"],
        "credited": values["credited"],
        "as_of": world.clock.now(),
        "log_root": values["logRoot"],
        "log_size": values["logSize"],
    }
    forged = Report(**{**fields, **told})
    hashed = digest(forged, deployment.chain_id, deployment.feed)
    parties = sorted(zip(signers, addresses, strict=True), key=lambda item: int(item[1], 16))
    signed = ["0x" + sign(hashed).hex() for sign, _ in parties]
    return send_as(world, deployment.keys["deployer"], deployment.feed, contracts.post_call(forged.message, signed))


def tell_report(world: World, sent: str, signatures: Sequence[str]) -> list[bytes]:
    """The records of the report that the feed holds, as if the issuer had asked for it."""
    latest = latest_report(world)
    subject = f"report:{latest['number']}"
    asked = {"log_root": latest["logRoot"], "log_size": latest["logSize"], "withheld": "0.000000"}
    return [
        record("report.requested", subject, asked),
        record("report.attested", subject, {"signatures": list(signatures)}),
        record("report.final", subject, None, [sent]),
    ]


def signatures_of(world: World, signers: Sequence[Callable[[bytes], bytes]]) -> list[str]:
    """Signatures of the report that the feed holds, in this order."""
    latest, deployment = latest_report(world), world.issuer.deployment
    held = Report(
        token=latest["token"],
        number=latest["number"],
        reserve=latest["reserve"],
        paid=latest["paid"],
        credited=latest["credited"],
        as_of=latest["asOf"],
        log_root=latest["logRoot"],
        log_size=latest["logSize"],
    )
    hashed = digest(held, deployment.chain_id, deployment.feed)
    return ["0x" + sign(hashed).hex() for sign in signers]


def store(world: World, address: str, slot: int, value: int) -> None:
    """Write a word of a contract's storage past its code."""
    world.chain.node.call("anvil_setStorageAt", [address, f"0x{slot:064x}", f"0x{value:064x}"])


def stored(world: World, address: str, slot: int) -> int:
    return int(world.chain.node.call("eth_getStorageAt", [address, hex(slot), "latest"]), 16)


def find_slot(world: World, address: str, part: int) -> int:
    """The first of a contract's slots whose word holds these bits somewhere, at a byte's edge."""
    for slot in range(32):
        word = stored(world, address, slot).to_bytes(32)
        if part.to_bytes((part.bit_length() + 7) // 8) in word:
            return slot
    raise AssertionError(f"no slot of {address} holds {part:#x}")


def mapped(world: World, address: str, key: str) -> int:
    """The slot of a contract's map in which an account has a value, among its first maps."""
    for slot in range(32):
        if stored(world, address, map_slot(key, slot)):
            return slot
    raise AssertionError(f"no map of {address} knows {key}")


def map_slot(key: str, slot: int) -> int:
    """Where a map at this slot keeps an account's value (Solidity's storage layout)."""
    return int(keccak(bytes(12) + bytes.fromhex(key[2:]) + slot.to_bytes(32)), 16)


def latest_report(world: World) -> dict[str, Any]:
    """The report that the feed holds."""
    called = {"to": world.issuer.deployment.feed, "data": FEED.call("latestReport")}
    found: dict[str, Any] = FEED.output("latestReport", world.chain.ask("eth_call", called, "latest"))["report"]
    return found
