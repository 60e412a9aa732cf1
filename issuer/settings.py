"""Settings: what differs from one installation to another, read once at the start.

The environment comes first, then `.env` of the working directory, then `issuer.env` of the home (written by
`issuer init`), then the defaults below. An empty value counts as none. `.env.example` explains each of them.
"""

import getpass
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from issuer.errors import IssuerError, Misconfigured
from issuer.money import UNITS_PER_CNH, parse_fen, parse_units

HOME_FILE = "issuer.env"
"""The settings that a home remembers: written by `issuer init`, readable by its owner only."""

_DOTENV = Path(".env")
_HOME = "ISSUER_HOME"
_DEFAULT_HOME = ".issuer"

_NOT_REMEMBERED = frozenset(("issuer_home", "issuer_operator", "issuer_passphrase", "deployer_key"))
_PATHS = frozenset(("BANK_FOLDER", "ISSUER_PASSPHRASE_FILE"))

_DATABASES = ("sqlite:///", "postgresql://", "postgresql+psycopg://")
_ACCOUNT = re.compile(r"[0-9A-Z]{6,34}")
_OPERATOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_MINTING_KEY = re.compile(r"sender|standby", re.ASCII)
_FINALITY = re.compile(r"finalized|[1-9][0-9]{0,3}")
_KEY = re.compile(r"(0x)?[0-9a-fA-F]{64}")


def _matching(form: re.Pattern[str], what: str) -> AfterValidator:
    def check(value: str) -> str:
        if form.fullmatch(value) is None:
            raise ValueError(f"it is not {what}")
        return value

    return AfterValidator(check)


def _amount(parse: Callable[[str], int], *zeros: str) -> BeforeValidator:
    def read(value: str) -> int:
        if value in zeros:
            return 0
        try:
            return parse(value)
        except IssuerError as error:
            raise ValueError(error.what) from error

    return BeforeValidator(read)


def _read_countries(value: str) -> frozenset[str]:
    countries = frozenset(part.strip() for part in value.split(","))
    if any(_COUNTRY.fullmatch(country) is None for country in countries):
        raise ValueError("it is not a list of country codes of two capital letters, such as CN,KP")
    return countries


def _check_database(value: str) -> str:
    if not value.startswith(_DATABASES):
        raise ValueError("it is neither sqlite:///path nor postgresql://user@host/name")
    return value


def _check_node(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it is not an http or https address")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("its port is not a number from 0 to 65535") from None
    return value


def _read_delay(value: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,6}", value) is None or int(value) > 30 * 86400:
        raise ValueError("it is not a number of seconds from 1 to 2592000 (30 days)")
    return int(value)


def _read_wait(value: str) -> int:
    if re.fullmatch(r"[0-9]{1,4}", value) is None or int(value) > 3600:
        raise ValueError("it is not a number of seconds from 0 to 3600")
    return int(value)


def _check_key(value: SecretStr) -> SecretStr:
    if _KEY.fullmatch(value.get_secret_value()) is None:
        raise ValueError("it is not a private key of 64 hexadecimal digits")
    return value


Account = Annotated[str, _matching(_ACCOUNT, "a bank account of 6 to 34 capital letters and digits")]
Operator = Annotated[str, _matching(_OPERATOR, "a name of at most 32 letters, digits, dots and hyphens")]
Units = Annotated[int, _amount(parse_units)]
Fen = Annotated[int, _amount(parse_fen, "0", "0.00")]
Finality = Annotated[str, _matching(_FINALITY, "finalized, nor a number of blocks from 1 to 9999")]
MintingKey = Annotated[str, _matching(_MINTING_KEY, "sender or standby")]
Delay = Annotated[int, BeforeValidator(_read_delay)]
Wait = Annotated[int, BeforeValidator(_read_wait)]
Countries = Annotated[frozenset[str], NoDecode, BeforeValidator(_read_countries)]
DatabaseUrl = Annotated[str, AfterValidator(_check_database)]
NodeUrl = Annotated[str, AfterValidator(_check_node)]
PrivateKey = Annotated[SecretStr, AfterValidator(_check_key)]


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise Misconfigured("this account has no login name", "Set ISSUER_OPERATOR to the operator's name.") from None


class Settings(BaseSettings):
    """Every setting, under its variable's name in small letters. What is secret, or may hold a secret, is not shown."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, validate_default=False, hide_input_in_errors=True
    )

    issuer_home: Path
    rpc_url: NodeUrl = Field("http://127.0.0.1:8545", repr=False)
    rpc_url_2: NodeUrl | None = Field(default=None, repr=False)  # another party, asked about final blocks
    finality: Finality = "finalized"  # or how many blocks must lie on a block
    database_url: DatabaseUrl = Field(
        default_factory=lambda known: f"sqlite:///{known['issuer_home']}/issuer.db", repr=False
    )
    bank_folder: Path = Field(default_factory=lambda known: known["issuer_home"] / "bank-folder")

    issuer_operator: Operator = Field(default_factory=_login_name)
    issuer_passphrase: SecretStr | None = None
    issuer_passphrase_file: Path | None = None
    deployer_key: PrivateKey | None = None  # for a public testnet; a local chain has a faucet

    collection_account: Account = "012875000000001"
    reserve_account: Account = "012875000000002"
    approval_threshold: Units = 1_000_000 * UNITS_PER_CNH  # units
    batch_wait: Wait = 1  # seconds
    minting_key: MintingKey = "sender"  # or "standby": a process that mints with a key of its own
    redemption_fee: Fen = 0  # fen
    refused_jurisdictions: Countries = frozenset({"CN"})

    slow_act_delay: Delay | None = None  # seconds; none: the network's own
    bucket_capacity: Units = 10_000_000 * UNITS_PER_CNH
    bucket_refill: Units = 100 * UNITS_PER_CNH  # a second
    window_capacity: Units = 20_000_000 * UNITS_PER_CNH
    window_refill: Units = 200 * UNITS_PER_CNH  # a second

    @model_validator(mode="after")
    def _check_together(self) -> "Settings":
        if self.collection_account == self.reserve_account:
            raise ValueError("COLLECTION_ACCOUNT and RESERVE_ACCOUNT are the same account")
        return self


def load() -> Settings:
    """Read all settings. Raises Misconfigured, naming the variable and never its value."""
    home = Path(_given(_HOME) or _DEFAULT_HOME)
    try:
        for path in (_DOTENV, home / HOME_FILE):
            _require_readable(path)
        return Settings(issuer_home=home, _env_file=(home / HOME_FILE, _DOTENV))  # type: ignore[call-arg]
    except ValidationError as error:
        faults = [item for item in error.errors(include_input=False) if item["type"] != "default_factory_not_called"]
        raise Misconfigured("; ".join(_explain(item) for item in faults)) from None
    except (UnicodeDecodeError, OSError) as error:
        raise Misconfigured(f"a file of settings cannot be read: {error}") from None


def _require_readable(path: Path) -> None:
    """Raise Misconfigured if a line of a settings file says nothing: a limit might be lost in it."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as lines:
        faulty = next((binding.original.line for binding in parse_stream(lines) if binding.error), None)
    if faulty is not None:
        raise Misconfigured(
            f"line {faulty} of {path} is no setting", "Write NAME=value there, and close what is quoted."
        )


def remembered() -> str:
    """The text of a new home's `issuer.env`: what is set now beyond the defaults, but no secret key or passphrase."""
    found = {name.upper(): _given(name.upper()) for name in Settings.model_fields if name not in _NOT_REMEMBERED}
    lines = [f"{name}={_quoted(_placed(name, text))}" for name, text in found.items() if text]
    return "\n".join(["# Settings of this home; the environment and .env come before them.", *lines, ""])


def set_outside(name: str) -> bool:
    """Whether the environment or `.env` sets a variable, so that a home's own setting has no effect."""
    return bool(_given(name))


def with_setting(text: str, name: str, value: str) -> str:
    """A home's `issuer.env` in which one setting is another."""
    lines = [line for line in text.splitlines() if line.partition("=")[0] != name]
    return "\n".join([*lines, f"{name}={_quoted(value)}", ""])


def passphrase(settings: Settings) -> str | None:
    """The passphrase of the home's keys, if it is set or lies in a file. Raises Misconfigured."""
    if settings.issuer_passphrase is not None:
        return settings.issuer_passphrase.get_secret_value()
    if settings.issuer_passphrase_file is None:
        return None
    try:
        text = settings.issuer_passphrase_file.read_text().rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"ISSUER_PASSPHRASE_FILE cannot be read: {error}") from None
    if not text:
        raise Misconfigured("ISSUER_PASSPHRASE_FILE is empty", "Write the passphrase on its first line.")
    return text


def _given(name: str) -> str | None:
    """A variable of the environment or of `.env`, as it is written there."""
    try:
        return os.environ.get(name) or dotenv_values(_DOTENV).get(name)
    except (UnicodeDecodeError, OSError) as error:
        raise Misconfigured(f".env cannot be read: {error}", "Write it as UTF-8 text.") from None


def _placed(name: str, text: str) -> str:
    """A path means the same from every working directory."""
    return str(Path(text).absolute()) if name in _PATHS else text


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _explain(item: ErrorDetails) -> str:
    """One fault as a sentence: the variable, and what is wrong with it."""
    variable = str(item["loc"][0]).upper() if item["loc"] else ""
    fault = item["msg"].removeprefix("Value error, ")
    return f"{variable}: {fault}" if variable else fault
