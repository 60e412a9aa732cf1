"""Signed transactions read back from their bytes, so that what was signed can be compared with what was meant.

Source: EIP-1559 (type 2 transactions), EIP-2718 (envelopes); Ethereum's yellow paper, appendix B (RLP).
"""

from dataclasses import dataclass
from typing import Any

from eth_hash.auto import keccak

from issuer.errors import MalformedDocument
from issuer.messages.abi import checksum
from issuer.messages.signatures import recover

_TYPE = 2
_FIELDS = 12
_ACCESS_LIST = 8
_ADDRESS_LENGTH = 20


@dataclass(frozen=True, kw_only=True)
class Transaction:
    chain_id: int
    nonce: int
    priority_fee: int  # wei per gas
    max_fee: int  # wei per gas
    gas: int
    target: str
    value: int  # wei
    data: str
    sender: str
    hash: str


def decode(raw: str) -> Transaction:
    """Read a signed type 2 transaction. Raises MalformedDocument for any other bytes."""
    body = bytes.fromhex(raw.removeprefix("0x"))
    if not body or body[0] != _TYPE:
        raise MalformedDocument("the bytes are not a type 2 transaction")
    fields, rest = _read(body[1:])
    if rest or not isinstance(fields, list) or len(fields) != _FIELDS or len(fields[5]) != _ADDRESS_LENGTH:
        raise MalformedDocument("the transaction has other fields than it should, or no recipient")
    if any(isinstance(field, list) != (place == _ACCESS_LIST) for place, field in enumerate(fields)):
        raise MalformedDocument("a field of the transaction is of the wrong kind")
    return Transaction(
        chain_id=_number(fields[0]),
        nonce=_number(fields[1]),
        priority_fee=_number(fields[2]),
        max_fee=_number(fields[3]),
        gas=_number(fields[4]),
        target=checksum("0x" + fields[5].hex()),
        value=_number(fields[6]),
        data="0x" + fields[7].hex(),
        sender=_sender(fields),
        hash="0x" + keccak(body).hex(),
    )


def _sender(fields: list[Any]) -> str:
    digest = keccak(bytes([_TYPE]) + _write(fields[:9]))
    parity, r, s = (_number(field) for field in fields[9:])
    if parity > 1:
        raise MalformedDocument("the transaction's signature is not one")
    found = recover(digest, f"0x{r:064x}{s:064x}{27 + parity:02x}")
    if found is None:
        raise MalformedDocument("the transaction's signature is not one")
    return found


def _number(field: bytes) -> int:
    return int.from_bytes(field, "big")


def _read(data: bytes) -> tuple[Any, bytes]:
    """The first RLP item (bytes, or a list of items) and what follows it."""
    if not data:
        raise MalformedDocument("the transaction is cut short")
    kind = data[0]
    if kind < 0x80:
        return data[:1], data[1:]
    is_list = kind >= 0xC0
    body, rest = _body(data, 0xC0 if is_list else 0x80)
    if not is_list:
        return body, rest
    items = []
    while body:
        item, body = _read(body)
        items.append(item)
    return items, rest


def _body(data: bytes, base: int) -> tuple[bytes, bytes]:
    length, start = data[0] - base, 1
    if length > 55:
        start = 1 + length - 55
        length = _number(data[1:start])
    if len(data) < start + length:
        raise MalformedDocument("the transaction is cut short")
    return data[start : start + length], data[start + length :]


def _write(item: Any) -> bytes:
    """An item, bytes or a list of items, as RLP."""
    if isinstance(item, bytes) and len(item) == 1 and item[0] < 0x80:
        return item
    body = item if isinstance(item, bytes) else b"".join(_write(one) for one in item)
    base = 0x80 if isinstance(item, bytes) else 0xC0
    if len(body) <= 55:
        return bytes([base + len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([base + 55 + len(length)]) + length + body
