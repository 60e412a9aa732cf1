"""The reserve report: what bank and auditor sign (EIP-712) and the feed contract checks.

Type and domain are those of `ReserveFeed.sol`; encoding is EIP-712 "Definition of hashStruct" and "domainSeparator".
A signature is 65 bytes r, s, v with s in the lower half of the curve's order (EIP-2), as OpenZeppelin's ECDSA demands.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from issuer.errors import InvalidInput
from issuer.messages import iso20022, signatures
from issuer.messages.abi import checksum, keccak
from issuer.money import MAX_UNITS

REPORT_TYPE = (
    "Report(address token,uint64 number,uint256 reserve,uint256 paid,uint256 credited,"
    "uint64 asOf,bytes32 logRoot,uint64 logSize)"
)
DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
DOMAIN_NAME = "ReserveFeed"
DOMAIN_VERSION = "1"

MAX_NUMBER = 2**63 - 1
"""The largest number or size that is taken: what a database column holds, half of the contract's uint64."""
_HASH = re.compile(r"0x[0-9a-f]{64}")
_SIGNATURE = re.compile(r"0x[0-9a-f]{130}")

SignDigest = Callable[[bytes], bytes]
"""Signs 32 bytes with one secp256k1 key: 65 bytes r, s, v with v 27 or 28."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """The reserve of one token at one moment. Raises InvalidInput when a field is out of range."""

    token: str  # EIP-55
    number: int
    reserve: int  # units of 10^-6 CNH on the reserve account
    paid: int  # units of par discharged over all redemptions, net of returned payouts
    credited: int  # units ever moved into the reserve for mints, net of what went back
    as_of: int  # seconds since 1970 UTC
    log_root: str  # RFC 6962 root of the issuer's audit log, 0x-hex
    log_size: int  # its leaves

    def __post_init__(self) -> None:
        check_address(self.token, "the token")
        for name in ("number", "log_size"):
            check_range(getattr(self, name), name, MAX_NUMBER)
        iso20022.check_time(self.as_of, "as_of")
        for name in ("reserve", "paid", "credited"):
            check_range(getattr(self, name), name, MAX_UNITS)
        if _HASH.fullmatch(self.log_root) is None:
            raise InvalidInput(f"{self.log_root[:80]!r} is not a root", "A root is 0x and 64 hexadecimal digits.")

    @property
    def message(self) -> dict[str, Any]:
        """The fields under the names of the contract, in its order."""
        return {
            "token": self.token,
            "number": self.number,
            "reserve": self.reserve,
            "paid": self.paid,
            "credited": self.credited,
            "asOf": self.as_of,
            "logRoot": self.log_root,
            "logSize": self.log_size,
        }


@dataclass(frozen=True, kw_only=True)
class SignedReport:
    """A report under one attestor's signature, for one chain and feed; `recover` says whether it is the signer's."""

    report: Report
    chain_id: int
    feed: str  # EIP-55, the verifying contract
    signer: str  # EIP-55
    signature: str  # 0x-hex, 65 bytes r, s, v

    def __post_init__(self) -> None:
        check_range(self.chain_id, "chain_id", MAX_NUMBER)
        check_address(self.feed, "the feed")
        check_address(self.signer, "the signer")
        if _SIGNATURE.fullmatch(self.signature) is None:
            raise InvalidInput("the signature is not 65 bytes", "A signature is 0x and 130 hexadecimal digits.")


def digest(report: Report, chain_id: int, feed: str) -> bytes:
    """What an attestor signs: EIP-712 `keccak256(0x1901 || domainSeparator || hashStruct(report))`, 32 bytes."""
    return _keccak(b"\x19\x01" + domain_separator(chain_id, feed) + _struct_hash(report))


def domain_separator(chain_id: int, feed: str) -> bytes:
    """EIP-712 `hashStruct(eip712Domain)` of the feed on that chain."""
    named = _hashed(DOMAIN_TYPE) + _hashed(DOMAIN_NAME) + _hashed(DOMAIN_VERSION)
    return _keccak(named + _word(chain_id) + _address_word(feed))


def sign(report: Report, chain_id: int, feed: str, signer: str, sign_digest: SignDigest) -> SignedReport:
    """Sign a report as `signer`. Raises InvalidInput if the key behind `sign_digest` is another."""
    signature = "0x" + sign_digest(digest(report, chain_id, feed)).hex()
    signed = SignedReport(report=report, chain_id=chain_id, feed=feed, signer=signer, signature=signature)
    if recover(signed) != signer:
        raise InvalidInput(f"the signature is not one of {signer}", "Sign with the attestor's own key.")
    return signed


def recover(signed: SignedReport) -> str:
    """The address whose key made the signature, EIP-55; whoever relies on it compares it with the attestor's.

    Raises InvalidInput for a signature that no key makes or that the contract would refuse (high s, v not 27 or 28).
    """
    found = signatures.recover(digest(signed.report, signed.chain_id, signed.feed), signed.signature)
    if found is None or signed.signature[-2:] not in ("1b", "1c"):
        raise InvalidInput("the signature is none of any key", "Ask the attestor to sign again.")
    return found


def check_address(value: str, name: str) -> None:
    """Raises InvalidInput unless the value is an EIP-55 address."""
    if checksum(value) != value:
        raise InvalidInput(f"{name} {value} is not in EIP-55 form", "Copy the address with its capitals.")


def check_range(value: int, name: str, largest: int) -> None:
    if not 0 <= value <= largest:
        raise InvalidInput(f"{name} {value} is out of range", f"Use 0 to {largest}.")


def _struct_hash(report: Report) -> bytes:
    numbers = (report.number, report.reserve, report.paid, report.credited, report.as_of)
    words = b"".join(_word(number) for number in numbers)
    root = bytes.fromhex(report.log_root[2:])
    return _keccak(_hashed(REPORT_TYPE) + _address_word(report.token) + words + root + _word(report.log_size))


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _address_word(address: str) -> bytes:
    return bytes.fromhex(address[2:]).rjust(32, b"\0")


def _hashed(text: str) -> bytes:
    return _keccak(text.encode())


def _keccak(data: bytes) -> bytes:
    return bytes.fromhex(keccak(data)[2:])
