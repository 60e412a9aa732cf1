"""The signer port: who can sign as one address. A keystore, an HSM or a remote signer stands behind it."""

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Signed:
    """A transaction that may be broadcast, any number of times."""

    raw: str  # signed bytes, 0x-hex
    hash: str


class Signer(Protocol):
    @property
    def address(self) -> str:
        """EIP-55 text."""
        ...

    def sign_transaction(self, transaction: dict[str, Any]) -> Signed:
        """Sign an EIP-1559 transaction, given by the field names of its JSON-RPC form."""
        ...

    def sign_digest(self, digest: bytes) -> str:
        """Sign a 32-byte digest; 65 bytes r, s, v as 0x-hex, v being 27 or 28."""
        ...


class Keys(Protocol):
    """The signers of a home by their jobs' names."""

    def address(self, name: str) -> str:
        """Known without opening the key. Raises NotFound."""
        ...

    def has(self, name: str) -> bool:
        """Whether this home can sign with it."""
        ...

    def signer(self, name: str) -> Signer:
        """Opened when it is first needed. Raises NotFound, or Misconfigured if it cannot be opened."""
        ...


class LocalSigner:
    """A secp256k1 key in this process's memory. It shows its address and nothing else."""

    __slots__ = ("_account",)

    def __init__(self, private_key: bytes) -> None:
        from eth_account import Account

        self._account: Any = Account.from_key(private_key)

    def __repr__(self) -> str:
        return f"LocalSigner({self.address})"

    @property
    def address(self) -> str:
        return str(self._account.address)

    def sign_transaction(self, transaction: dict[str, Any]) -> Signed:
        signed = self._account.sign_transaction(transaction | {"type": 2})
        return Signed(raw="0x" + bytes(signed.raw_transaction).hex(), hash="0x" + bytes(signed.hash).hex())

    def sign_digest(self, digest: bytes) -> str:
        return "0x" + bytes(self._account.unsafe_sign_hash(digest).signature).hex()
