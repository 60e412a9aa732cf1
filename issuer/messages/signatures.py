"""ECDSA signatures over secp256k1, as wallets make them: who signed this digest?"""

from eth_hash.auto import keccak

from issuer.messages.abi import checksum

# EIP-2: the other half of the curve would make a second valid signature from every first one.
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_LENGTH = 65


def personal_digest(text: str) -> bytes:
    """What a wallet signs when it is shown a text. Source: EIP-191, version 0x45."""
    message = text.encode()
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(message)).encode() + message)


def recover(digest: bytes, signature: str) -> str | None:
    """The address that signed a 32-byte digest; None if the bytes are no ECDSA signature.

    ``signature`` is r, s, v as 0x-hex, v being 27 or 28 (or 0 or 1, as some wallets write it).
    """
    from coincurve import PublicKey

    raw = _bytes(signature)
    if len(raw) != _LENGTH or raw[64] not in (0, 1, 27, 28) or int.from_bytes(raw[32:64], "big") > _HALF_ORDER:
        return None
    try:
        key = PublicKey.from_signature_and_message(raw[:64] + bytes([raw[64] % 27]), digest, hasher=None)
    except ValueError:
        return None
    return checksum("0x" + keccak(key.format(compressed=False)[1:])[12:].hex())


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        return b""
