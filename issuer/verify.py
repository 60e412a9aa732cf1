"""Checks the issuer from outside: needs an RPC address, the published log and the log's key, and nothing of the issuer.

This one file is the whole verifier. It imports nothing of this package, only what `pip install web3 cryptography`
brings, so it can be copied and read by itself; the hashing, the parsing and the rules are written here a second time on
purpose, so that a fault of the issuer's own code is not shared. `issuer verify` runs this very file.

    python verify.py --rpc URL --token ADDRESS --key VKEY --log FOLDER_OR_URL [--state FILE]
    python verify.py --receipt FILE --token ADDRESS --key VKEY (--block-hash HASH --feed ADDRESS | --rpc URL)

What it asserts is `Statement`. It reads the log, then the chain, then holds one against the other; it says which
statement it first finds false and exits with 1 (2 when it could not look). Forms: RFC 6962 trees; C2SP signed-note,
tlog-checkpoint, tlog-tiles and tlog-cosignature; Ethereum's JSON-RPC, event logs and receipt tries; EIP-712 reports.
"""

import argparse
import gzip
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

GRACE = 3600
"""Seconds after which a final event of the chain must have its record, if nothing later has one."""

LONG = 16_384
"""Bytes of JSON: of a longer argument of an event its record holds the hash and the length."""


class Statement(IntEnum):
    """What a verdict asserts. What the records say by themselves is found first, whatever statement it belongs to."""

    SIGNED = 1
    WHOLE = 2
    RECORDS = 3
    ROOTS = 4
    CONSISTENT = 5
    ANCHORED = 6
    BOUND = 7
    COMPLETE = 8
    BACKED = 9
    FRESH = 10
    ATTESTED = 11
    MINTED = 12
    REDEEMED = 13
    REPORTED = 14
    POWERS = 15
    ONCE = 16

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    Statement.SIGNED: "every checkpoint is signed by the log's key",
    Statement.WHOLE: "the log is as large as what was published, anchored on chain, or seen here before",
    Statement.RECORDS: "every record is there, in its canonical form, and with all that these statements need of it",
    Statement.ROOTS: "the records lead to the root of every checkpoint, and to every hash of the published tree",
    Statement.CONSISTENT: "the records lead to the root that this verifier saw last time",
    Statement.ANCHORED: "the records lead to every root that a report has anchored on chain, and no anchored log "
    "is shorter than the last",
    Statement.BOUND: "the log is about this token on the chain with this genesis",
    Statement.COMPLETE: "the chain's events add up to the contracts' own totals, with no number left out",
    Statement.BACKED: "after every mint and at every report: supply + redeemed - paid <= reserve, supply + "
    "redeemed <= credited, paid <= redeemed",
    Statement.FRESH: "every mint rests on a report that was not too old",
    Statement.ATTESTED: "every report is signed by a quorum of those who were attestors then",
    Statement.MINTED: "every mint on chain is recorded as it was, and every recorded mint is on chain",
    Statement.REDEEMED: "every redemption on chain is recorded as it was, and every recorded redemption is on chain",
    Statement.REPORTED: "every report on chain is recorded as it was, every recorded report is on chain, and it "
    "anchors what was asked for",
    Statement.POWERS: "every use of a power is recorded as it was",
    Statement.ONCE: "by the records no money is minted twice, no redemption paid twice, no report counts money "
    "never moved",
}


class Untrue(Exception):  # noqa: N818 - named for what is found
    """A statement is false."""

    def __init__(self, statement: Statement, what: str) -> None:
        super().__init__(what)
        self.statement = statement
        self.what = what


class Unknown(Exception):  # noqa: N818 - named for what is found
    """It could not be looked at, so that nothing is said."""


Say = Callable[[str], None]
"""Tells how far it is."""


# -- amounts and bytes

ZERO = "0x" + "00" * 20
_HEX = re.compile("0x(?:[0-9a-f]{2})*")
_UNITS = re.compile(r"(0|[1-9][0-9]{0,18})\.([0-9]{6})")
_FEN = re.compile(r"(0|[1-9][0-9]{0,18})\.([0-9]{2})")


def units(text: str) -> int:
    """CNH with six decimals as units of 10^-6. Raises ValueError."""
    return _amount(_UNITS, text)


def fen(text: str) -> int:
    """Bank money with two decimals as units of 10^-6. Raises ValueError."""
    return _amount(_FEN, text) * 10_000


def cnh(value: int) -> str:
    """Units as CNH with six decimals."""
    return f"{'-' if value < 0 else ''}{abs(value) // 10**6:,}.{abs(value) % 10**6:06d}"


def _amount(form: re.Pattern[str], text: str) -> int:
    found = form.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not an amount")
    return int(found[1] + found[2])


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _hash(data: bytes) -> str:
    return "0x" + keccak(data).hex()


# -- the log: keys, notes, tree, files

EMPTY_ROOT = sha256(b"").digest()
WIDTH = 256
_ED25519, _COSIGNATURE = b"\x01", b"\x04"


@dataclass(frozen=True)
class Key:
    """A C2SP verifier key."""

    name: str
    kind: bytes
    public: bytes

    @classmethod
    def parse(cls, text: str) -> "Key":
        name, _, rest = text.strip().partition("+")
        ident, _, encoded = rest.partition("+")
        try:
            blob = b64decode(encoded, validate=True)
        except ValueError:
            blob = b""
        key = cls(name, blob[:1], blob[1:])
        if len(key.public) != 32 or key.kind not in (_ED25519, _COSIGNATURE) or key.ident.hex() != ident:
            raise Unknown(f"{text[:60]!r} is not a log key of the form name+id+base64")
        return key

    @property
    def ident(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + self.kind + self.public).digest()[:4]

    @property
    def text(self) -> str:
        return f"{self.name}+{self.ident.hex()}+{b64encode(self.kind + self.public).decode()}"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Checkpoint(NamedTuple):
    size: int
    root: bytes
    note: str


def open_checkpoint(note: str, key: Key, where: str) -> Checkpoint:
    """Read a checkpoint of the key's log. Raises Untrue unless the key has signed it."""
    text, blank, lines = note.rpartition("\n\n")
    if not blank:
        raise Untrue(Statement.SIGNED, f"{where} is not a signed note")
    message, signed = (text + "\n").encode(), False
    for name, ident, value in _signatures(lines):
        if (name, ident) == (key.name, key.ident):
            if not key.verifies(message, value):
                raise Untrue(Statement.SIGNED, f"the signature of {key.name} on {where} does not hold")
            signed = True
    if not signed:
        raise Untrue(Statement.SIGNED, f"{where} is not signed by {key.name} with key id {key.ident.hex()}")
    origin, size, root = _three_lines(text, where)
    if origin != key.name:
        raise Untrue(Statement.SIGNED, f"{where} is of the log {origin!r}, not of {key.name!r}")
    return Checkpoint(size, root, note)


def _three_lines(text: str, where: str) -> tuple[str, int, bytes]:
    lines = text.split("\n")
    if len(lines) != 3 or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1], re.ASCII):
        raise Untrue(Statement.SIGNED, f"{where} is not the three lines of a checkpoint")
    root = _unbase64(lines[2])
    if len(root) != 32:
        raise Untrue(Statement.SIGNED, f"{where} has no root of 32 bytes")
    return lines[0], int(lines[1]), root


def _signatures(lines: str) -> Iterator[tuple[str, bytes, bytes]]:
    for line in lines.splitlines():
        found = re.fullmatch(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)", line)
        if found:
            blob = _unbase64(found[2])
            yield found[1], blob[:4], blob[4:]


def _unbase64(text: str) -> bytes:
    """What text stands for in base64 in its one canonical form; nothing if it is none."""
    try:
        found = b64decode(text, validate=True)
    except ValueError:
        return b""
    return found if b64encode(found).decode() == text else b""


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """The roots of the complete subtrees left to right: all that is needed to append and to know the root."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        carry, size = leaf, self.size
        while size & 1:
            carry = node_hash(self._peaks.pop(), carry)
            size >>= 1
        self._peaks.append(carry)
        self.size += 1

    def root(self) -> bytes:
        if not self._peaks:
            return EMPTY_ROOT
        found = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            found = node_hash(peak, found)
        return found


class Levels:
    """The tree's hashes level by level, each tile held against the published one once it is complete (C2SP tlog-tiles).

    What differs is told at the end: while records are read, a wrong root says more.
    """

    def __init__(self, source: "Source") -> None:
        self._source = source
        self._open: list[list[bytes]] = []  # the rightmost tile of each level
        self._full: list[int] = []  # the number of tiles left of it
        self._wrong = ""

    def append(self, hashed: bytes, level: int = 0) -> None:
        if level == len(self._open):
            self._open.append([])
            self._full.append(0)
        tile = self._open[level]
        tile.append(hashed)
        if len(tile) == WIDTH:
            self._compare(level)
            self._open[level] = []
            self._full[level] += 1
            self.append(subtree_root(tile), level + 1)

    def finish(self) -> None:
        """Compare the tiles that are not full. Raises Untrue if any tile was not what the records give."""
        for level, tile in enumerate(self._open):
            if tile:
                self._compare(level)
        if self._wrong:
            raise Untrue(Statement.ROOTS, self._wrong)

    def _compare(self, level: int) -> None:
        tile = self._open[level]
        for name, content, count in self._source.parts(f"tile/{level}/{_name(self._full[level])}", len(tile)):
            self._wrong = self._wrong or _mismatch(name, content, tile, count)


def _mismatch(name: str, content: bytes | None, hashes: Sequence[bytes], count: int) -> str:
    """What is wrong with a published tile that must hold `count` hashes, of which these are known."""
    if content is None:
        return f"the log has no file {name}"
    if len(content) != 32 * count:
        return f"the file {name} does not hold {count} hashes"
    for at, expected in enumerate(hashes[:count]):
        if content[32 * at : 32 * at + 32] != expected:
            return f"hash {at} of {name} is not that of the records under it"
    return ""


def subtree_root(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of hashes."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def tree_root(leaves: Iterable[bytes]) -> bytes:
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
    return tree.root()


def path_root(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Where an inclusion path leads (RFC 9162 section 2.1.3.2); None if it has the wrong length."""
    at, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return found if last == 0 and 0 <= index < size else None


class Source:
    """The published log, in a folder or behind a static file server (C2SP tlog-tiles)."""

    def __init__(self, place: str) -> None:
        self.wrong = ""  # with the files of a smaller log, which are not needed for this one
        self._place = place.rstrip("/")
        self.remote = re.match(r"https?://", place) is not None

    def read(self, path: str) -> bytes | None:
        if self.remote:
            return _fetch(f"{self._place}/{path}")
        try:
            return (Path(self._place) / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Unknown(f"the log cannot be read: {error}") from error

    def checkpoint(self, key: Key, path: str = "checkpoint") -> Checkpoint:
        content = self.read(path)
        if content is None and not self.remote and not Path(self._place).is_dir():
            raise Unknown(f"there is no folder {self._place}")
        if content is None:
            raise Untrue(Statement.SIGNED, f"the log has no file {path}")
        return open_checkpoint(content.decode(errors="replace"), key, path)

    def past(self, key: Key, sizes: Iterable[int]) -> list[Checkpoint]:
        """The past checkpoints: all that lie in a folder, or those of these sizes behind a server, which lists none."""
        found = []
        for size in sorted({*sizes, *self._listed()}):
            path = f"checkpoints/{_name(size)}"
            if self.read(path) is not None:
                found.append(self.checkpoint(key, path))
                if found[-1].size != size:
                    raise Untrue(Statement.SIGNED, f"{path} is of size {found[-1].size}")
        return found

    def published(self, key: Key) -> tuple[Checkpoint, list[Checkpoint]]:
        """The latest checkpoint, and the past ones that a folder lists.

        In a copy made while the log grew one of these may be the latest: nothing that was published is left out.
        """
        # They are read first: a log that grows meanwhile has a `checkpoint` at least as large as they are.
        past = self.past(key, [])
        return max((self.checkpoint(key), *past), key=lambda found: found.size), past

    def entries(self, size: int, say: Say) -> Iterator[bytes]:
        """All entries of the log, first to last. Raises Untrue where one is missing."""
        for start in range(0, size, WIDTH):
            width = min(WIDTH, size - start)
            yield from self._bundle(start // WIDTH, width)
            if start % (WIDTH * 64) == 0:
                say(f"records {start + width:,} of {size:,}")

    def parts(self, path: str, width: int) -> Iterator[tuple[str, bytes | None, int]]:
        """A file of the tree that holds this many things, and in a folder the narrower ones that it replaced.

        Each with its name, its content, and the number that it must hold: a full file may have replaced a partial one.
        """
        partial = self.read(f"{path}.p/{width}") if width < WIDTH else None
        if partial is None:
            yield path, self.read(path), WIDTH
        else:
            yield f"{path}.p/{width}", partial, width
        for older in self._narrower(path, width):
            # A log that grows meanwhile takes away what a full file has replaced.
            if (content := self.read(f"{path}.p/{older}")) is not None:
                yield f"{path}.p/{older}", content, older

    def _bundle(self, index: int, width: int) -> list[bytes]:
        (path, content, count), *older = self.parts(f"tile/entries/{_name(index)}", width)
        where = f"records {index * WIDTH:,} to {index * WIDTH + width - 1:,}"
        if content is None:
            raise Untrue(Statement.RECORDS, f"{where} are not in the log")
        entries, at = [], 0
        while at < len(content):
            start = at + 2
            at = start + int.from_bytes(content[at:start])
            entries.append(content[start:at])
        if at != len(content) or len(entries) != count:
            raise Untrue(Statement.RECORDS, f"{where}: the file {path} does not hold {count} records")
        for name, found, fewer in older:
            if found != b"".join(len(entry).to_bytes(2) + entry for entry in entries[:fewer]):
                self.wrong = self.wrong or f"the file {name} holds other records than {path}"
        return entries[:width]

    def _narrower(self, path: str, width: int) -> list[int]:
        folder = Path(self._place) / f"{path}.p"
        if self.remote or not folder.is_dir():
            return []
        widths = (int(file.name) for file in folder.iterdir() if file.name.isdecimal())
        return sorted(found for found in widths if found < width)

    def _listed(self) -> list[int]:
        root = Path(self._place) / "checkpoints"
        if self.remote or not root.is_dir():
            return []
        names = (file.relative_to(root).as_posix() for file in root.rglob("[0-9][0-9][0-9]"))
        return [int(name.replace("x", "").replace("/", "")) for name in names]


def _name(index: int) -> str:
    """A tile's index in groups of three digits (C2SP tlog-tiles)."""
    text, rest = f"{index % 1000:03}", index // 1000
    while rest:
        text, rest = f"x{rest % 1000:03}/{text}", rest // 1000
    return text


def _fetch(url: str, body: bytes | None = None) -> bytes | None:
    """What a server answers; None if it has no such thing. Raises Unknown."""
    if not url.startswith(("http://", "https://")):
        raise Unknown(f"{url} is not an http or https address")
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            content: bytes = answer.read()
            # C2SP tlog-tiles lets a log compress without being asked.
            return gzip.decompress(content) if answer.headers["Content-Encoding"] == "gzip" else content
    except urllib.error.HTTPError as error:
        with error:
            if error.code in (403, 404) and body is None:
                return None
            if body is not None:
                return error.read()
        raise Unknown(f"{url} answers {error.code}") from error
    except (OSError, ValueError) as error:
        raise Unknown(f"{url} does not answer: {error}") from error


# -- the chain: JSON-RPC and events


class Node:
    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, method: str, *params: Any) -> Any:
        """One call. Raises Unknown, also when the node refuses it."""
        return self.ask_all(method, [list(params)])[0]

    def ask_all(self, method: str, calls: Sequence[Sequence[Any]]) -> list[Any]:
        """Several calls of one method in one request."""
        asked = [{"jsonrpc": "2.0", "id": at, "method": method, "params": params} for at, params in enumerate(calls)]
        content = _fetch(self._url, json.dumps(asked if len(asked) > 1 else asked[0]).encode()) or b""
        try:
            answers = json.loads(content)
            listed = answers if isinstance(answers, list) else [answers]
            by_id = {answer["id"]: answer for answer in listed if "result" in answer}
            return [by_id[at]["result"] for at in range(len(calls))]
        except (ValueError, KeyError, TypeError) as error:
            raise Unknown(f"{method}: the node says {content[:200].decode(errors='replace')}") from error

    def number(self, place: str) -> int:
        """The number of the newest block (``latest``) or of the last final one (``finalized``)."""
        return int(self.block(place)["number"], 16)

    def block(self, place: str) -> dict[str, Any]:
        """A block by number or hash. Raises Unknown if the node does not have it."""
        method = "eth_getBlockByHash" if len(place) == 66 else "eth_getBlockByNumber"
        found: dict[str, Any] | None = self.ask(method, place, False)
        if found is None:
            raise Unknown(f"the node has no block {place}")
        return found

    def view(self, target: str, signature: str, block: int) -> list[str]:
        """The 32-byte words that a view without arguments returns, as hex."""
        data = _hash(signature.encode())[:10]
        answer = self.ask("eth_call", {"to": target, "data": data}, hex(block))[2:]
        return [answer[at : at + 64] for at in range(0, len(answer), 64)]

    def has_code(self, address: str, block: int) -> bool:
        """Whether a contract was there at a block. Raises Unknown, also when the node has forgotten that state."""
        return bool(self.ask("eth_getCode", address, hex(block))[2:])

    def logs(self, addresses: Sequence[str], topics: Sequence[Any], first: int, last: int, say: Say) -> list[Any]:
        """Logs in blocks first to last, in pieces as large as the node gives."""
        found, at, span = [], first, last - first + 1
        while at <= last:
            end = min(at + span - 1, last)
            wanted = {"address": list(addresses), "topics": topics, "fromBlock": hex(at), "toBlock": hex(end)}
            try:
                found += self.ask("eth_getLogs", wanted)
            except Unknown:
                if span == 1:
                    raise
                span = max(1, span // 2)
                continue
            at = end + 1
            say(f"blocks {end:,} of {last:,}")
        return found


class Event(NamedTuple):
    """One event of one of the contracts, its addresses and hashes in small letters."""

    block: int
    position: int  # within the block
    name: str
    address: str
    transaction: str
    time: int  # of its block, seconds since 1970 UTC
    values: dict[str, Any]


_TRANSFER = "Transfer(address indexed from, address indexed to, uint256 value)"

_TOKEN = (
    "Minted(uint64 indexed first, uint64 count, bytes32 indexed batchRoot)",
    "Redeemed(address indexed account, uint256 indexed id, uint256 value, bytes32 indexed instruction)",
    "Verified(address indexed account)",
    "Unverified(address indexed account)",
    "Frozen(address indexed account, uint32 freezeCount)",
    "Unfrozen(address indexed account, uint32 freezeCount)",
    "Seized(address indexed account, uint256 indexed id, uint256 value, bytes32 indexed caseId)",
    "Retired(address indexed successor)",
    "Rescued(address indexed foreign, address indexed to, uint256 value)",
    "ContractURIUpdated()",
    "Stopped(uint8 stops, uint32 stopCount)",
    "Resumed(uint8 stops, uint32 stopCount)",
    "MinterSet(address indexed previous, address indexed next)",
    "FeedSet(address indexed previous, address indexed next)",
    "HookSet(address indexed previous, address indexed next)",
    "PolicySet(uint16 required, uint16 forbidden)",
    "ReportAgeSet(uint32 previous, uint32 next)",
    "Proposed(bytes32 indexed actId, bytes act, uint48 readyAt, address by)",
    "Accepted(bytes32 indexed actId, address by)",
    "Cancelled(bytes32 indexed actId, address by)",
)

_OTHERS = (
    "LimitSet(address indexed key, uint64 capacity, uint64 refill, uint32 version)",
    "ReportPosted(uint64 indexed number, uint256 reserve, uint256 paid, uint256 credited, uint64 asOf,"
    " bytes32 indexed logRoot, uint64 logSize)",
    "Bound(address indexed token)",
    "AttestorAdded(address indexed attestor, uint32 version)",
    "AttestorRemoved(address indexed attestor, uint32 version)",
    "QuorumSet(uint8 quorum, uint32 version)",
    "RoleGranted(uint64 indexed roleId, address indexed account, uint32 delay, uint48 since, bool newMember)",
    "RoleRevoked(uint64 indexed roleId, address indexed account)",
    "RoleLabel(uint64 indexed roleId, string label)",
    "RoleAdminChanged(uint64 indexed roleId, uint64 indexed admin)",
    "RoleGuardianChanged(uint64 indexed roleId, uint64 indexed guardian)",
    "RoleGrantDelayChanged(uint64 indexed roleId, uint32 delay, uint48 since)",
    "TargetClosed(address indexed target, bool closed)",
    "TargetFunctionRoleUpdated(address indexed target, bytes4 selector, uint64 indexed roleId)",
    "TargetAdminDelayUpdated(address indexed target, uint32 delay, uint48 since)",
    "OperationScheduled(bytes32 indexed operationId, uint32 indexed nonce, uint48 schedule, address caller,"
    " address target, bytes data)",
    "OperationExecuted(bytes32 indexed operationId, uint32 indexed nonce)",
    "OperationCanceled(bytes32 indexed operationId, uint32 indexed nonce)",
)


_TOKEN_ONLY = {item.partition("(")[0] for item in _TOKEN} - {"Proposed", "Accepted", "Cancelled"}


class Form(NamedTuple):
    name: str
    indexed: list[tuple[str, str]]  # name and type
    plain: list[tuple[str, str]]


def _form(signature: str) -> tuple[str, Form]:
    name, _, rest = signature.rstrip(")").partition("(")
    parts = [part.split() for part in rest.split(",") if part]
    topic = _hash(f"{name}({','.join(part[0] for part in parts)})".encode())
    indexed = [(part[-1], part[0]) for part in parts if len(part) == 3]
    return topic, Form(name, indexed, [(part[-1], part[0]) for part in parts if len(part) == 2])


FORMS = dict(map(_form, (_TRANSFER, *_TOKEN, *_OTHERS)))


def decode(log: Mapping[str, Any], time: int) -> Event:
    """An event from a log of the node. Raises Unknown for one that the contracts cannot have made."""
    try:
        form = FORMS[log["topics"][0]]
        data = log["data"][2:]
        values = {
            name: _value(kind, topic[2:]) for (name, kind), topic in zip(form.indexed, log["topics"][1:], strict=True)
        }
        for at, (name, kind) in enumerate(form.plain):
            word = data[at * 64 : at * 64 + 64]
            dynamic = kind in ("bytes", "string")
            values[name] = _bytes(kind, data, int(word, 16)) if dynamic else _value(kind, word)
        place = int(log["blockNumber"], 16), int(log["logIndex"], 16)
        return Event(*place, form.name, log["address"].lower(), log["transactionHash"].lower(), time, values)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise Unknown(f"the node gives a log that cannot be read: {str(log)[:200]}") from error


def _value(kind: str, word: str) -> Any:
    if kind == "bool":
        return int(word, 16) == 1
    if kind.startswith("uint"):
        return int(word, 16)
    if kind == "address":
        return "0x" + word[-40:].lower()
    return "0x" + word[: 2 * int(kind.removeprefix("bytes"))].lower()


def _bytes(kind: str, data: str, offset: int) -> str:
    start = offset * 2 + 64
    found = data[start : start + 2 * int(data[offset * 2 : start], 16)].lower()
    return "0x" + found if kind == "bytes" else unhex(found).decode(errors="replace")


# -- what the records say

_RECORD = {"v", "at", "actor", "action", "subject", "before", "after", "evidence"}


@dataclass
class Mint:
    """A recorded mint."""

    place: int
    first: int
    orders: list[str]  # ids of 32 bytes, hex
    transaction: str


@dataclass
class Burn:
    """A recorded redemption."""

    place: int
    holder: str
    value: int  # units
    reference: str
    transaction: str


@dataclass
class Asked:
    """A recorded reserve report: what was asked for, and what came back."""

    asked: int  # place of the record that asks for it
    size: int
    root: str
    figures: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)  # by signer: as the report's own
    signatures: list[bytes] = field(default_factory=list)
    place: int = -1  # of the record that it is final on chain; -1 until then
    transaction: str = ""
    most: tuple[int, int] = 0, 0  # units that the records let it count as paid and credited


@dataclass
class Payment:
    """A recorded instruction to the bank."""

    kind: str
    subject: str
    total: int  # units that leave
    par: int  # units that it discharges
    state: str = "instructed"  # -> paid | refused; refused -> accepted late | paid; accepted late -> paid; paid -> over
    booked: int = 0  # units that left in part before all was paid
    back: int = 0  # units that came back of it


@dataclass
class Used:
    """A recorded use of a power, as the chain showed it."""

    place: int
    told: Mapping[str, Any]
    transaction: str


class Book:
    """What the records say, read in their order; what they say twice or without its cause is untrue (ONCE)."""

    def __init__(self) -> None:
        self.bound: dict[str, Any] | None = None
        self.orders: dict[str, tuple[str, int, int]] = {}  # id to wallet, units, customer
        self.mints: dict[str, Mint] = {}  # by the batch's reference
        self.burns: dict[int, Burn] = {}
        self.reports: dict[int, Asked] = {}
        self.uses: dict[str, Used] = {}  # by block:index
        self.wallets: dict[tuple[str, str, str], int] = {}  # (event, address, transaction) to place
        self.requests: dict[tuple[str, ...], list[int]] = defaultdict(list)  # places
        self.payments: dict[str, Payment] = {}
        self.free: dict[int, int] = defaultdict(int)  # units of each customer's money that no order holds
        self.deposits: dict[str, tuple[int | None, int]] = {}  # subject to customer, if it is one's, and units
        self.recalled: set[str] = set()  # deposits that the bank took back
        # By order that money was bound to: reserved | minted | failed | unfunded | withdrawn
        self.held: dict[str, str] = {}
        self.live: dict[tuple[str, str], str] = {}  # kind and subject to message id
        self.erased = 0
        self.others = 0  # records of what is not held against the chain: customers, locks, ...
        self._late: dict[tuple[str, str], Payment] = {}  # accepted after it was refused, by what it is for
        self._par: dict[str, int] = defaultdict(int)  # instructed, not refused and not come back, by kind
        self._paid_before: list[tuple[int, int]] = []  # at the places where a redemption's payment came back
        self._rules = {
            "issuer.bound": self._bound,
            "deposit.taken": self._deposit,
            "deposit.recalled": self._recalled,
            "mint.requested": self._requested,
            "mint.reserved": self._reserved,
            "mint.cancelled": self._cancelled,
            "mint.final": self._minted,
            "mint.failed": self._failed,
            "mint.unknown": self._unknown,
            "redemption.burned": self._burned,
            "payout.instructed": self._instructed,
            "payout.partly-paid": self._partly_paid,
            "payout.taken-back": self._taken_back,
            "payout.rejected": self._rejected,
            "payout.accepted-late": self._accepted_late,
            "payout.partly-returned": self._partly_returned,
            "payout.returned": self._returned,
            "payout.paid": self._paid,
            "report.requested": self._asked,
            "report.signed": self._signed,
            "report.attested": self._attested,
            "report.final": self._posted,
            "wallet.registered": self._registered,
            "wallet.verified": self._wallet,
            "wallet.unverified": self._wallet,
            "personal.erased": self._erased,
        }

    def take(self, place: int, body: bytes) -> None:
        """Read the record at a place. Raises Untrue."""
        try:
            record = json.loads(body.decode())
            if record["v"] != 1 or not _is_record(record) or _canonical(record) != body:
                raise ValueError("not a canonical record of version 1")
            action = record["action"]
            rule = {"chain": self._use, "power": self._power}.get(action.partition(".")[0], self._rules.get(action))
            if rule is None:
                self.others += 1
            else:
                rule(place, record)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            raise Untrue(Statement.RECORDS, f"record {place:,} is not as documented: {error}") from error

    def _bound(self, place: int, record: Any) -> None:
        if self.bound is not None:
            raise Untrue(Statement.BOUND, f"record {place:,} binds the log to a token a second time")
        self.bound = {name: record["after"][name] for name in ("genesis", "chain_id", "token")}
        self.bound["token"] = self.bound["token"].lower()

    def _deposit(self, place: int, record: Any) -> None:
        after, subject = record["after"], record["subject"]
        (credit,) = record["evidence"]
        if subject != f"deposit:{credit}":
            raise Untrue(Statement.ONCE, f"record {place:,} takes the bank's credit {credit} as {subject}")
        if subject in self.deposits:
            raise Untrue(Statement.ONCE, f"record {place:,} takes the bank's credit {credit} again")
        owner = after["customer"] if after["state"] == "credited" else None
        self.deposits[subject] = owner, fen(after["amount"])
        if owner is not None:
            self.free[owner] += fen(after["amount"])

    def _recalled(self, place: int, record: Any) -> None:
        subject = record["subject"]
        if subject in self.recalled or any((kind, subject) in self.live for kind in ("RETURN", "REFUND")):
            raise Untrue(Statement.ONCE, f"record {place:,} gives {subject} back to the bank again")
        self.recalled.add(subject)
        if self.deposits[subject][0] is not None:
            self._take_back(place, subject, fen(record["after"]["amount"]))

    def _take_back(self, place: int, subject: str, value: int) -> None:
        """A customer's deposit leaves again: only money that no order holds."""
        customer, came = self.deposits[subject]
        free = 0 if customer is None else self.free[customer]
        if customer is None or value != came or free < value:
            what = f"record {place:,} gives {cnh(value)} of {subject} back, of which that is not there any more"
            raise Untrue(Statement.ONCE, what)
        self.free[customer] -= value

    def _requested(self, place: int, record: Any) -> None:
        after, order = record["after"], record["subject"].removeprefix("order:")
        if len(unhex(order)) != 32:
            raise ValueError(f"{order!r} is not 32 bytes")
        if order in self.orders:
            raise Untrue(Statement.ONCE, f"record {place:,} requests the order {order} again")
        self.orders[order] = after["wallet"].lower(), units(after["value"]), after["customer"]

    def _reserved(self, place: int, record: Any) -> None:
        order = record["subject"].removeprefix("order:")
        _, value, customer = self.orders[order]
        self.free[customer] -= value
        if order in self.held or self.free[customer] < 0:
            raise Untrue(Statement.ONCE, f"record {place:,} binds money to the order {order} that is not there")
        self.held[order] = "reserved"

    def _minted(self, place: int, record: Any) -> None:
        after, reference = record["after"], record["subject"].removeprefix("batch:")
        for order in after["orders"]:
            self._require_held(place, order, "mints")
            self.held[order] = "minted"
        if reference in self.mints:
            raise Untrue(Statement.MINTED, f"record {place:,} mints the batch {reference} again")
        self.mints[reference] = Mint(place, after["first"], after["orders"], record["evidence"][0])

    def _cancelled(self, place: int, record: Any) -> None:
        order = record["subject"].removeprefix("order:")
        if record["before"]["state"] in ("reserved", "batched"):
            self._require_held(place, order, "withdraws")
            _, value, customer = self.orders[order]
            self.held[order] = "withdrawn"
            self.free[customer] += value
        elif order in self.held:
            raise Untrue(Statement.ONCE, f"record {place:,} withdraws the order {order} as one without money")

    def _failed(self, place: int, record: Any) -> None:
        order = record["subject"].removeprefix("order:")
        self._require_held(place, order, "gives up")
        self.held[order] = "failed"

    def _require_held(self, place: int, order: str, does: str) -> None:
        """Money is bound to an order, which has not been minted and has not failed."""
        held = self.held.get(order)
        if held != "reserved":
            why = {"minted": " again", None: ", which no money was bound to"}.get(held, f", which is {held}")
            raise Untrue(Statement.ONCE, f"record {place:,} {does} the order {order}{why}")

    def _unknown(self, place: int, record: Any) -> None:
        what = f"record {place:,} tells a mint that nobody ordered: {record['subject']}, {record['after']['value']}"
        raise Untrue(Statement.MINTED, what)

    def _burned(self, place: int, record: Any) -> None:
        after, ident = record["after"], _redemption(record["subject"])
        if ident in self.burns:
            raise Untrue(Statement.REDEEMED, f"record {place:,} tells redemption {ident} again")
        told = after["holder"].lower(), units(after["value"]), after["reference"], record["evidence"][0]
        self.burns[ident] = Burn(place, *told)

    def _instructed(self, place: int, record: Any) -> None:
        after, subject = record["after"], record["subject"]
        kind, message = after["kind"], after["message_id"]
        payment = Payment(kind, subject, fen(after["amount"]) + fen(after["fee"]), units(after["par"]))
        if (kind, subject) in self.live or message in self.payments:
            raise Untrue(Statement.ONCE, f"record {place:,} pays {subject} again ({message})")
        if not subject.startswith(f"{_PAID_FOR[kind]}:"):
            raise Untrue(Statement.ONCE, f"record {place:,} pays {subject} as {kind}, which is for a {_PAID_FOR[kind]}")
        self._require_owed(place, payment)
        self._count_no_late(kind, subject)
        if kind == "REFUND":
            self._take_back(place, subject, payment.total)
        self.payments[message] = payment
        self.live[kind, subject] = message
        self._par[kind] += payment.par

    def _require_owed(self, place: int, payment: Payment) -> None:
        """What is paid is there to be paid: a burn, a failed order's money, a deposit that is no customer's."""
        subject, par = payment.subject, payment.par
        if payment.kind == "REDEEM":
            burn = self.burns.get(_redemption(subject))
            if burn is None or burn.value != par or not 0 <= par - payment.total < 10_000:
                raise Untrue(Statement.ONCE, f"record {place:,} pays {subject} other than at par less the fee")
        if payment.kind == "MINT" and par != payment.total:
            raise Untrue(Statement.ONCE, f"record {place:,} moves {cnh(payment.total)} for {subject} as {cnh(par)}")
        if payment.kind == "UNFUND":
            order = subject.removeprefix("order:")
            if self.held.get(order) != "failed" or {par, payment.total} != {self.orders[order][1]}:
                raise Untrue(Statement.ONCE, f"record {place:,} takes back for {subject} what no failed order holds")
        if payment.kind == "RETURN" and (self.deposits[subject] != (None, payment.total) or subject in self.recalled):
            raise Untrue(Statement.ONCE, f"record {place:,} returns {subject}, which is a customer's or not there")

    def _payment(self, record: Any) -> Payment:
        payment = self.payments[record["after"]["message_id"]]
        if payment.subject != record["subject"]:
            raise ValueError(f"{record['after']['message_id']} was ordered for {payment.subject}")
        return payment

    def _partly_paid(self, place: int, record: Any) -> None:
        payment = self._payment(record)
        payment.booked += fen(record["after"]["amount"])
        if payment.state != "instructed" or payment.booked >= payment.total:
            raise Untrue(Statement.ONCE, f"record {place:,} says that a part of {payment.subject} was paid again")

    def _taken_back(self, place: int, record: Any) -> None:
        payment = self._payment(record)
        payment.booked -= fen(record["after"]["amount"])
        if payment.state != "instructed" or payment.booked < 0:
            raise Untrue(Statement.ONCE, f"record {place:,} takes of {payment.subject} back what was not paid")

    def _rejected(self, place: int, record: Any) -> None:
        payment = self._payment(record)
        if payment.state != "instructed" or payment.booked:
            raise Untrue(Statement.ONCE, f"record {place:,} says that {payment.subject} was refused after it was paid")
        self._par[payment.kind] -= payment.par
        self._end(payment, "refused")

    def _accepted_late(self, place: int, record: Any) -> None:
        """It may be booked from now on, and counted in a report."""
        payment = self._payment(record)
        if payment.state not in ("refused", "accepted late"):
            raise Untrue(Statement.ONCE, f"record {place:,} accepts {payment.subject} late, which was not refused")
        cause = payment.kind, payment.subject
        if cause not in self.live and cause not in self._late:  # only one of them may be counted
            self._par[payment.kind] += payment.par
            self._late[cause] = payment
            payment.state = "accepted late"

    def _count_no_late(self, kind: str, subject: str) -> None:
        payment = self._late.pop((kind, subject), None)
        if payment is not None:
            self._par[kind] -= payment.par
            payment.state = "refused"

    def _book_late(self, place: int, payment: Payment, message: str) -> None:
        """What was refused is paid after all: only while nothing else pays the same."""
        if (payment.kind, payment.subject) in self.live:
            raise Untrue(Statement.ONCE, f"record {place:,} says that {payment.subject} was paid by two orders")
        self._require_owed(place, payment)
        if payment.kind == "REFUND":
            self._take_back(place, payment.subject, payment.total)
        self._count_no_late(payment.kind, payment.subject)
        self._par[payment.kind] += payment.par
        self.live[payment.kind, payment.subject] = message
        payment.state = "instructed"

    def _partly_returned(self, place: int, record: Any) -> None:
        payment = self._come_back(place, record)
        if payment.back >= payment.total:
            raise Untrue(Statement.ONCE, f"record {place:,} says that only a part of {payment.subject} came back")

    def _returned(self, place: int, record: Any) -> None:
        payment = self._come_back(place, record)
        if payment.back != payment.total:
            raise Untrue(Statement.ONCE, f"record {place:,} says that another amount of {payment.subject} came back")
        if payment.kind == "REDEEM":
            self._paid_before.append((place, self._par["REDEEM"]))
        if payment.kind in ("MINT", "REDEEM"):  # the one before it arrived, so that no report may count it
            self._par[payment.kind] -= payment.par
        if payment.kind == "UNFUND":
            self._refail(place, payment)
        self._end(payment)

    def _refail(self, place: int, payment: Payment) -> None:
        """A failed order's money is in the reserve again, and not the customer's."""
        order = payment.subject.removeprefix("order:")
        customer = self.orders[order][2]
        self.held[order] = "failed"
        self.free[customer] -= payment.par
        if self.free[customer] < 0:
            raise Untrue(Statement.ONCE, f"record {place:,} takes {payment.subject} back, whose money is bound again")

    def _come_back(self, place: int, record: Any) -> Payment:
        payment = self._payment(record)
        if payment.state != "paid":
            raise Untrue(Statement.ONCE, f"record {place:,} takes {payment.subject} back, which is not paid")
        payment.back += fen(record["after"]["amount"])
        return payment

    def _end(self, payment: Payment, state: str = "over") -> None:
        """A payment came to nothing: its cause may be paid again."""
        payment.state = state
        del self.live[payment.kind, payment.subject]
        if payment.kind == "REFUND" and (customer := self.deposits[payment.subject][0]) is not None:
            self.free[customer] += payment.total

    def _paid(self, place: int, record: Any) -> None:
        payment = self._payment(record)
        if payment.state in ("refused", "accepted late"):
            self._book_late(place, payment, record["after"]["message_id"])
        if payment.state != "instructed":
            raise Untrue(Statement.ONCE, f"record {place:,} says that {payment.subject} was paid again")
        if fen(record["after"]["amount"]) != payment.total:
            raise Untrue(Statement.ONCE, f"record {place:,} says that {payment.subject} was paid another amount")
        payment.state = "paid"
        if payment.kind == "UNFUND":
            order = payment.subject.removeprefix("order:")
            self.held[order] = "unfunded"
            self.free[self.orders[order][2]] += payment.par

    def _asked(self, place: int, record: Any) -> None:
        number, after = int(record["subject"].removeprefix("report:")), record["after"]
        if number in self.reports:
            raise Untrue(Statement.REPORTED, f"record {place:,} asks for report {number} again")
        self.reports[number] = Asked(place, after["log_size"], after["log_root"])

    def _signed(self, place: int, record: Any) -> None:
        number, after = int(record["subject"].removeprefix("report:")), record["after"]
        paid, credited = units(after["paid"]), units(after["credited"])
        figures = units(after["reserve"]), paid, credited, after["as_of"]
        self.reports[number].figures[after["signer"].lower()] = figures
        _require_moved(f"record {place:,}: report {number}", paid, credited, self._most(number))

    def _most(self, number: int) -> tuple[int, int]:
        """What a report may count as paid and credited; what comes back after it was asked for may still be in it."""
        before = [par for at, par in self._paid_before if at > self.reports[number].asked]
        return max([self._par["REDEEM"], *before]), self._par["MINT"]

    def _attested(self, _: int, record: Any) -> None:
        number = int(record["subject"].removeprefix("report:"))
        self.reports[number].signatures = [unhex(signature) for signature in record["after"]["signatures"]]

    def _posted(self, place: int, record: Any) -> None:
        number = int(record["subject"].removeprefix("report:"))
        found = self.reports.get(number)
        if found is None or found.place >= 0:
            raise Untrue(Statement.REPORTED, f"record {place:,} posts report {number}, not asked for or posted before")
        found.place, found.transaction, found.most = place, record["evidence"][0], self._most(number)

    def _registered(self, place: int, record: Any) -> None:
        self.requests["Verified", record["subject"].removeprefix("wallet:").lower()].append(place)

    def _wallet(self, place: int, record: Any) -> None:
        event = "Verified" if record["action"] == "wallet.verified" else "Unverified"
        key = event, record["subject"].removeprefix("wallet:").lower(), record["evidence"][0].lower()
        self.wallets[key] = place

    def _use(self, place: int, record: Any) -> None:
        key = record["subject"].removeprefix("event:")
        if key in self.uses:
            raise Untrue(Statement.POWERS, f"record {place:,} tells the event {key} of the chain again")
        self.uses[key] = Used(place, dict(record["after"]), record["evidence"][0])

    def _power(self, place: int, record: Any) -> None:
        for key in _asked_for(record["action"], record["after"]):
            self.requests[key].append(place)

    def _erased(self, _: int, __: Any) -> None:
        self.erased += 1


def _require_moved(what: str, paid: int, credited: int, most: tuple[int, int]) -> None:
    if paid > most[0] or credited > most[1]:
        counted = f"{what} counts {cnh(paid)} paid and {cnh(credited)} credited"
        raise Untrue(Statement.ONCE, f"{counted}, but the records order {cnh(most[0])} and {cnh(most[1])}")


_PAID_FOR = {"MINT": "batch", "UNFUND": "order", "REDEEM": "redemption", "REFUND": "deposit", "RETURN": "deposit"}
"""What each kind of payment is for."""


def _redemption(subject: str) -> int:
    """A redemption's id; it has one name only, so that nothing is owed under two."""
    ident = int(subject.removeprefix("redemption:"))
    if subject != f"redemption:{ident}":
        raise ValueError(f"{subject!r} is not redemption:{ident}")
    return ident


def _is_record(record: Mapping[str, Any]) -> bool:
    """Whether it has the members of every record, each of its kind."""
    return (
        record.keys() == _RECORD
        and type(record["at"]) is int
        and all(isinstance(record[name], str) for name in ("actor", "action", "subject"))
        and all(record[name] is None or isinstance(record[name], dict) for name in ("before", "after"))
        and isinstance(record["evidence"], list)
        and all(isinstance(item, str) for item in record["evidence"])
    )


_LISTED = {"power.freeze": "Frozen", "power.verify": "Verified", "power.unverify": "Unverified"}
_ACTS = {
    "power.propose": ("Proposed", "OperationScheduled"),
    "power.accept": ("Accepted", "OperationExecuted"),
    "power.cancel": ("Cancelled", "OperationCanceled"),
}
_OF_ROLES = {
    "power.grantRole": "RoleGranted",
    "power.revokeRole": "RoleRevoked",
    "power.revoke": "RoleRevoked",
    "power.labelRole": "RoleLabel",
    "power.setRoleAdmin": "RoleAdminChanged",
    "power.setRoleGuardian": "RoleGuardianChanged",
    "power.setGrantDelay": "RoleGrantDelayChanged",
}


def _asked_for(action: str, after: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The events that a request leads to, named as `_request_of` names them."""
    if action in _LISTED:
        return [(_LISTED[action], account.lower()) for account in after["accounts"]]
    if action in _ACTS:
        act = after["act_id"] if "act_id" in after else _act_id(after["act"])
        return [(_ACTS[action][after["contract"] == "authority"], act)]
    if action in _OF_ROLES:
        return [(_OF_ROLES[action], after["roleId"], after.get("account", "").lower())]
    match action:
        case "power.stop":
            return [("Stopped", after["stops"])]
        case "power.lower":
            return [("LimitSet", after["key"].lower(), after["capacity"], after["refill"])]
        case "power.removeAttestor":
            return [("AttestorRemoved", after["attestor"].lower())]
        case "power.setTargetAdminDelay":
            return [("TargetAdminDelayUpdated", after["target"].lower())]
        case "power.setTargetFunctionRole":
            return [("TargetFunctionRoleUpdated", after["target"].lower(), part) for part in after["selectors"]]
    raise ValueError(f"{action} is no power")


def _act_id(act: Any) -> str:
    """The hash of an act, which a record of a long one holds in its place."""
    return str(act["keccak256"]) if isinstance(act, dict) else _hash(unhex(act))


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _canonical(value: Any) -> bytes:
    """RFC 8785, as far as records go: integers, text, and keys in ASCII."""
    return _ENCODER.encode(value).encode()


# -- what the chain says


@dataclass
class Minted:
    event: Event
    orders: list[tuple[str, int]]  # recipient and units, in order


@dataclass
class Feed:
    """Who may sign reports, by a feed's own events."""

    attestors: set[str] = field(default_factory=set)
    quorum: int = 0


class Story:
    """What the contracts did, replayed from their events; the three inequalities are checked as each could break."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.supply = 0
        self.redeemed = 0
        self.next = 1
        self.mints: list[Minted] = []
        self.burns: list[Event] = []
        self.reports: list[Event] = []
        self.signers: list[Feed] = []  # as they stood at each report
        self.former: list[Event] = []  # reports on a feed that was the token's before
        self.joined: dict[str, Event] = {}  # by the address of a minter or a feed: what made it the token's
        self.uses: list[Event] = []
        self.feeds: dict[str, Feed] = defaultdict(Feed)
        self.feed = ""
        self.age = 0  # seconds that a report lives
        self.oldest = 0  # seconds: the oldest report that a mint rested on
        self.uncovered = 0  # seconds between the first mint and the end without a fresh report
        self.built = -1, -1  # the place of the last event of the deployment
        self._wired = ""  # the transaction that wired the contracts
        self._issued: list[Event] = []

    def play(self, event: Event) -> None:
        """Take the next event, in the chain's order. Raises Untrue."""
        if event.address != self.token and event.name in _TOKEN_ONLY:
            raise Untrue(
                Statement.COMPLETE,
                f"{event.address} emits {event.name} in block {event.block:,}, as if it were the token",
            )
        match event.name:
            case "Transfer":
                self._issued.append(event)
            case "Minted":
                self._mint(event)
            case "Redeemed":
                self._burn(event)
            case "ReportPosted":
                self._report(event)
            case _:
                self._use(event)
        if event.transaction == self._wired:
            self.built = event.block, event.position

    def end(self, time: int) -> None:
        """Nothing comes after this time. Raises Untrue."""
        self._refuse_strays(self._issued)
        self._cover(time)

    @property
    def latest(self) -> Event | None:
        return self.reports[-1] if self.reports else None

    def _mint(self, event: Event) -> None:
        first, count = event.values["first"], event.values["count"]
        mine = [item for item in self._issued if item.transaction == event.transaction]
        self._refuse_strays([item for item in self._issued if item.transaction != event.transaction] or mine[:-count])
        if first != self.next or len(mine) != count:
            what = f"the node shows {len(mine)} orders from number {self.next}, the mint {count} from {first}"
            raise Untrue(Statement.COMPLETE, what)
        self._issued = []
        self.next += count
        orders = [(item.values["to"], item.values["value"]) for item in mine]
        self.supply += sum(value for _, value in orders)
        self._require_backing(f"the mint of numbers {first} to {first + count - 1} in block {event.block:,}")
        self._require_fresh(event)
        self.mints.append(Minted(event, orders))

    def _refuse_strays(self, strays: Sequence[Event]) -> None:
        if strays:
            what = f"{cnh(strays[0].values['value'])} appear in transaction {strays[0].transaction} without a mint"
            raise Untrue(Statement.COMPLETE, what)

    def _require_backing(self, where: str) -> None:
        if self.latest is None:
            if self.supply + self.redeemed:
                raise Untrue(Statement.BACKED, f"{where} rests on no report at all")
            return
        told, issued = self.latest.values, self.supply + self.redeemed
        if told["paid"] > self.redeemed:
            what = f"more is paid ({cnh(told['paid'])}) than was redeemed ({cnh(self.redeemed)})"
        elif issued - told["paid"] > told["reserve"]:
            what = f"{cnh(issued - told['paid'])} is owed and {cnh(told['reserve'])} is in the reserve"
        elif issued > told["credited"]:
            what = f"{cnh(issued)} was ever minted and {cnh(told['credited'])} ever credited"
        else:
            return
        raise Untrue(Statement.BACKED, f"at {where}, by report {told['number']}: {what}")

    def _require_fresh(self, event: Event) -> None:
        age = event.time - (self.latest.values["asOf"] if self.latest else 0)
        if age > self.age:
            what = f"the mint in block {event.block:,} rests on a report {age:,} seconds old; {self.age:,} are allowed"
            raise Untrue(Statement.FRESH, what)
        self.oldest = max(self.oldest, age)

    def _burn(self, event: Event) -> None:
        self.redeemed += event.values["value"]
        self.supply -= event.values["value"]
        if event.values["id"] != self.redeemed or self.supply < 0:
            what = f"redemption {event.values['id']} does not follow from {self.redeemed - event.values['value']}"
            raise Untrue(Statement.COMPLETE, what)
        self.burns.append(event)

    def _report(self, event: Event) -> None:
        if event.address != self.feed:
            if event.address in self.joined:
                self.former.append(event)
            return
        self._require_order(event)
        self._cover(event.time)
        feed = self.feeds[event.address]
        self.reports.append(event)
        self.signers.append(Feed(set(feed.attestors), feed.quorum))
        self._require_backing(f"report {event.values['number']} in block {event.block:,}")

    def _require_order(self, event: Event) -> None:
        """No report is of the future, or anchors a shorter log than the one before."""
        number, before = event.values["number"], self.latest
        if event.values["asOf"] > event.time:
            raise Untrue(Statement.FRESH, f"report {number} is dated after its block {event.block:,}")
        if before is not None and event.values["logSize"] < before.values["logSize"]:
            sizes = f"{event.values['logSize']:,} records, after report {before.values['number']} anchored"
            raise Untrue(Statement.ANCHORED, f"report {number} anchors {sizes} {before.values['logSize']:,}")

    def _cover(self, until: int) -> None:
        """Count the seconds since the last report's end of life, once there is anything to be backed."""
        if self.latest is not None and self.mints:
            self.uncovered += max(0, until - self.latest.values["asOf"] - self.age)

    def _use(self, event: Event) -> None:
        values = event.values
        match event.name:
            case "FeedSet":
                self.feed = values["next"]
                self.joined.setdefault(self.feed, event)
            case "ReportAgeSet":
                self.age = values["next"]
            case "AttestorAdded":
                self.feeds[event.address].attestors.add(values["attestor"])
            case "AttestorRemoved":
                self.feeds[event.address].attestors.discard(values["attestor"])
            case "QuorumSet":
                self.feeds[event.address].quorum = values["quorum"]
            case "MinterSet":
                self.joined.setdefault(values["next"], event)
                if values["previous"] == ZERO:
                    self._wired = event.transaction
        self.uses.append(event)


def beginning(node: Node, token: str, last: int, since: int, say: Say) -> int:
    """The block before which there was neither the token nor a part of it; if the node does not tell, what is said.

    A node that has forgotten old states may say so, or that there was no code: then the token's first event is missing.
    """
    names = {form.name: topic for topic, form in FORMS.items()}
    try:
        first = _born(node, token, last, say)
        changes = node.logs([token], [[names["FeedSet"], names["MinterSet"]]], first, last, say)
        if not _is_first(changes):
            return since
        parts = {"0x" + node.view(token, "authority()", last)[0][-40:]}
        parts.update("0x" + log["topics"][2][-40:] for log in changes)
        step = 1
        while first and any(node.has_code(part, first - 1) for part in sorted(parts)):
            first, step = max(0, first - step), 2 * step
    except Unknown:
        return since
    return first


def _is_first(changes: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a token's changes of feed begin with its first: there was none before."""
    return bool(changes) and int(changes[0]["topics"][1], 16) == 0


def _born(node: Node, address: str, last: int, say: Say) -> int:
    """The first block at whose end a contract was there, by halving."""
    first = 0
    while first < last:
        middle = (first + last) // 2
        say(f"looking for the deployment, before block {last:,}")
        if node.has_code(address, middle):
            last = middle
        else:
            first = middle + 1
    return first


def read_chain(node: Node, token: str, first: int, last: int, say: Say) -> Story:
    """Replay blocks first to last, and hold the result against the contracts' own views. Raises Untrue or Unknown."""
    topics = {form.name: topic for topic, form in FORMS.items()}
    own = [topic for topic, form in FORMS.items() if form.name in {item.partition("(")[0] for item in _TOKEN}]
    logs = node.logs([token], [own], first, last, say)
    logs += node.logs([token], [topics["Transfer"], "0x" + "00" * 32], first, last, say)
    parts = {"0x" + node.view(token, "authority()", last)[0][-40:]}
    for log in logs:
        if log["topics"][0] in (topics["FeedSet"], topics["MinterSet"]):
            parts.add("0x" + log["topics"][2][-40:])
    logs += node.logs(sorted(parts), [list(set(FORMS) - {topics["Transfer"]})], first, last, say)
    story = Story(token)
    times = _times(node, logs)
    for event in sorted(decode(log, times[int(log["blockNumber"], 16)]) for log in logs):
        story.play(event)
    story.end(int(node.block(hex(last))["timestamp"], 16))
    _require_totals(node, story, last)
    return story


def _times(node: Node, logs: Sequence[Any]) -> dict[int, int]:
    """The times of the logs' blocks: from the logs where the node tells them there, or else from the headers."""
    times = {int(log["blockNumber"], 16): int(log.get("blockTimestamp") or "0x0", 16) for log in logs}
    unknown = [number for number, time in times.items() if not time]
    for at in range(0, len(unknown), 500):
        numbers = unknown[at : at + 500]
        headers = node.ask_all("eth_getBlockByNumber", [[hex(number), False] for number in numbers])
        times.update((number, int(header["timestamp"], 16)) for number, header in zip(numbers, headers, strict=True))
    return times


def _require_totals(node: Node, story: Story, last: int) -> None:
    for signature, found in (
        ("totalSupply()", story.supply),
        ("redeemed()", story.redeemed),
        ("nextNumber()", story.next),
        ("feed()", int(story.feed or ZERO, 16)),
    ):
        told = int(node.view(story.token, signature, last)[0], 16)
        if told != found:
            what = f"the events up to block {last:,} give {signature[:-2]} {found}, the contract says {told}"
            raise Untrue(Statement.COMPLETE, what)
    if story.feed:
        quorum, count, _ = (int(word, 16) for word in node.view(story.feed, "attestorSet()", last))
        known = story.feeds[story.feed]
        if (quorum, count) != (known.quorum, len(known.attestors)):
            what = f"the events give a quorum of {known.quorum} of {len(known.attestors)}, the feed {quorum} of {count}"
            raise Untrue(Statement.COMPLETE, what)


# -- the two held against each other


def require_attested(node: Node, story: Story, book: Book, chain_id: int) -> int:
    """How many signatures contracts made; every report is signed by a quorum of the attestors of its time, over just
    these figures. Raises Untrue, or Unknown if the node cannot say what a contract accepts.
    """
    contracts = 0
    for event, feed in zip(story.reports, story.signers, strict=True):
        number = event.values["number"]
        asked = book.reports.get(number)
        if asked is None or asked.place < 0:
            continue  # REPORTED says so, unless it is too new to be recorded
        digest = report_digest(event.values, story.token, event.address, chain_id)
        signers = set()
        for signature in asked.signatures or _posted_with(node, event):
            signer, named = recover(digest, signature), "0x" + signature[:20].hex()
            if signer not in feed.attestors and named in feed.attestors:
                if not accepts(node, named, digest, signature[20:], event.block):
                    what = f"the attestor {named}, a contract, does not stand by its signature of report {number}"
                    raise Untrue(Statement.ATTESTED, what)
                signer, contracts = named, contracts + 1
            if signer not in feed.attestors:
                raise Untrue(Statement.ATTESTED, f"report {number} is signed by {signer}, who was no attestor then")
            signers.add(signer)
        if len(signers) < feed.quorum:
            what = f"report {number} has {len(signers)} signatures; the quorum was {feed.quorum}"
            raise Untrue(Statement.ATTESTED, what)
    return contracts


_POST = keccak(b"post((address,uint64,uint256,uint256,uint256,uint64,bytes32,uint64),bytes[])")[:4]


def _posted_with(node: Node, event: Event) -> list[bytes]:
    """The signatures in the call that posted a report, which may be final before its signatures are recorded."""
    told = node.ask("eth_getTransactionByHash", event.transaction) or {"input": "0x", "to": None}
    data = unhex(told["input"])
    if data[:4] != _POST or str(told["to"]).lower() != event.address:
        return []
    body = data[4:]
    start = int.from_bytes(body[256:288]) + 32
    places = [
        start + int.from_bytes(body[start + 32 * at :][:32]) for at in range(int.from_bytes(body[start - 32 :][:32]))
    ]
    return [body[place + 32 :][: int.from_bytes(body[place:][:32])] for place in places]


_IS_VALID = keccak(b"isValidSignature(bytes32,bytes)")[:4]


def accepts(node: Node, contract: str, digest: bytes, signature: bytes, block: int) -> bool:
    """Whether a contract stood by a signature at a block (ERC-1271). Raises Unknown if the node cannot say.

    That it does so now is as good; that it does not says nothing about then.
    """
    padded = signature + bytes(-len(signature) % 32)
    data = _IS_VALID + digest + (64).to_bytes(32) + len(signature).to_bytes(32) + padded
    call = {"to": contract, "data": "0x" + data.hex()}
    try:
        return _says_yes(node, call, hex(block))
    except Unknown as error:  # the node has forgotten that block's state
        if _says_yes(node, call, "latest"):
            return True
        what = f"whether the contract {contract} signed in block {block:,} needs a node that keeps old states"
        raise Unknown(what) from error


def _says_yes(node: Node, call: Mapping[str, str], place: str) -> bool:
    try:
        return unhex(node.ask("eth_call", call, place))[:32] == _IS_VALID.ljust(32, b"\0")
    except Unknown as error:
        if "revert" in str(error):
            return False
        raise


def report_digest(values: Mapping[str, Any], token: str, feed: str, chain_id: int) -> bytes:
    """What the attestors sign (EIP-712)."""
    kind = b"Report(address token,uint64 number,uint256 reserve,uint256 paid,uint256 credited,uint64 asOf,"
    kind += b"bytes32 logRoot,uint64 logSize)"
    domain = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    parts = [keccak(kind), unhex(token).rjust(32, b"\0")]
    parts += [values[name].to_bytes(32) for name in ("number", "reserve", "paid", "credited", "asOf")]
    parts += [unhex(values["logRoot"]), values["logSize"].to_bytes(32)]
    own = [keccak(domain), keccak(b"ReserveFeed"), keccak(b"1"), chain_id.to_bytes(32), unhex(feed).rjust(32, b"\0")]
    return keccak(b"\x19\x01" + keccak(b"".join(own)) + keccak(b"".join(parts)))


def recover(digest: bytes, signature: bytes) -> str:
    """Whose key made a signature of 65 bytes r, s, v; the zero address if nobody's."""
    if len(signature) != 65:
        return ZERO
    try:
        public = Signature(signature[:64] + bytes([signature[64] - 27])).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError, ValueError):
        return ZERO
    return str(public.to_address())


class Late:
    """Which events of the chain need no record yet: none that a later one with a record follows."""

    def __init__(self, final: int, until: int) -> None:
        self.pending = 0
        self._final = final  # the last final block
        self._until = until  # seconds since 1970 UTC: what is final and older must be recorded
        self._recorded = -1, -1

    def recorded(self, event: Event) -> None:
        self._recorded = max(self._recorded, (event.block, event.position))

    def excuse(self, event: Event, statement: Statement, what: str) -> None:
        """Raise Untrue unless the event is so new that its record may still come."""
        if (event.block, event.position) < self._recorded or (event.block <= self._final and event.time <= self._until):
            place = f"block {event.block:,}, transaction {event.transaction}"
            raise Untrue(statement, f"{what} on chain ({place}) has no record")
        self.pending += 1


def compare(story: Story, book: Book, late: Late) -> int:
    """Every event against its record, and every record against its event. Raises Untrue.

    Answers how many uses of powers the service was never asked for: somebody called the contracts directly.
    """
    uses = [(event, _record_of(event, book)) for event in story.uses]
    for event in (*(mint.event for mint in story.mints), *story.burns, *story.reports):
        if _told(event, book):
            late.recorded(event)
    for event, used in uses:
        if used is not None:
            late.recorded(event)
    for mint in story.mints:
        _compare_mint(mint, book, late)
    _refuse_rest(
        Statement.MINTED, book.mints, {mint.event.values["batchRoot"] for mint in story.mints}, "mint of batch"
    )
    for event in story.burns:
        _compare_burn(event, book, late)
    _refuse_rest(Statement.REDEEMED, book.burns, {event.values["id"] for event in story.burns}, "redemption")
    for event in story.reports:
        _compare_report(event, book, late)
    for event in story.former:  # nothing rests on them
        if _told(event, book):
            _compare_report(event, book, late)
    posted = {number: asked for number, asked in book.reports.items() if asked.place >= 0}
    _refuse_rest(
        Statement.REPORTED, posted, {event.values["number"] for event in (*story.reports, *story.former)}, "report"
    )
    return _compare_uses(uses, story, book, late)


def _place(event: Event) -> tuple[int, int]:
    return event.block, event.position


def _told(event: Event, book: Book) -> bool:
    match event.name:
        case "Minted":
            return event.values["batchRoot"] in book.mints
        case "Redeemed":
            return event.values["id"] in book.burns
    asked = book.reports.get(event.values["number"])
    return asked is not None and asked.place >= 0


def _refuse_rest(statement: Statement, recorded: Mapping[Any, Any], known: set[Any], what: str) -> None:
    for key, item in recorded.items():
        if key not in known:
            raise Untrue(statement, f"record {item.place:,} tells the {what} {key}, which is not on chain")


def _compare_mint(mint: Minted, book: Book, late: Late) -> None:
    event = mint.event
    reference, first = event.values["batchRoot"], event.values["first"]
    what = f"the mint of numbers {first} to {first + len(mint.orders) - 1}"
    found = book.mints.get(reference)
    if found is None:
        late.excuse(event, Statement.MINTED, what)
        return
    if tree_root(map(unhex, found.orders)) != unhex(reference):
        raise Untrue(Statement.MINTED, f"{what} commits to other orders than record {found.place:,} names")
    recorded = [book.orders[order][:2] for order in found.orders]
    if (found.first, found.transaction, recorded) != (first, event.transaction, mint.orders):
        raise Untrue(Statement.MINTED, f"{what} is not what record {found.place:,} and its orders say")


def _compare_burn(event: Event, book: Book, late: Late) -> None:
    values = event.values
    found = book.burns.get(values["id"])
    if found is None:
        late.excuse(event, Statement.REDEEMED, f"redemption {values['id']}")
        return
    recorded = found.holder, found.value, found.reference, found.transaction
    if recorded != (values["account"], values["value"], values["instruction"], event.transaction):
        raise Untrue(Statement.REDEEMED, f"redemption {values['id']} is not what record {found.place:,} says")


def _compare_report(event: Event, book: Book, late: Late) -> None:
    values, number = event.values, event.values["number"]
    asked = book.reports.get(number)
    if asked is None or asked.place < 0:
        late.excuse(event, Statement.REPORTED, f"report {number}")
        return
    if (asked.size, asked.root) != (values["logSize"], values["logRoot"]):
        raise Untrue(Statement.REPORTED, f"report {number} anchors another log than was asked for")
    figures = values["reserve"], values["paid"], values["credited"], values["asOf"]
    if any(figures != told for told in asked.figures.values()) or asked.transaction != event.transaction:
        raise Untrue(Statement.REPORTED, f"report {number} on chain is not the one that record {asked.place:,} says")
    _require_moved(f"report {number} on chain", values["paid"], values["credited"], asked.most)


def _record_of(event: Event, book: Book) -> Used | None:
    """The record of a power's use; a wallet's has a form of its own."""
    if event.name not in ("Verified", "Unverified"):
        return book.uses.get(f"{event.block}:{event.position}")
    place = book.wallets.get((event.name, event.values["account"], event.transaction))
    return None if place is None else Used(place, {"event": event.name, **event.values}, event.transaction)


def _compare_uses(uses: Sequence[tuple[Event, Used | None]], story: Story, book: Book, late: Late) -> int:
    asked, outside = _asked_transactions(uses, book), 0
    for event, used in uses:
        what = f"{event.name}({', '.join(f'{name} {value}' for name, value in event.values.items())})"
        if used is None:
            # A part's own past is read, and recorded, once it is the token's.
            late.excuse(max(event, story.joined.get(event.address, event), key=_place), Statement.POWERS, what)
            continue
        if used.told.get("event") != event.name or not _same(event, used):
            raise Untrue(Statement.POWERS, f"{what} on chain is not what record {used.place:,} says")
        outside += (event.block, event.position) > story.built and event.transaction not in asked
    known = {f"{event.block}:{event.position}" for event, _ in uses}
    _refuse_rest(Statement.POWERS, book.uses, known, "event")
    seen = {(event.name, event.values.get("account"), event.transaction) for event, _ in uses}
    for key, place in book.wallets.items():
        if key not in seen:
            raise Untrue(Statement.POWERS, f"record {place:,} tells {key[0]}({key[1]}), which is not on chain")
    return outside


def _asked_transactions(uses: Sequence[tuple[Event, Used | None]], book: Book) -> set[str]:
    """The transactions with an event that an earlier record asked for; a record stands for one event.

    What else they did is its effect: an act that is accepted, a limit of zero that takes a role away.
    """
    scheduled = [event.values for event, _ in uses if event.name == "OperationScheduled"]
    operations = {values["operationId"]: _hash(unhex(values["data"])) for values in scheduled}
    requests = {key: list(places) for key, places in book.requests.items()}
    found = set()
    for event, used in uses:
        places = requests.get(_request_of(event, operations), [])
        if used is not None and places and places[0] < used.place:
            places.pop(0)
            found.add(event.transaction)
    return found


def _same(event: Event, used: Used) -> bool:
    told = {name: _text(value) for name, value in used.told.items()}
    return event.transaction == used.transaction and all(
        told.get(name) == _text(value if event.name == "Rescued" else _shown(name, value))  # another token's units
        for name, value in event.values.items()
    )


def _shown(name: str, value: Any) -> Any:
    """A value as a record shows it: the token's amounts as CNH, and of what is long the hash."""
    if name in ("act", "data", "label"):
        return _shorten(value)
    return cnh(value).replace(",", "") if name in ("capacity", "refill", "value") else value


def _shorten(value: str) -> str | dict[str, Any]:
    if len(_canonical(value)) <= LONG:
        return value
    raw = unhex(value) if _HEX.fullmatch(value) else value.encode()
    return {"keccak256": _hash(raw), "length": len(raw)}


def _text(value: Any) -> str:
    return (_canonical(value).decode() if isinstance(value, dict) else str(value)).lower()


def _request_of(event: Event, operations: Mapping[str, str]) -> tuple[str, ...]:
    """What a record must have asked for, for this event to be its doing."""
    name, values = event.name, event.values
    if "operationId" in values:
        return name, operations.get(values["operationId"], "")
    if "roleId" in values and "target" not in values:
        return name, str(values["roleId"]), values.get("account", "")
    match name:
        case "LimitSet":
            return name, values["key"], _shown("capacity", values["capacity"]), _shown("refill", values["refill"])
        case "Stopped":
            return name, str(values["stops"])
        case "TargetFunctionRoleUpdated":
            return name, values["target"], values["selector"]
    named = (values.get(part) for part in ("account", "actId", "attestor", "target"))
    return name, next(filter(None, named), "")


# -- the verdict


@dataclass(kw_only=True)
class Verdict:
    """What was found; amounts are units of 10^-6 CNH. Without a failure every statement holds."""

    log: str
    size: int = 0  # records under the latest checkpoint
    root: str = ""
    checkpoints: int = 0
    anchored: int = 0  # records under the last anchor: those after it are signed only
    anchors: int = 0
    seen: int = 0  # size at this verifier's last run
    erased: int = 0  # commitments whose salt was erased
    others: int = 0  # records of what is not held against the chain
    chain_id: int = 0
    first_block: int = 0  # the first one read
    block: int = 0  # the last one
    block_hash: str = ""
    mints: int = 0  # transactions
    orders: int = 0
    redemptions: int = 0
    reports: int = 0
    powers: int = 0  # uses since the deployment
    outside: int = 0  # of them, those that the service was never asked for
    pending: int = 0  # events so new that they need no record yet
    minted: int = 0
    redeemed: int = 0
    supply: int = 0
    reserve: int = 0
    paid: int = 0
    credited: int = 0
    as_of: int = 0  # of the latest report, seconds since 1970 UTC
    age: int = 0  # seconds between that and the last block
    lives: int = 0  # seconds that a report may be minted on
    oldest: int = 0  # seconds: the oldest report that a mint rested on
    uncovered: int = 0  # seconds without a fresh report since the first mint
    token: str = ""
    feed: str = ""
    quorum: str = ""
    attestors: list[str] = field(default_factory=list)  # now
    changes: int = 0  # of the attestors and their quorum, since the deployment
    contracts: int = 0  # signatures that a contract's own word stands for (ERC-1271)
    statement: int = 0  # the first false one
    failure: str = ""

    @property
    def holds(self) -> bool:
        return not self.failure


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a run leaves for the next: the log and the chain as they were."""

    log: str  # the log's key
    genesis: str
    token: str
    size: int
    root: str
    block: int  # final
    block_hash: str


def verify(
    node: Node, source: Source, token: str, key: Key, *, seen: Seen | None, grace: int = GRACE, since: int = 0, say: Say
) -> tuple[Verdict, Seen | None]:
    """Check every statement; the verdict, and what the next run must find again if all holds. Raises Unknown.

    `since` is a block before the token's first, for a node that cannot tell which that is.
    """
    verdict = Verdict(log=key.name, seen=seen.size if seen else 0)
    try:
        return verdict, _verify(verdict, node, source, token.lower(), key, seen, grace, since, say)
    except Untrue as untrue:
        verdict.statement, verdict.failure = int(untrue.statement), untrue.what
        return verdict, None


def _verify(
    verdict: Verdict,
    node: Node,
    source: Source,
    token: str,
    key: Key,
    seen: Seen | None,
    grace: int,
    since: int,
    say: Say,
) -> Seen:
    genesis, verdict.chain_id = node.block("0x0")["hash"], int(node.ask("eth_chainId"), 16)
    _require_known(seen, key, genesis, token)
    _require_same_chain(node, seen)
    # A report that lands after this block may anchor more than the checkpoint that is read next.
    known = node.number("latest")
    latest, past = source.published(key)
    verdict.size, verdict.root = latest.size, "0x" + latest.root.hex()
    if seen is not None and seen.size > latest.size:
        what = f"{seen.size:,} records were seen here before, but the log ends after {latest.size:,}"
        raise Untrue(Statement.WHOLE, what)
    verdict.first_block = beginning(node, token, known, since, say)
    anchors = _anchors(node, token, verdict.first_block, known, say)
    for size, _, number in anchors:
        if size > latest.size:
            what = f"report {number} anchors {size:,} records, but the log ends after {latest.size:,}"
            raise Untrue(Statement.WHOLE, what)
    verdict.anchored, verdict.anchors = max((size for size, _, _ in anchors), default=0), len(anchors)
    if not past:
        past = source.past(key, {size for size, _, _ in anchors})
    verdict.checkpoints = len(past)
    book = _read_records(source, latest, _expected(latest, past, seen, anchors), say)
    verdict.erased, verdict.others = book.erased, book.others
    _require_bound(book, genesis, verdict.chain_id, token)
    final = node.block("finalized")
    _hold_against_chain(verdict, node, token, book, final, grace, say)
    seen_block = {"block": int(final["number"], 16), "block_hash": final["hash"]}
    return Seen(log=key.text, genesis=genesis, token=token, size=latest.size, root=verdict.root, **seen_block)


def _require_known(seen: Seen | None, key: Key, genesis: str, token: str) -> None:
    if seen is None:
        return
    if seen.log != key.text:
        raise Untrue(Statement.CONSISTENT, f"the log has another key than at the last run: {seen.log}")
    if (seen.genesis, seen.token) != (genesis, token):
        raise Untrue(Statement.BOUND, "the chain or the token is another one than at the last run")


def _require_same_chain(node: Node, seen: Seen | None) -> None:
    if seen is not None and (found := node.block(hex(seen.block))["hash"]) != seen.block_hash:
        what = f"block {seen.block:,} was final with hash {seen.block_hash} at the last run, and has hash {found} now"
        raise Untrue(Statement.BOUND, what)


def _anchors(node: Node, token: str, first: int, last: int, say: Say) -> list[tuple[int, bytes, int]]:
    """Size, root and number of every report that the token's feeds hold in these blocks."""
    names = {form.name: topic for topic, form in FORMS.items()}
    feeds = [feed for _, feed in _feed_changes(node, token, first, last, say)]
    logs = node.logs(feeds, [names["ReportPosted"]], first, last, say) if feeds else []
    found = [decode(log, 0).values for log in logs]
    return [(values["logSize"], unhex(values["logRoot"]), values["number"]) for values in found]


def _feed_changes(node: Node, token: str, first: int, last: int, say: Say) -> list[tuple[int, str]]:
    """The feeds that the token was given in these blocks, from its first, each with its block."""
    topic = next(topic for topic, form in FORMS.items() if form.name == "FeedSet")
    changes = node.logs([token], [topic], first, last, say)
    if first and not _is_first(changes):
        raise Unknown(f"the token was there before block {first:,}: say an earlier one with --since")
    return [(int(log["blockNumber"], 16), "0x" + log["topics"][2][-40:].lower()) for log in changes]


Roots = dict[int, list[tuple[bytes, Statement, str]]]


def _expected(
    latest: Checkpoint, past: Sequence[Checkpoint], seen: Seen | None, anchors: Sequence[tuple[int, bytes, int]]
) -> Roots:
    """Every root that the records must lead to, by size."""
    roots: Roots = defaultdict(list)
    for item in (*past, latest):
        roots[item.size].append((item.root, Statement.ROOTS, f"the checkpoint of size {item.size:,} is signed over"))
    if seen is not None:
        roots[seen.size].append((unhex(seen.root), Statement.CONSISTENT, "this verifier saw at its last run"))
    for size, root, number in anchors:
        roots[size].append((root, Statement.ANCHORED, f"report {number} anchors on chain"))
    return roots


def _read_records(source: Source, latest: Checkpoint, roots: Roots, say: Say) -> Book:
    """All records, once: hashed, held against every known root and tile, and read. Raises Untrue."""
    book, tree, levels = Book(), Tree(), Levels(source)
    untrue: Untrue | None = None
    _require_roots(tree, roots)
    for place, body in enumerate(source.entries(latest.size, say)):
        leaf = leaf_hash(body)
        tree.append(leaf)
        levels.append(leaf)
        if tree.size in roots:
            _require_roots(tree, roots)
        if untrue is None:
            try:
                book.take(place, body)
            except Untrue as found:  # whether this is the record that was signed is more than what it says
                untrue = found
    levels.finish()
    if source.wrong:
        raise Untrue(Statement.RECORDS, source.wrong)
    if untrue is not None:
        raise untrue
    return book


def _require_roots(tree: Tree, roots: Roots) -> None:
    for root, statement, whose in roots.get(tree.size, ()):
        if root != tree.root():
            raise Untrue(statement, f"the first {tree.size:,} records do not have the root that {whose}")


def _require_bound(book: Book, genesis: str, chain_id: int, token: str) -> None:
    bound = book.bound
    if bound is None:
        raise Untrue(Statement.BOUND, "no record binds the log to a chain and a token")
    if bound["genesis"] != genesis or bound["chain_id"] != chain_id:
        raise Untrue(
            Statement.BOUND, f"the log is of the chain with genesis {bound['genesis']}, this one has {genesis}"
        )
    if bound["token"] != token:
        raise Untrue(Statement.BOUND, f"the log is of the token {bound['token']}, not of {token}")


def _hold_against_chain(
    verdict: Verdict, node: Node, token: str, book: Book, final: Mapping[str, Any], grace: int, say: Say
) -> None:
    last = node.number("latest")
    head = node.block(hex(last))
    verdict.block, verdict.block_hash = last, head["hash"]
    story = read_chain(node, token, verdict.first_block, last, say)
    _tell(verdict, story, int(head["timestamp"], 16))
    verdict.contracts = require_attested(node, story, book, verdict.chain_id)
    late = Late(int(final["number"], 16), int(final["timestamp"], 16) - grace)
    say("comparing records and chain")
    verdict.outside = compare(story, book, late)
    verdict.pending = late.pending


def _tell(verdict: Verdict, story: Story, now: int) -> None:
    verdict.mints, verdict.orders = len(story.mints), story.next - 1
    verdict.redemptions, verdict.reports = len(story.burns), len(story.reports)
    verdict.minted, verdict.redeemed, verdict.supply = story.supply + story.redeemed, story.redeemed, story.supply
    if story.latest is not None:
        told = story.latest.values
        verdict.reserve, verdict.paid, verdict.credited = told["reserve"], told["paid"], told["credited"]
        verdict.as_of, verdict.age = told["asOf"], now - told["asOf"]
    verdict.lives, verdict.oldest, verdict.uncovered = story.age, story.oldest, story.uncovered
    later = [event for event in story.uses if (event.block, event.position) > story.built]
    verdict.powers = len(later)
    verdict.changes = sum(event.name in ("AttestorAdded", "AttestorRemoved", "QuorumSet") for event in later)
    feed = story.feeds[story.feed]
    verdict.quorum = f"{feed.quorum} of {len(feed.attestors)}"
    verdict.token, verdict.feed, verdict.attestors = story.token, story.feed, sorted(feed.attestors)


# -- receipts


def verify_receipt(
    receipt: Mapping[str, Any], token: str, key: Key, block_hash: str | None, feed: str | None
) -> list[str]:
    """Check a receipt without a network; what it proves, in sentences. Raises Untrue.

    The records lie under a checkpoint of the log's key, and the block with this hash holds the event by which the
    token's feed anchored that checkpoint. A hash or a feed that is not given is the receipt's own, which proves nothing
    until `require_on_chain` has found it there: anybody's contract can post such an event.
    """
    try:
        return list(_prove(receipt, token.lower(), key, block_hash, feed))
    except (Unknown, LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise Untrue(Statement.RECORDS, f"this is not a receipt: {error!r}") from error


def _prove(receipt: Mapping[str, Any], token: str, key: Key, block_hash: str | None, feed: str | None) -> Iterator[str]:
    if receipt["v"] != 1 or receipt["token"].lower() != token:
        raise Untrue(Statement.BOUND, f"the receipt is of the token {receipt['token']}")
    checkpoint, records = open_checkpoint(receipt["checkpoint"], key, "the receipt's checkpoint"), list[Any]()
    if not _ascend([item["index"] for item in receipt["records"]]):
        raise ValueError("its records are not in the log's order")
    for item in receipt["records"]:
        leaf = leaf_hash(item["record"].encode())
        path = [unhex(part) for part in item["proof"]]
        if path_root(leaf, item["index"], checkpoint.size, path) != checkpoint.root:
            raise Untrue(Statement.ROOTS, f"record {item['index']} is not in the log of {checkpoint.size:,} records")
        records.append(record := json.loads(item["record"]))
        if not _is_record(record) or _canonical(record) != item["record"].encode():
            raise ValueError(f"record {item['index']} is not a canonical record")
        yield f"record {item['index']:,}: {record['action']} {record['subject']} {_canonical(record['after']).decode()}"
    _require_linked(records)
    yield from _outcome(records)
    block_hash = (block_hash or receipt["anchor"]["block_hash"]).lower()
    feed = (feed or receipt["feed"]).lower()
    event = _proven_event(receipt["anchor"], block_hash)
    if event.name != "ReportPosted" or {event.address, receipt["feed"].lower()} != {feed}:
        raise Untrue(Statement.ANCHORED, f"the proven event is no report of the token's feed {feed}")
    if (event.values["logSize"], unhex(event.values["logRoot"])) != (checkpoint.size, checkpoint.root):
        raise Untrue(Statement.ANCHORED, f"report {event.values['number']} anchors another log")
    yield f"they lie in the log {key.name} of {checkpoint.size:,} records, signed by its key"
    yield f"report {event.values['number']} of the feed {event.address} anchors that log in block {block_hash}"


def _ascend(places: Sequence[int]) -> bool:
    return all(before < after for before, after in pairwise(places))


_ENDS = ("mint.final", "redemption.burned")
"""What a receipt is for."""


def _require_linked(records: Sequence[Any]) -> None:
    """All are of one mint and orders that it minted, or of one redemption. Raises Untrue."""
    ends = [record for record in records if record["action"] in _ENDS]
    if len(ends) != 1 or len(ends[0]["evidence"]) != 1:
        raise Untrue(Statement.RECORDS, "the receipt does not show one mint or one redemption with its transaction")
    (end,) = ends
    for subject in {record["subject"] for record in records if record is not end}:
        if end["action"] == "mint.final":
            _require_minted(subject, end)
        elif subject != end["subject"]:
            raise Untrue(Statement.REDEEMED, f"the receipt joins records of {subject} to {end['subject']}")


def _require_minted(subject: str, end: Any) -> None:
    orders = end["after"]["orders"]
    if (
        subject.removeprefix("order:") not in orders
        or "batch:0x" + tree_root(map(unhex, orders)).hex() != end["subject"]
    ):
        raise Untrue(Statement.MINTED, f"{subject} is not in the {end['subject']}")


def _outcome(records: Sequence[Any]) -> Iterator[str]:
    """What these records say of a redemption's payment: money that came back pays nothing."""
    paid, back = None, 0
    for record in records:
        if record["action"] == "payout.paid":
            paid, back = fen(record["after"]["amount"]), 0
        elif record["action"] in ("payout.partly-returned", "payout.returned"):
            back += fen(record["after"]["amount"])
    for subject in (record["subject"] for record in records if record["action"] == "redemption.burned"):
        if paid is None or back:
            why = "" if paid is None else f": of {cnh(paid)} that were paid, {cnh(back)} came back"
            yield f"{subject} is not paid, by these records{why}"
        else:
            yield f"{subject} is paid, by these records: {cnh(paid)}"


def _proven_event(anchor: Mapping[str, Any], block_hash: str) -> Event:
    """The event that the block with this hash holds, by its header and a path in its trie of receipts."""
    header = unhex(anchor["header"])
    if _hash(header) != block_hash:
        raise Untrue(Statement.ANCHORED, f"the receipt's header is not that of block {block_hash}")
    fields, index = rlp_decode(header), anchor["transaction_index"]
    if type(index) is not int:
        raise ValueError(f"{index!r} is no index of a transaction")
    found = trie_value(fields[5], rlp_encode(index), [unhex(node) for node in anchor["proof"]])
    body = rlp_decode(found[1:] if found[0] < 0x80 else found)  # EIP-2718: a typed receipt begins with its type
    address, topics, data = body[3][anchor["log_index"]]
    log = {
        "address": "0x" + address.hex(),
        "topics": ["0x" + topic.hex() for topic in topics],
        "data": "0x" + data.hex(),
        "blockNumber": "0x" + (fields[8].hex() or "0"),
        "logIndex": hex(anchor["log_index"]),
        "transactionHash": "",
    }
    return decode(log, int.from_bytes(fields[11]))


def trie_value(root: bytes, key: bytes, proof: Sequence[bytes]) -> bytes:
    """The value under a key of a Merkle-Patricia trie (Yellow Paper, appendix D). Raises Untrue if it is not proven."""
    nibbles = [part for byte in key for part in (byte >> 4, byte & 15)]
    expected = root
    for node in proof:
        if expected not in (keccak(node), node):  # by its hash, or in place if it is short
            break
        items = rlp_decode(node)
        if len(items) == 17:
            if not nibbles:
                return bytes(items[16])
            expected = _reference(items[nibbles.pop(0)])
            continue
        path, leaf = _path(items[0])
        if nibbles[: len(path)] != path:
            break
        nibbles = nibbles[len(path) :]
        if leaf:
            if nibbles:
                break
            return bytes(items[1])
        expected = _reference(items[1])
    raise Untrue(Statement.ANCHORED, "the receipt's proof does not lead from its block to the anchoring event")


def _reference(item: Any) -> bytes:
    """What names a child: its hash, or itself."""
    return item if isinstance(item, bytes) else rlp_encode(item)


def _path(encoded: bytes) -> tuple[list[int], bool]:
    nibbles = [part for byte in encoded for part in (byte >> 4, byte & 15)]
    return nibbles[1 if nibbles[0] & 1 else 2 :], nibbles[0] >= 2


def rlp_encode(item: Any) -> bytes:
    """Recursive Length Prefix (Yellow Paper, appendix B) of integers, bytes and lists."""
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8)
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else _length(len(item), 0x80) + item
    body = b"".join(map(rlp_encode, item))
    return _length(len(body), 0xC0) + body


def rlp_decode(data: bytes) -> Any:
    """The item that fills these bytes. Raises ValueError."""
    item, end = _item(data, 0)
    if end != len(data):
        raise ValueError("not RLP")
    return item


def _length(size: int, offset: int) -> bytes:
    if size < 56:
        return bytes([offset + size])
    digits = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([offset + 55 + len(digits)]) + digits


def _item(data: bytes, at: int) -> tuple[Any, int]:
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    base = 0x80 if first < 0xC0 else 0xC0
    start, size = at + 1, first - base
    if size > 55:
        start, size = start + size - 55, int.from_bytes(data[start : start + size - 55])
    if start + size > len(data):
        raise ValueError("not RLP")
    if base == 0x80:
        return data[start : start + size], start + size
    items, place = [], start
    while place < start + size:
        item, place = _item(data, place)
        items.append(item)
    return items, start + size


def require_on_chain(node: Node, receipt: Mapping[str, Any], token: str, since: int, say: Say) -> None:
    """Find on chain what `verify_receipt` took from the receipt, and the mint or the redemption itself.

    Its block must be final, and its feed one that the token has had by then. Raises Untrue or Unknown.
    """
    header = unhex(receipt["anchor"]["header"])
    number = int.from_bytes(rlp_decode(header)[8])
    if number > node.number("finalized"):
        raise Untrue(Statement.ANCHORED, f"block {number:,} is not final yet")
    if node.block(hex(number))["hash"] != _hash(header):
        raise Untrue(Statement.ANCHORED, f"the chain has another block {number:,} than the receipt")
    last = node.number("latest")
    changes = _feed_changes(node, token, beginning(node, token, last, since, say), last, say)
    feeds = [feed for block, feed in changes if block <= number]
    if receipt["feed"].lower() not in feeds:
        what = f"the token's feeds up to block {number:,} are {feeds}, the receipt's is {receipt['feed']}"
        raise Untrue(Statement.ANCHORED, what)
    for record in map(json.loads, (item["record"] for item in receipt["records"])):
        if record["action"] in _ENDS:
            _require_event(node, record, token.lower())


def _require_event(node: Node, record: Mapping[str, Any], token: str) -> None:
    """The token did in its transaction what a record says; what other contracts did there says nothing."""
    (transaction,) = record["evidence"]
    told = node.ask("eth_getTransactionReceipt", transaction) or {"logs": []}
    own = [log for log in told["logs"] if log["address"].lower() == token and log["topics"]]
    events = [decode(log, 0) for log in own if log["topics"][0] in FORMS]
    named = {f"batch:{event.values['batchRoot']}" for event in events if event.name == "Minted"}
    named |= {f"redemption:{event.values['id']}" for event in events if event.name == "Redeemed"}
    if record["subject"] not in named:
        raise Untrue(Statement.COMPLETE, f"the chain shows no {record['subject']} in {transaction}")
    for event in events:
        values = event.values
        if event.name == "Redeemed" and record["subject"] == f"redemption:{values['id']}":
            burn = record["after"]["holder"].lower(), units(record["after"]["value"]), record["after"]["reference"]
            if burn != (values["account"], values["value"], values["instruction"]):
                raise Untrue(Statement.REDEEMED, f"{record['subject']} on chain is not what the receipt's record says")


# -- the witness


def cosign(checkpoint: Checkpoint, key: Key, secret: Ed25519PrivateKey, now: int) -> str:
    """The checkpoint with a line of this witness (C2SP tlog-cosignature, cosignature/v1)."""
    text = checkpoint.note.rpartition("\n\n")[0] + "\n"
    signature = secret.sign(_cosigned(text, now))
    line = b64encode(key.ident + now.to_bytes(8) + signature).decode()
    return f"{checkpoint.note}— {key.name} {line}\n"


def cosigned(note: str, key: Key) -> int | None:
    """When a witness says that it saw this checkpoint, in seconds since 1970 UTC; None if it does not say so."""
    text, _, lines = note.rpartition("\n\n")
    for name, ident, value in _signatures(lines):
        if (name, ident, len(value)) == (key.name, key.ident, 72):
            at = int.from_bytes(value[:8])
            if key.verifies(_cosigned(text + "\n", at), value[8:]):
                return at
    return None


def _cosigned(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def witness_key(path: Path, name: str) -> tuple[Key, Ed25519PrivateKey]:
    """The witness's own key, made at first use and readable by its owner only."""
    if not path.exists():
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
            file.write(Ed25519PrivateKey.generate().private_bytes_raw())
    secret = Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    return Key(name, _COSIGNATURE, secret.public_key().public_bytes_raw()), secret


# -- the program


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command line; 0 if all holds, 1 if a statement is false, 2 if it could not be looked at."""
    options = _options(arguments)
    try:
        key = Key.parse(_given(options.key))
        return _check_receipt(options, key) if options.receipt else _check_all(options, key)
    except Untrue as untrue:
        return _end(options, {"statement": int(untrue.statement), "failure": untrue.what}, _false(untrue))
    except (Unknown, OSError, ValueError) as error:
        print(f"cannot look: {error}", file=sys.stderr)
        if options.json:
            print(json.dumps({"statement": None, "failure": f"cannot look: {error}"}, indent=2))
        return 2


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="verify", description="Check the issuer from outside: its log, its mints.")
    parser.add_argument("--rpc", metavar="URL", help="a node of the chain")
    parser.add_argument("--token", type=_address, required=True, metavar="ADDRESS", help="the token's contract")
    parser.add_argument("--key", required=True, metavar="VKEY", help="the log's key, or a file that holds it")
    parser.add_argument("--log", metavar="FOLDER_OR_URL", help="where the log is published")
    parser.add_argument(
        "--state", type=Path, metavar="FILE", help="what this verifier saw last; written when all holds"
    )
    parser.add_argument(
        "--since", type=int, default=0, metavar="BLOCK", help="before the token's first, if the node forgets old states"
    )
    parser.add_argument("--grace", type=int, default=GRACE, metavar="SECONDS", help="for the last events' records")
    parser.add_argument("--receipt", type=Path, metavar="FILE", help="check this receipt instead of everything")
    parser.add_argument(
        "--block-hash", type=_hash_of, metavar="HASH", help="check the receipt against this block, without a node"
    )
    parser.add_argument(
        "--feed", type=_address, metavar="ADDRESS", help="the token's feed at that block, whose report anchors the log"
    )
    parser.add_argument("--witness", type=Path, metavar="FILE", help="cosign the checkpoint with the key in this file")
    parser.add_argument("--witness-name", default="witness", metavar="NAME", help="the name of that key")
    parser.add_argument("--json", action="store_true", help="answer as JSON")
    options = parser.parse_args(arguments)
    if not (options.rpc or (options.receipt and options.block_hash and options.feed)):
        parser.error("give --rpc; a receipt may be checked against --block-hash and --feed instead")
    if not (options.log or options.receipt):
        parser.error("give --log, or --receipt")
    if options.witness and not options.state:
        parser.error("a witness remembers what it saw: give --state")
    return options


def _address(text: str) -> str:
    """An address; one in capitals and small letters must have them where EIP-55 does."""
    if re.fullmatch(r"0x[0-9a-fA-F]{40}", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not 0x and 40 hexadecimal digits")
    digits = text[2:]
    sums = keccak(digits.lower().encode()).hex()
    pairs = zip(digits.lower(), sums[:40], strict=True)
    mixed = "".join(digit.upper() if int(nibble, 16) > 7 else digit for digit, nibble in pairs)
    if digits not in (digits.lower(), digits.upper(), mixed):
        raise argparse.ArgumentTypeError(f"{text} has a wrong checksum: copy it again")
    return text


def _hash_of(text: str) -> str:
    if re.fullmatch(r"0x[0-9a-fA-F]{64}", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not 0x and 64 hexadecimal digits")
    return text


def _given(text: str) -> str:
    return Path(text).read_text() if "+" not in text else text


def _check_all(options: argparse.Namespace, key: Key) -> int:
    began, source = time.monotonic(), Source(options.log)
    seen = _read_state(options.state)
    verdict, now = verify(
        Node(options.rpc),
        source,
        options.token,
        key,
        seen=seen,
        grace=options.grace,
        since=options.since,
        say=_progress(),
    )
    _progress_ends()
    if now is not None and options.state:
        _replace(options.state, json.dumps(asdict(now), indent=2) + "\n")
    lines = _lines(verdict, source, time.monotonic() - began)
    if now is not None and options.witness:
        lines.append(_witness(options, source, key, now))
    answer = asdict(verdict) | {"unproven": unproven(verdict, source.remote) if verdict.holds else []}
    return _end(options, answer, "\n".join(lines))


def _witness(options: argparse.Namespace, source: Source, key: Key, now: Seen) -> str:
    checkpoint, _ = source.published(key)
    if (checkpoint.size, "0x" + checkpoint.root.hex()) != (now.size, now.root):
        raise Unknown("the log has grown meanwhile: run again to cosign it")
    own, secret = witness_key(options.witness, options.witness_name)
    path = options.state.with_suffix(".checkpoint")
    _replace(path, cosign(checkpoint, own, secret, int(time.time())))
    return f"cosigned       {path}, as {own.text}"


def _read_receipt(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise Untrue(Statement.RECORDS, f"{path} is not a receipt: {error}") from error


def _check_receipt(options: argparse.Namespace, key: Key) -> int:
    receipt = _read_receipt(options.receipt)
    proven = verify_receipt(receipt, options.token, key, options.block_hash, options.feed)
    if options.rpc:
        require_on_chain(Node(options.rpc), receipt, options.token, options.since, _progress())
        _progress_ends()
    return _end(options, {"proven": proven, "failure": ""}, "\n".join([*proven, "RECEIPT VERIFIED"]))


def _end(options: argparse.Namespace, answer: dict[str, Any], text: str) -> int:
    print(json.dumps(answer, indent=2) if options.json else text)
    return 1 if answer["failure"] else 0


def _false(untrue: Untrue) -> str:
    statement = untrue.statement
    return (
        f"FALSE: statement {int(statement)} ({statement.name.lower()}): {untrue.what}\n"
        f"It should be so that {statement.meaning}. It is not known whether more is false."
    )


def _lines(verdict: Verdict, source: Source, seconds: float) -> list[str]:
    """What a person reads: the figures, what they prove, and what they do not."""
    if not verdict.holds:
        return [_false(Untrue(Statement(verdict.statement), verdict.failure))]
    return [
        *_figures(verdict),
        "",
        "It is so that",
        *(f"{int(statement):4}  {statement.meaning}{_first_time(statement, verdict)}" for statement in Statement),
        "",
        "It is not proven",
        *(f"   -  {what}" for what in unproven(verdict, source.remote)),
        "",
        f"VERIFIED: all {len(Statement)} statements hold ({seconds:.1f} s)",
    ]


def _first_time(statement: Statement, verdict: Verdict) -> str:
    return ": this is the first time" if statement is Statement.CONSISTENT and not verdict.seen else ""


def _figures(verdict: Verdict) -> list[str]:
    owed = verdict.supply + verdict.redeemed - verdict.paid
    later = verdict.size - verdict.anchored
    return [
        f"log            {verdict.log}: {verdict.size:,} records, root {verdict.root}",
        f"records        {verdict.size - verdict.others:,} are weighed here; {verdict.others:,} tell of customers, "
        f"locks and other matters; {verdict.erased:,} commitments to personal data erased",
        f"checkpoints    {verdict.checkpoints:,}, all signed by the log's key"
        + (f"; extends the {verdict.seen:,} records seen before" if verdict.seen else ""),
        f"anchored       {verdict.anchored:,} records by {verdict.anchors:,} reports; {later:,} signed, not anchored",
        f"chain          {verdict.chain_id}, blocks {verdict.first_block:,} to {verdict.block:,} {verdict.block_hash}",
        f"token          {verdict.token}, reports by the feed {verdict.feed}",
        f"mints          {verdict.orders:,} orders in {verdict.mints:,} mints, {cnh(verdict.minted)} CNH",
        f"redemptions    {verdict.redemptions:,}, {cnh(verdict.redeemed)} CNH",
        f"supply         {cnh(verdict.supply)} CNH",
        f"owed           {cnh(owed)} CNH: supply, and redemptions not yet paid",
        f"reserve        {cnh(verdict.reserve)} CNH: {cnh(verdict.reserve - owed)} more than is owed",
        f"               {cnh(verdict.paid)} paid, {cnh(verdict.credited)} ever credited",
        f"reports        {verdict.reports:,}; the last is of {_utc(verdict.as_of)}, {verdict.age:,} s before the last "
        f"block; mints may rest on it for {verdict.lives:,} s",
        f"freshness      the oldest report that a mint rested on was {verdict.oldest:,} s old; "
        f"{verdict.uncovered:,} s without a fresh one since the first mint",
        f"attestors      quorum {verdict.quorum}: {', '.join(verdict.attestors)}; {verdict.changes:,} changes since "
        f"the deployment; {verdict.contracts:,} signatures by contracts",
        f"powers         {verdict.powers:,} uses since the deployment, {verdict.outside:,} of them outside the service",
        f"not recorded   {verdict.pending:,} events, too new to be",
    ]


def unproven(verdict: Verdict, remote: bool) -> list[str]:
    """What this verdict does not say, whatever else it does."""
    found = [
        f"that the money is at the bank: attestors have signed for it (quorum {verdict.quorum}), nobody else",
        "that the contracts do what their source says: compare their code with the source",
        f"that the node tells of the chain that others see: compare block {verdict.block:,} elsewhere",
    ]
    if verdict.size > verdict.anchored:
        found.append(f"that the last {verdict.size - verdict.anchored:,} records stay: the log's key alone binds them")
    if not verdict.seen:
        found.append(
            "that you are shown the log that others are shown: keep what was seen with --state, and compare it"
        )
    if verdict.pending:
        found.append(f"that the last {verdict.pending:,} events will be recorded: look again later")
    if remote:
        found.append("that the checkpoints that no report anchored were right: a server does not list them")
    return found


def _utc(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def _read_state(path: Path | None) -> Seen | None:
    if path is None or not path.exists():
        return None
    try:
        return Seen(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise Unknown(f"{path} is not what a run of this program left") from error


def _replace(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.replace(path)


def _progress() -> Say:
    """Tells a person at a terminal how far it is, at most ten times a second."""
    shown = 0.0

    def say(text: str) -> None:
        nonlocal shown
        if sys.stderr.isatty() and time.monotonic() - shown > 0.1:
            shown = time.monotonic()
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    return say


def _progress_ends() -> None:
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
