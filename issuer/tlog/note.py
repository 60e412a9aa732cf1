"""Signed notes of the C2SP (c2sp.org/signed-note): a text, a blank line, and a line for each signature.

Only Ed25519 signatures (type 0x01) are made and checked; those of unknown keys are kept and ignored, as the
specification asks, so that a witness may add its own.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from issuer.errors import InvalidInput, IssuerError, MalformedDocument

MAX_SIGNATURES = 100
MAX_SIZE = 1_000_000
"""The limits that verifiers put on what they read: signatures, and bytes in all."""

_ED25519 = b"\x01"
_KEY_SIZE = 32
_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)")
_FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff]")  # control characters; halves of a character
_NAME = re.compile(r"[^\s+]+")


class UnverifiedNote(IssuerError):  # noqa: N818 - named for what is found, as all errors here are
    """No signature by the expected key, or one that does not hold: the text must not be read."""

    code: ClassVar[str] = "unverified-note"
    remedy: ClassVar[str] = "Check that the key is the log's own; do not use the text."


@dataclass(frozen=True, kw_only=True)
class Verifier:
    """A key that notes are checked with."""

    name: str  # no white space, no plus
    public_key: bytes  # Ed25519, 32 bytes as in RFC 8032

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidInput("a key's name must be a word without plus signs", "Use a name such as example.com/log.")
        if len(self.public_key) != _KEY_SIZE:
            raise InvalidInput(f"an Ed25519 public key is {_KEY_SIZE} bytes long, not {len(self.public_key)}")

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name, newline, 0x01, public key) (C2SP signed-note, Signatures)."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key as text: name, key id in hex, and type and key in base64, joined by plus signs."""
        return f"{self.name}+{self.key_id.hex()}+{_base64(_ED25519 + self.public_key)}"

    def verify(self, text: str, signature: bytes) -> None:
        """Raise UnverifiedNote unless the signature is this key's over the text."""
        if not _holds(self.public_key, text, signature):
            raise UnverifiedNote(f"the signature of {self.name} does not hold")


@dataclass(frozen=True, kw_only=True)
class Signer:
    """A key that signs notes: its public half, and whatever holds the private one (RFC 8032 over the given bytes)."""

    verifier: Verifier
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True, kw_only=True)
class Signature:
    name: str
    key_id: bytes  # four bytes
    value: bytes


@dataclass(frozen=True, kw_only=True)
class Note:
    text: str  # with its final newline
    signatures: tuple[Signature, ...]

    def encode(self) -> str:
        return self.text + "\n" + "".join(map(_line, self.signatures))


def parse_vkey(vkey: str) -> Verifier:
    """Read a verifier key; raises InvalidInput if it is not one, or not an Ed25519 one."""
    name, _, rest = vkey.partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        key = _unbase64(encoded)
    except ValueError as error:
        raise InvalidInput("a log key ends in base64", "Copy the whole line of the log key.") from error
    if key[:1] != _ED25519:
        raise InvalidInput("the log key is not an Ed25519 key", "Copy the whole line of the log key.")
    verifier = Verifier(name=name, public_key=key[1:])
    if verifier.key_id.hex() != key_id:
        raise InvalidInput("the log key does not match its own key id", "Copy the whole line of the log key.")
    return verifier


def sign(text: str, signer: Signer) -> Note:
    """Sign a text, which must end in a newline and hold no other control character."""
    _refuse_text(text, InvalidInput)
    verifier = signer.verifier
    signature = Signature(name=verifier.name, key_id=verifier.key_id, value=signer.sign(text.encode()))
    verifier.verify(text, signature.value)
    return Note(text=text, signatures=(signature,))


def parse(encoded: str) -> Note:
    """Read a note without trusting it; raises MalformedDocument unless every line is as C2SP signed-note says."""
    if len(encoded) > MAX_SIZE:
        raise MalformedDocument(f"a note is at most {MAX_SIZE} characters long")
    text, blank, lines = encoded.rpartition("\n\n")
    text += "\n"
    if not blank or not lines.endswith("\n"):
        raise MalformedDocument("a note is a text, a blank line and signature lines")
    _refuse_text(text, MalformedDocument)
    found = lines[:-1].split("\n")
    if len(found) > MAX_SIGNATURES:
        raise MalformedDocument(f"a note has at most {MAX_SIGNATURES} signatures")
    return Note(text=text, signatures=tuple(map(_signature, found)))


def verify(encoded: str, verifier: Verifier) -> Note:
    """Read a note that this key has signed; raises MalformedDocument or UnverifiedNote."""
    note = parse(encoded)
    own = [found for found in note.signatures if (found.name, found.key_id) == (verifier.name, verifier.key_id)]
    if not own:
        raise UnverifiedNote(f"the note is not signed by {verifier.name} with key id {verifier.key_id.hex()}")
    for signature in own:
        verifier.verify(note.text, signature.value)
    return note


@lru_cache(maxsize=128)
def _holds(public_key: bytes, text: str, signature: bytes) -> bool:
    """Remembered, because the same checkpoint is read many times."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text.encode())
    except InvalidSignature:
        return False
    return True


def _refuse_text(text: str, error: type[IssuerError]) -> None:
    if not text.endswith("\n") or _FORBIDDEN.search(text):
        raise error("a note's text is UTF-8, ends in a newline and holds no other control character")


def _signature(line: str) -> Signature:
    found = _SIGNATURE_LINE.fullmatch(line)
    if not found:
        raise MalformedDocument(f"not a signature line: {line[:80]!r}")
    try:
        value = _unbase64(found[2])
    except ValueError as error:
        raise MalformedDocument(f"the signature of {found[1]} is not base64") from error
    if len(value) <= 4:
        raise MalformedDocument(f"the signature of {found[1]} is too short")
    return Signature(name=found[1], key_id=value[:4], value=value[4:])


def _line(signature: Signature) -> str:
    return f"— {signature.name} {_base64(signature.key_id + signature.value)}\n"


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


def _unbase64(text: str) -> bytes:
    """Decode base64 in its one canonical form; raises ValueError for any other."""
    try:
        value = b64decode(text, validate=True)
    except Base64Error as error:
        raise ValueError("not base64") from error
    if _base64(value) != text:
        raise ValueError("not the canonical base64 of these bytes")
    return value
