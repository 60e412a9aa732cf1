"""Checkpoints of a log (c2sp.org/tlog-checkpoint): origin, size and root as the text of a signed note.

This log writes no extension lines, which monitors could not audit, and a checkpoint that has some is refused. The
origin is the name of the key that signs.
"""

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass

from issuer.errors import MalformedDocument
from issuer.tlog import note
from issuer.tlog.merkle import HASH_SIZE
from issuer.tlog.note import Signer, Verifier

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_ROOT = re.compile(r"[A-Za-z0-9+/]{43}=")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    origin: str  # the log's name
    size: int  # leaves
    root: bytes  # 32 bytes, RFC 6962

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


def sign(size: int, root: bytes, signer: Signer) -> str:
    """The signed note that says which root the signer's log has at this size."""
    return note.sign(Checkpoint(origin=signer.verifier.name, size=size, root=root).text, signer).encode()


def parse(text: str) -> Checkpoint:
    """Read the text of a checkpoint; raises MalformedDocument."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0]:
        raise MalformedDocument("a checkpoint is three lines: origin, size and root")
    origin, size, root = lines[:3]
    if not _SIZE.fullmatch(size):
        raise MalformedDocument(f"a checkpoint's size is a decimal number, not {size[:40]!r}")
    decoded = b64decode(root) if _ROOT.fullmatch(root) else b""
    if len(decoded) != HASH_SIZE or b64encode(decoded).decode() != root:
        raise MalformedDocument("a checkpoint's root is 32 bytes in base64")
    return Checkpoint(origin=origin, size=int(size), root=decoded)


def verify(encoded: str, verifier: Verifier) -> Checkpoint:
    """Read a checkpoint signed by this log's key; raises MalformedDocument or UnverifiedNote."""
    found = parse(note.verify(encoded, verifier).text)
    if found.origin != verifier.name:
        raise note.UnverifiedNote(f"the checkpoint is of the log {found.origin[:80]!r}, not of {verifier.name!r}")
    return found
