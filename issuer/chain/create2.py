"""Addresses that depend on the code and the chain, and on nobody who sends it (EIP-1014)."""

from issuer.messages.abi import checksum, keccak

FACTORY = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
"""Nick Johnson's deterministic deployment proxy: its calldata is the salt, then the creation code."""


def salt(genesis: str) -> str:
    """The salt of a chain: no two chains share one, so an address of a test chain is nothing on a public one."""
    return keccak(b"offshore-yuan" + bytes.fromhex(genesis[2:]))


def address(salt_: str, creation_code: bytes) -> str:
    """Where the factory puts a contract."""
    digest = bytes.fromhex(keccak(creation_code)[2:])
    return checksum("0x" + keccak(b"\xff" + _raw(FACTORY) + _raw(salt_) + digest)[-40:])


def calldata(salt_: str, creation_code: bytes) -> str:
    """What to send to the factory."""
    return salt_ + creation_code.hex()


def _raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])
