"""A home: where a party keeps its settings, its database and its one key, and nobody else's."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from issuer import crash, files
from issuer.errors import Conflict, Misconfigured, NotFound
from issuer.messages.folder import KEYS, write_attestor
from issuer.mockbank.folder import Folder

_SETTINGS = "settings.json"
_KEY = "attestor.json"
_SCRYPT_N = 2**12  # light: the key guards play money, and every start would wait for a heavier one


@dataclass(frozen=True, kw_only=True)
class AttestorKey:
    """A secp256k1 key that signs digests; it prints as its address."""

    address: str
    account: Any

    def __repr__(self) -> str:
        return f"AttestorKey({self.address})"

    def sign(self, digest: bytes) -> bytes:
        """65 bytes r, s, v."""
        return bytes(self.account.unsafe_sign_hash(digest).signature)


@dataclass(frozen=True, kw_only=True)
class Home:
    """A party's home that exists."""

    path: Path
    folder: Folder
    settings: dict[str, str]
    address: str  # of its attestor key, EIP-55

    @property
    def database(self) -> Path:
        return self.path / "books.db"

    def unlock(self, passphrase: str) -> AttestorKey:
        """The key, decrypted. Raises Misconfigured for a wrong passphrase."""
        from eth_account import Account

        try:
            private_key = Account.decrypt(_read(self.path / _KEY), passphrase)
        except ValueError:
            raise Misconfigured(
                f"the passphrase does not open the key in {self.path}", "Give the passphrase of this home."
            ) from None
        return AttestorKey(address=self.address, account=Account.from_key(private_key))

    def publish_key(self, name: str) -> None:
        """Make the key's address known in the bank folder."""
        self.folder.write(KEYS, name, write_attestor(self.address))


def unlocked(key: AttestorKey | None) -> AttestorKey:
    """Raises Misconfigured when the home was opened without its passphrase."""
    if key is None:
        raise Misconfigured("the key is locked", "Give the passphrase of this home.")
    return key


def create(path: Path, folder: Path, passphrase: str, settings: dict[str, str]) -> Home:
    """Make a home, or finish one that was begun with the same settings.

    Raises Misconfigured for an empty passphrase, Conflict when the home exists with other settings.
    """
    if not passphrase:
        raise Misconfigured("the passphrase is empty", "Choose one; it encrypts the key.")
    wanted = {"folder": str(folder.resolve()), **settings}
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (path / _SETTINGS).exists() and _read(path / _SETTINGS) != wanted:
        raise Conflict(f"{path} is a home with other settings", "Choose another home, or remove this one.")
    if not (path / _KEY).exists():
        _write(path / _KEY, _new_key(passphrase))
    _write(path / _SETTINGS, wanted)
    return load(path)


def load(path: Path) -> Home:
    """Raises NotFound when there is none, Misconfigured when it is damaged."""
    settings = _read(path / _SETTINGS)
    address = _checksum(str(_read(path / _KEY).get("address", "")))
    return Home(path=path, folder=Folder(Path(settings["folder"])), settings=settings, address=address)


def _checksum(address: str) -> str:
    from issuer.messages.abi import checksum

    return checksum("0x" + address.removeprefix("0x"))


def _new_key(passphrase: str) -> dict[str, Any]:
    from eth_account import Account

    keystore: dict[str, Any] = Account.encrypt(secrets.token_bytes(32), passphrase, kdf="scrypt", iterations=_SCRYPT_N)
    return keystore


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        do = "Make one with `mockbank init` or `mockbank auditor init`."
        raise NotFound(f"there is no home in {path.parent}", do) from None
    except (OSError, ValueError):
        raise Misconfigured(f"{path} cannot be read", "Restore it from a backup.") from None
    return found


def _write(path: Path, fields: dict[str, Any]) -> None:
    with crash.around(f"home {path.stem}"):
        files.replace(path, (json.dumps(fields, indent=1) + "\n").encode(), mode=0o600)
