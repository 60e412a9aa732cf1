"""A reader of published logs, made by hand from the texts of c2sp.org and RFC 6962 alone.

It is a second opinion on the log folder: it shares no code with the issuer or its verifier, reads through HTTP as any
client would, and takes the shortest way to each answer. The texts: signed-note, tlog-checkpoint, tlog-tiles,
tlog-cosignature.
"""

import base64
import hashlib
import struct
import urllib.request
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Rejected(Exception):  # noqa: N818 - what a client does
    """The log is not what its checkpoint says."""


@dataclass(frozen=True)
class Key:
    """A verifier key as signed-note writes it: name, id and typed key."""

    name: str
    id: bytes
    kind: int
    raw: bytes

    @classmethod
    def read(cls, vkey: str) -> "Key":
        name, ident, typed = vkey.strip().split("+", 2)
        data = base64.b64decode(typed)
        digest = hashlib.sha256(name.encode() + b"\n" + data).digest()
        if digest[:4].hex() != ident:
            raise Rejected("the key's id is not that of its name and bytes")
        return cls(name, digest[:4], data[0], data[1:])

    def check(self, message: bytes, signature: bytes) -> None:
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            raise Rejected(f"{self.name} has not signed this") from None


def open_note(note: bytes, key: Key) -> tuple[bytes, int | None]:
    """The text that the key has signed, and when, if it is a cosigner's."""
    cut = note.rindex(b"\n\n")
    text = note[: cut + 1]
    for line in note[cut + 2 :].decode().splitlines():
        dash, name, value = line.split(" ")
        blob = base64.b64decode(value)
        if (dash, name, blob[:4]) != ("\u2014", key.name, key.id):
            continue
        if key.kind == 1:
            key.check(text, blob[4:])
            return text, None
        (at,) = struct.unpack(">Q", blob[4:12])
        key.check(b"cosignature/v1\ntime %d\n%s" % (at, text), blob[12:])
        return text, int(at)
    raise Rejected(f"there is no signature of {key.name}")


def path_of(level: int | str, number: int, width: int = 256) -> str:
    """Where a tile or a bundle lies below the prefix."""
    digits = f"{number:03d}"
    digits = digits.rjust(-(-len(digits) // 3) * 3, "0")
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = "/".join(["x" + part for part in parts[:-1]] + parts[-1:])
    return f"tile/{level}/{name}" + (f".p/{width}" if width < 256 else "")


def leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\0" + entry).digest()


def inner(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


@dataclass
class Client:
    prefix: str
    key: Key
    fetched: list[str] = field(default_factory=list)
    _tiles: dict[str, bytes] = field(default_factory=dict)

    def get(self, path: str) -> bytes:
        self.fetched.append(path)
        with urllib.request.urlopen(f"{self.prefix}/{path}", timeout=10) as answer:  # noqa: S310 - a test's own server
            content: bytes = answer.read()
        return content

    def head(self, path: str = "checkpoint") -> tuple[int, bytes]:
        """Size and root of a checkpoint that the log has signed."""
        text, _ = open_note(self.get(path), self.key)
        origin, size, root = text.decode().split("\n")[:3]
        if origin != self.key.name:
            raise Rejected(f"this is the log {origin}")
        return int(size), base64.b64decode(root, validate=True)

    def hash_at(self, level: int, at: int, size: int) -> bytes:
        """The hash over entries at * 256^level and so on, from its tile in a tree of this size."""
        number, place = divmod(at, 256)
        width = min(256, size // 256**level - number * 256)
        path = path_of(level, number, width)
        if path not in self._tiles:
            self._tiles[path] = self.get(path)
        if len(self._tiles[path]) != 32 * width:
            raise Rejected(f"{path} is not {width} hashes long")
        return self._tiles[path][32 * place : 32 * place + 32]

    def mth(self, start: int, end: int, size: int) -> bytes:
        """MTH(D[start:end]) of RFC 6962 section 2.1, from tiles of a tree of this size."""
        count = end - start
        for level in range(5):
            if count == 256**level:
                return self.hash_at(level, start // count, size)
        k = 1
        while 2 * k < count:
            k *= 2
        return inner(self.mth(start, start + k, size), self.mth(start + k, end, size))

    def require_root(self, size: int, root: bytes, of: int | None = None) -> None:
        """The tiles of a log of this size lead to the root that it has, or had when it was smaller."""
        if self.mth(0, size if of is None else of, size) != root:
            raise Rejected(f"the tiles do not lead to the root of {of or size} entries")

    def audit_path(self, index: int, start: int, end: int, size: int) -> list[bytes]:
        """PATH(index, D[start:end]) of RFC 6962 section 2.1.1, leaf first."""
        if end - start == 1:
            return []
        k = 1
        while 2 * k < end - start:
            k *= 2
        if index < start + k:
            return [*self.audit_path(index, start, start + k, size), self.mth(start + k, end, size)]
        return [*self.audit_path(index, start + k, end, size), self.mth(start, start + k, size)]

    def bundle(self, number: int, size: int) -> list[bytes]:
        """The entries of a bundle, each of which hashes to its leaf in the tile above it."""
        width = min(256, size - number * 256)
        content, entries = self.get(path_of("entries", number, width)), []
        while content:
            (length,) = struct.unpack(">H", content[:2])
            entries.append(content[2 : 2 + length])
            content = content[2 + length :]
        if [leaf(entry) for entry in entries] != [self.hash_at(0, number * 256 + at, size) for at in range(width)]:
            raise Rejected(f"the bundle {number} does not hold what its tile says")
        return entries

    def require_included(self, index: int, size: int, root: bytes) -> bytes:
        """The entry at an index, proven to lie under the root."""
        entry = self.bundle(index // 256, size)[index % 256]
        if climb(leaf(entry), index, size, self.audit_path(index, 0, size, size)) != root:
            raise Rejected(f"entry {index} is not under the root")
        return entry


def climb(found: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Where an audit path leads, by the same halving that made it."""
    if size == 1:
        return found
    k = 1
    while 2 * k < size:
        k *= 2
    *below, beside = path
    if index < k:
        return inner(climb(found, index, k, below), beside)
    return inner(beside, climb(found, index - k, size - k, below))
