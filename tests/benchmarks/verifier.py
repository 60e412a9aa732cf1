"""The stranger's verifier: how long it takes over very many mints, from a log folder and a node's answers over HTTP."""

import json
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from issuer import verify
from issuer.audit.folder import LogFolder
from issuer.audit.record import canonical
from issuer.tlog import checkpoint, merkle
from issuer.tlog.note import Signer, Verifier
from tests.benchmarks import engines
from tests.benchmarks.figures import Line, Measurement, Value, rate, seconds

ORDERS, BATCH = 100_000, 100
TOKEN, FEED, MINTER, AUTHORITY, WALLET = ("0x" + digit * 40 for digit in "abcde")
GENESIS = "0x" + "99" * 32
AGE = 86_400
VALUE = 10_000  # units of every order: one fen
FIRST = 1_000_000  # the deployment's block
LOGS_AT_ONCE = 10_000  # what public nodes give in one answer

TOPICS = {form.name: topic for topic, form in verify.FORMS.items()}

TEXT = f"""
{ORDERS:,} orders in {ORDERS // BATCH:,} mints, with all their records: a whole run of the verifier, from a log folder
on the disk and from a node that answers over HTTP on the same machine, in a process of its own, with at most
{LOGS_AT_ONCE:,} events at once. The story is made up; the log is well signed, and no statement is left out.
"""


def run() -> Mapping[str, Value]:
    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    signer = Signer(
        verifier=Verifier(name="example.com/log", public_key=key.public_key().public_bytes_raw()), sign=key.sign
    )
    with engines.folder() as path, node() as url:
        publish(path / "log", list(told()), signer)
        source, known = verify.Source(str(path / "log")), verify.Key.parse(signer.verifier.vkey)
        began = time.perf_counter()
        verdict, _ = verify.verify(verify.Node(url), source, TOKEN, known, seen=None, grace=0, say=lambda _: None)
        took = time.perf_counter() - began
    assert verdict.failure == "", verdict.failure
    assert (verdict.orders, verdict.first_block) == (ORDERS, FIRST)
    return {"verifier_seconds": seconds(took), "verifier_mints_per_second": rate(ORDERS, took)}


MEASUREMENT = Measurement(
    name="verifier",
    title="The stranger's verifier",
    text=TEXT,
    lines=(
        Line(
            name="verifier_seconds",
            what=f"to verify {ORDERS:,} mints with their records, reports and powers",
            unit="s",
            at_most=Decimal(20),
        ),
        Line(name="verifier_mints_per_second", what="mints verified", unit="mints/s"),
    ),
    run=run,
)


def publish(path: Path, records: list[bytes], signer: Signer) -> None:
    folder = LogFolder(path, signer.verifier)
    note = checkpoint.sign(len(records), merkle.root(records), signer)
    folder.extend(note, lambda start, end: records[start:end])


# -- the records of very many orders


def told() -> Iterator[bytes]:
    """Money, then every order with its life; the node below tells the same mints."""
    yield BOUND
    for at, (name, values) in enumerate(WIRING):
        shown = {"event": name, **{key: str(value) for key, value in values.items()}}
        yield record(f"chain.{name}", f"event:{FIRST}:{at}", shown, [SENT])
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


@cache
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


@contextmanager
def node() -> Iterator[str]:
    """The URL of the node below, in a process of its own."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def serve(told_to: Connection) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        Answers.story = Story()
        told_to.send(server.server_address[1])
        server.serve_forever()


class Answers(BaseHTTPRequestHandler):
    """JSON-RPC over HTTP."""

    protocol_version = "HTTP/1.1"
    story: "Story"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"jsonrpc": "2.0", "id": asked["id"], **self.story.answer(asked["method"], asked["params"])}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def word(value: int | str) -> str:
    return f"{value:064x}" if isinstance(value, int) else value.removeprefix("0x").rjust(64, "0")


class Story:
    """What a chain would tell: every mint in a block of its own after the deployment."""

    def __init__(self) -> None:
        self._start = 1_800_000_000 - FIRST
        self._last = FIRST + ORDERS // BATCH + 10
        self._logs = list(self._made())

    def answer(self, method: str, params: list[Any]) -> dict[str, Any]:
        match method:
            case "eth_chainId":
                return {"result": "0x7a69"}
            case "eth_getBlockByNumber":
                number = {"latest": self._last, "finalized": self._last}.get(params[0]) or int(params[0], 16)
                block = {"number": hex(number), "hash": GENESIS, "timestamp": hex(self._start + number)}
                return {"result": block}
            case "eth_getCode":
                return {"result": "0xfe" if int(params[1], 16) >= FIRST else "0x"}
            case "eth_call":
                return {"result": self._view(params[0]["data"])}
        between = (int(params[0][name], 16) for name in ("fromBlock", "toBlock"))
        start, end = (bisect(self._logs, block, key=_block) for block, bisect in zip(between, BISECTS, strict=True))
        found = [log for log in self._logs[start:end] if _asked_for(log, params[0])]
        if len(found) > LOGS_AT_ONCE:
            return {"error": {"code": -32005, "message": f"more than {LOGS_AT_ONCE} results"}}
        return {"result": found}

    def _view(self, data: str) -> str:
        answers: dict[str, list[int | str]] = {
            "authority()": [AUTHORITY],
            "totalSupply()": [VALUE * ORDERS],
            "redeemed()": [0],
            "nextNumber()": [ORDERS + 1],
            "feed()": [FEED],
            "attestorSet()": [0, 0, 0],
        }
        found = next(words for name, words in answers.items() if verify._hash(name.encode())[:10] == data)
        return "0x" + "".join(map(word, found))

    def _made(self) -> Iterator[dict[str, Any]]:
        for at, (name, values) in enumerate(WIRING):
            words = list(values.values())
            yield self._log(FIRST, at, TOKEN, SENT, name, *(([], words) if name == "ReportAgeSet" else (words, [])))
        total = VALUE * ORDERS
        reported = [total, 0, total, self._start + FIRST, 1]
        yield self._log(FIRST + 1, 0, FEED, SENT, "ReportPosted", [1, ANCHORED], reported)
        for number in range(ORDERS // BATCH):
            block, sent = FIRST + 2 + number, transaction(number)
            for at in range(BATCH):
                yield self._log(block, at, TOKEN, sent, "Transfer", [verify.ZERO, WALLET], [VALUE])
            yield self._log(block, BATCH, TOKEN, sent, "Minted", [number * BATCH + 1, root(number)], [BATCH])

    def _log(
        self, block: int, at: int, address: str, sent: str, name: str, indexed: list[Any], plain: list[int]
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


BISECTS = bisect_left, bisect_right


def _block(log: dict[str, Any]) -> int:
    return int(log["blockNumber"], 16)


def _asked_for(log: dict[str, Any], wanted: dict[str, Any]) -> bool:
    first, *rest = wanted["topics"]
    topics = first if isinstance(first, list) else [first]
    return (
        log["address"] in wanted["address"]
        and log["topics"][0] in topics
        and all(topic is None or topic == log["topics"][at] for at, topic in enumerate(rest, start=1))
    )
