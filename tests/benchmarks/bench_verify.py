"""How fast the log and its verifier are, on synthetic data."""

import shutil
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from issuer import verify
from issuer.audit.folder import LogFolder
from issuer.audit.record import canonical
from issuer.tlog import checkpoint, merkle
from issuer.tlog.note import Signer, Verifier
from tests.benchmarks import engines, figures
from tests.benchmarks.figures import Line, Measurement, Value, milliseconds, rate

ORDERS, BATCH = 100_000, 100
TOKEN, FEED, MINTER, AUTHORITY, WALLET = ("0x" + digit * 40 for digit in "abcde")
BANK = "0x" + "1" * 40
GENESIS = "0x" + "99" * 32
AGE = 86_400
LARGE = 1_000_000
APPENDED = 10_000
PROOFS = 100
VALUE = 10_000  # units of every order: one fen

TEXT = f"""
The verifier checks {ORDERS:,} synthetic mint orders in {ORDERS // BATCH:,} mints, with all their records, against a
node that answers at once. A log of {LARGE - APPENDED:,} records gets {APPENDED:,} more, entries, tiles and checkpoint
written and synced; then {PROOFS} inclusion proofs are made from its files.
"""

TOPICS = {form.name: topic for topic, form in verify.FORMS.items()}


def run() -> dict[str, Value]:
    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    signer = Signer(
        verifier=Verifier(name="example.com/log", public_key=key.public_key().public_bytes_raw()), sign=key.sign
    )
    with engines.folder() as path:
        verified = bench_verifier(path, signer)
        appended, proved = bench_log(path, signer)
    return {
        "verifier_mints_per_second": rate(ORDERS, verified),
        "verifier_seconds": figures.seconds(verified),
        "log_appends_per_second": rate(APPENDED, appended),
        "log_inclusion_proof_ms": milliseconds(proved / PROOFS),
    }


def bench_verifier(path: Path, signer: Signer) -> float:
    """Seconds that the verifier takes."""
    records = list(told())
    publish(path / "log", records, signer)
    node, source = SyntheticNode(), verify.Source(str(path / "log"))
    known = verify.Key.parse(signer.verifier.vkey)

    def check() -> None:
        verdict, _ = verify.verify(node, source, TOKEN, known, seen=None, grace=0, say=lambda _: None)
        assert verdict.failure == "", verdict.failure
        assert verdict.orders == ORDERS

    seconds = measured(f"verify {ORDERS:,} mint orders in {ORDERS // BATCH:,} mints, {len(records):,} records", check)
    print(f"{'':8}   {ORDERS / seconds:,.0f} orders a second")
    shutil.rmtree(path / "log")
    return seconds


def bench_log(path: Path, signer: Signer) -> tuple[float, float]:
    """Seconds that the appends take, and the proofs."""
    records = [canonical({"v": 1, "at": 1, "place": place}) for place in range(LARGE)]
    folder = publish(path / "large", records[: LARGE - APPENDED], signer)
    note = checkpoint.sign(LARGE, merkle.root(records), signer)
    seconds = measured(
        f"append {APPENDED:,} records, tiles and checkpoint written",
        lambda: folder.extend(note, lambda start, end: records[start:end]),
    )
    print(f"{'':8}   {APPENDED / seconds:,.0f} records a second")
    places = [LARGE // PROOFS * at for at in range(PROOFS)]
    proved = measured(
        f"{PROOFS} inclusion proofs from {LARGE:,} records",
        lambda: [folder.log.inclusion(place, LARGE) for place in places],
    )
    return seconds, proved


def measured(what: str, act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    seconds = time.perf_counter() - began
    print(f"{seconds * 1000:8.1f} ms  {what}", flush=True)
    return seconds


def publish(path: Path, records: list[bytes], signer: Signer) -> LogFolder:
    folder = LogFolder(path, signer.verifier)
    note = checkpoint.sign(len(records), merkle.root(records), signer)
    folder.extend(note, lambda start, end: records[start:end])
    return folder


# -- the records of very many orders


def told() -> Iterator[bytes]:
    """Money, then every order with its life; the node below tells the same mints."""
    yield BOUND
    for at, (name, values) in enumerate(WIRING):
        shown = {"event": name, **{key: str(value) for key, value in values.items()}}
        yield record(f"chain.{name}", f"event:1:{at}", shown, [SENT])
    yield record("report.requested", "report:1", {"log_size": 1, "log_root": ANCHORED, "withheld": "0.000000"})
    yield record("report.final", "report:1", None, [SENT])
    total = VALUE * ORDERS
    money = {"amount": cnh(total)[:-4], "state": "credited", "customer": 1, "sender": "0x" + "00" * 32}
    yield record("deposit.taken", "deposit:a|b|0", money, ["a|b|0"])
    for number in range(ORDERS // BATCH):
        yield from batch(number)


def batch(number: int) -> Iterator[bytes]:
    orders = [order(number * BATCH + at) for at in range(BATCH)]
    asked = {"customer": 1, "wallet": WALLET, "value": cnh(VALUE), "state": "approved"}
    for name in orders:
        yield record("mint.requested", f"order:{name}", asked)
        yield record("mint.reserved", f"order:{name}", {"value": cnh(VALUE)})
    subject, value = f"batch:{root(number)}", cnh(VALUE * BATCH)
    yield record("mint.batched", subject, {"orders": orders, "value": value})
    yield record("mint.released", subject, {"count": BATCH, "value": value})
    yield record("mint.final", subject, {"first": number * BATCH + 1, "orders": orders}, [transaction(number)])


def order(number: int) -> str:
    return "0x" + sha256(number.to_bytes(8)).hexdigest()


def root(number: int) -> str:
    leaves = [bytes.fromhex(order(number * BATCH + at)[2:]) for at in range(BATCH)]
    return "0x" + merkle.root(leaves).hex()


def transaction(number: int) -> str:
    return "0x" + sha256(b"transaction" + number.to_bytes(8)).hexdigest()


def record(action: str, subject: str, after: dict[str, Any] | None, evidence: list[str] | None = None) -> bytes:
    fields = {"actor": "service", "action": action, "subject": subject, "before": None, "after": after}
    return canonical({"v": 1, "at": 1_800_000_000, **fields, "evidence": evidence or []})


def cnh(units: int) -> str:
    return f"{units // 10**6}.{units % 10**6:06d}"


SENT = "0x" + "77" * 32
WIRING: tuple[tuple[str, dict[str, Any]], ...] = (
    ("FeedSet", {"previous": verify.ZERO, "next": FEED}),
    ("ReportAgeSet", {"previous": 0, "next": AGE}),
    ("MinterSet", {"previous": verify.ZERO, "next": MINTER}),
)
BOUND = record(
    "issuer.bound",
    f"token:{TOKEN}",
    {"chain_id": 31337, "genesis": GENESIS, "token": TOKEN, "feed": FEED, "minter": MINTER},
)
ANCHORED = "0x" + merkle.root([BOUND]).hex()


# -- a node that has it all in memory


def word(value: int | str) -> str:
    return f"{value:064x}" if isinstance(value, int) else value.removeprefix("0x").rjust(64, "0")


class SyntheticNode(verify.Node):
    """Answers what the verifier asks, as JSON-RPC would; every mint in a block of its own after the deployment."""

    def __init__(self) -> None:
        self._start = 1_800_000_000
        self._last = ORDERS // BATCH + 10
        self._logs = list(self._made())

    def ask(self, method: str, *params: Any) -> Any:
        match method:
            case "eth_chainId":
                return "0x7a69"
            case "eth_getBlockByNumber":
                number = {"latest": self._last, "finalized": self._last}.get(params[0]) or int(params[0], 16)
                return {"number": hex(number), "hash": GENESIS, "timestamp": hex(self._start + number)}
            case "eth_call":
                return self._view(params[0]["data"], params[0]["to"])
        wanted = params[0]
        return [log for log in self._logs if _asked_for(log, wanted)]

    def _view(self, data: str, target: str) -> str:
        answers: dict[str, list[int | str]] = {
            "authority()": [AUTHORITY],
            "totalSupply()": [VALUE * ORDERS],
            "redeemed()": [0],
            "nextNumber()": [ORDERS + 1],
            "feed()": [FEED],
            "attestorSet()": [0, 0, 0],
        }
        found = next(words for name, words in answers.items() if verify._hash(name.encode())[:10] == data)
        return "0x" + "".join(map(word, found)) if target else ""

    def _made(self) -> Iterator[dict[str, Any]]:
        for at, (name, values) in enumerate(WIRING):
            words = list(values.values())
            yield self._log(1, at, TOKEN, SENT, name, *(([], words) if name == "ReportAgeSet" else (words, [])))
        total = VALUE * ORDERS
        yield self._log(2, 0, FEED, SENT, "ReportPosted", [1, ANCHORED], [total, 0, total, self._start, 1])
        for number in range(ORDERS // BATCH):
            sent = transaction(number)
            for at in range(BATCH):
                yield self._log(number + 3, at, TOKEN, sent, "Transfer", [verify.ZERO, WALLET], [VALUE])
            first = number * BATCH + 1
            yield self._log(number + 3, BATCH, TOKEN, sent, "Minted", [first, root(number)], [BATCH])

    def _log(
        self,
        block: int,
        at: int,
        address: str,
        sent: str,
        name: str,
        indexed: list[Any],
        plain: list[int],
    ) -> dict[str, Any]:
        return {
            "address": address,
            "topics": [TOPICS[name], *("0x" + word(value) for value in indexed)],
            "data": "0x" + "".join(map(word, plain)),
            "blockNumber": hex(block),
            "blockTimestamp": hex(self._start + block),
            "transactionHash": sent,
            "logIndex": hex(at),
        }


def _asked_for(log: dict[str, Any], wanted: dict[str, Any]) -> bool:
    first, *rest = wanted["topics"]
    topics = first if isinstance(first, list) else [first]
    return (
        log["address"] in wanted["address"]
        and log["topics"][0] in topics
        and all(topic is None or topic == log["topics"][at] for at, topic in enumerate(rest, start=1))
        and int(wanted["fromBlock"], 16) <= int(log["blockNumber"], 16) <= int(wanted["toBlock"], 16)
    )


MEASUREMENT = Measurement(
    name="verifier",
    title="The log and its verifier",
    text=TEXT,
    lines=(
        Line(
            name="verifier_mints_per_second", what="the stranger's verifier", unit="orders/s", at_least=Decimal(5_000)
        ),
        Line(name="verifier_seconds", what=f"the same, {ORDERS:,} orders", unit="s", at_most=Decimal(20)),
        Line(name="log_appends_per_second", what="appends to the log folder", unit="records/s"),
        Line(name="log_inclusion_proof_ms", what=f"a proof from {LARGE:,} records", unit="ms", at_most=Decimal(5)),
    ),
    run=run,
)
