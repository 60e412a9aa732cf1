"""The keys of a home: encrypted files, one key for one job, fresh in every home.

secp256k1 keys lie in Web3 Secret Storage v3 files, which name their address in the clear; the log's Ed25519 key is
encrypted PKCS #8 (RFC 5958). Nothing here prints a secret, and a key is decrypted once, when it is first needed.
"""

import json
import secrets
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from issuer import crash
from issuer.chain.signer import LocalSigner
from issuer.errors import InvalidInput, Misconfigured, NotFound
from issuer.files import replace
from issuer.messages.abi import checksum

LOG_FILE = "log.pem"

# scrypt's N. The light one is for keys that guard play money on a local chain, where every start would wait for it.
_STANDARD, _LIGHT = 2**18, 2**12


class Job(StrEnum):
    """What a key is for; it does nothing else."""

    DEPLOYER = "deployer"  # pays for the deployment and tops up the others; holds nothing after
    SENDER = "sender"  # posts reports and mints within its bucket
    STANDBY = "standby"  # does the sender's work in its place, from another process, within a bucket of its own
    REGISTRAR = "registrar"  # sets the verified bit
    FREEZER = "freezer"  # freezes accounts
    GUARDIAN = "guardian"  # stops, cancels, lowers
    ADMIN = "admin"  # proposes and accepts slow acts

    @property
    def duty(self) -> "Job":
        """The work that the key does: each is done by one process at a time."""
        return Job.SENDER if self is Job.STANDBY else self


MINTING = (Job.SENDER, Job.STANDBY)


class Keystore:
    """The folder of a home's keys behind one passphrase."""

    def __init__(self, folder: Path, passphrase: str) -> None:
        self._folder = folder
        self._passphrase = passphrase
        self._signers: dict[str, LocalSigner] = {}

    def __repr__(self) -> str:
        return f"Keystore({self._folder})"

    def create(self, *, light: bool) -> None:
        """Make the keys that do not exist yet; ``light`` takes the quick key derivation, for a local sandbox only."""
        for job in Job:
            if not self._path(job).exists():
                self._write(job, light=light)
        if not (self._folder / LOG_FILE).exists():
            self._write_log_key()

    def create_holder(self, name: str, *, light: bool) -> str:
        """Make a holder's wallet for local use; its address. Raises InvalidInput for a name that is taken or wrong."""
        if not name.isidentifier() or name in set(Job):
            raise InvalidInput(f"{name!r} is not a wallet's name", "Use letters, digits and _; not the name of a job.")
        if self._path(name).exists():
            raise InvalidInput(f"there is a wallet {name} already", "Choose another name, or use that wallet.")
        return self._write(name, light=light)

    def adopt(self, job: Job, private_key: bytes, *, light: bool) -> str:
        """Take a key made elsewhere for a job (a funded deployer); its address. Raises InvalidInput if one is there."""
        if self._path(job).exists() and self.address(job) != LocalSigner(private_key).address:
            raise InvalidInput(f"this home has another {job} key", "Start another home for another key.")
        return self._write(job, light=light, private_key=private_key)

    def address(self, name: str) -> str:
        """The address of a key, read without decrypting it. Raises NotFound."""
        return checksum("0x" + str(self._read(name)["address"]).removeprefix("0x"))

    def has(self, name: str) -> bool:
        """Whether the key lies in this home."""
        return self._path(name).exists()

    def addresses(self) -> dict[Job, str]:
        """The address of every job's key that lies in this home."""
        return {job: self.address(job) for job in Job if self.has(job)}

    def holders(self) -> dict[str, str]:
        """The addresses of the wallets that are no job's."""
        names = sorted(path.stem for path in self._folder.glob("*.json") if path.stem not in set(Job))
        return {name: self.address(name) for name in names}

    def signer(self, name: str) -> LocalSigner:
        """A key ready to sign. Raises NotFound, or Misconfigured for a wrong passphrase."""
        if name not in self._signers:
            self._signers[name] = LocalSigner(self._decrypt(name))
        return self._signers[name]

    def log_key(self) -> Ed25519PrivateKey:
        """The key that signs checkpoints. Raises NotFound, or Misconfigured for a wrong passphrase."""
        try:
            body = (self._folder / LOG_FILE).read_bytes()
        except FileNotFoundError:
            raise _missing("log") from None
        try:
            key = serialization.load_pem_private_key(body, self._passphrase.encode())
        except ValueError:
            raise _wrong_passphrase("log") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise Misconfigured("the log key is not an Ed25519 key")
        return key

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._path(name).read_bytes())
        except FileNotFoundError:
            raise _missing(name) from None
        except ValueError:
            raise Misconfigured(f"the key file of {name} is damaged", "Restore it from a backup.") from None
        return found

    def _write(self, name: str, *, light: bool, private_key: bytes | None = None) -> str:
        from eth_account import Account

        account: Any = Account.from_key(private_key or secrets.token_bytes(32))
        cost = _LIGHT if light else _STANDARD
        body = Account.encrypt(account.key, self._passphrase, kdf="scrypt", iterations=cost)
        self._save(self._path(name), json.dumps(body).encode())
        return str(account.address)

    def _write_log_key(self) -> None:
        body = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(self._passphrase.encode()),
        )
        self._save(self._folder / LOG_FILE, body)

    def _save(self, path: Path, body: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with crash.around("key.write"):
            replace(path, body, mode=0o600)

    def _decrypt(self, name: str) -> bytes:
        from eth_account import Account

        try:
            return bytes(Account.decrypt(self._read(name), self._passphrase))
        except ValueError:
            raise _wrong_passphrase(name) from None


def _missing(name: str) -> NotFound:
    if name == "log" or name in set(Job):
        return NotFound(f"there is no key {name} in this home", "Run `issuer init`, or restore it from a backup.")
    do = f"See `issuer wallet list`; make one with `issuer wallet new {name}`, or give an address."
    return NotFound(f"there is no local wallet {name}", do)


def _wrong_passphrase(name: str) -> Misconfigured:
    return Misconfigured(f"the passphrase does not open the key {name}", "Give the passphrase of this home.")
