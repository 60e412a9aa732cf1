"""Settings: where they come from, which comes first, what is refused, and what is never shown."""

from pathlib import Path

import pytest
from dotenv import dotenv_values

from issuer import settings
from issuer.errors import Misconfigured
from issuer.settings import Settings

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / ".env.example"
KEY = "0x" + "4c" * 32


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory, and an environment that sets nothing."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def _load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return settings.load()


def test_the_example_names_every_setting_and_no_other() -> None:
    assert set(dotenv_values(EXAMPLE)) == {name.upper() for name in Settings.model_fields}


def test_every_setting_of_the_example_is_explained_by_a_comment() -> None:
    blocks = EXAMPLE.read_text().split("\n\n")[1:]
    assert blocks
    assert all(block.startswith("# ") for block in blocks)


def test_the_example_says_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = settings.load()
    Path(".env").write_text(EXAMPLE.read_text())
    assert settings.load() == plain
    monkeypatch.setenv("FINALITY", "3")
    assert settings.load() != plain


def test_the_defaults_lie_in_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _load(monkeypatch, ISSUER_HOME="/somewhere/home")
    assert found.database_url == "sqlite:////somewhere/home/issuer.db"
    assert found.bank_folder == Path("/somewhere/home/bank-folder")


def test_the_environment_comes_before_dotenv_and_that_before_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("home").mkdir()
    Path("home/issuer.env").write_text("ISSUER_HOME=elsewhere\nFINALITY=7\nREDEMPTION_FEE=3.00\nISSUER_OPERATOR=home\n")
    Path(".env").write_text("ISSUER_HOME=home\nREDEMPTION_FEE=2.00\nISSUER_OPERATOR=dotenv\n")
    found = _load(monkeypatch, ISSUER_OPERATOR="environment")
    assert (found.issuer_home, found.finality, found.redemption_fee, found.issuer_operator) == (
        Path("home"),
        "7",
        200,
        "environment",
    )


def test_amounts_are_read_into_units_and_fen(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _load(monkeypatch, APPROVAL_THRESHOLD="0.000001", REDEMPTION_FEE="12.34", REFUSED_JURISDICTIONS="CN, KP")
    assert (found.approval_threshold, found.redemption_fee) == (1, 1234)
    assert found.refused_jurisdictions == {"CN", "KP"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RPC_URL", "ftp://node"),
        ("RPC_URL", "127.0.0.1:8545"),
        ("DATABASE_URL", "mysql://server/name"),
        ("DATABASE_URL", "sqlite://"),
        ("FINALITY", "latest"),
        ("FINALITY", "0"),
        ("FINALITY", "-1"),
        ("ISSUER_OPERATOR", "two words"),
        ("ISSUER_OPERATOR", "-x"),
        ("COLLECTION_ACCOUNT", "12-34"),
        ("COLLECTION_ACCOUNT", "012875000000002"),  # the reserve account's default
        ("APPROVAL_THRESHOLD", "1e6"),
        ("APPROVAL_THRESHOLD", "0"),
        ("APPROVAL_THRESHOLD", "NaN"),
        ("REDEMPTION_FEE", "0.001"),
        ("REDEMPTION_FEE", "-1"),
        ("REFUSED_JURISDICTIONS", "China"),
        ("SLOW_ACT_DELAY", "0"),
        ("SLOW_ACT_DELAY", "2592001"),
        ("BUCKET_CAPACITY", "0"),
        ("DEPLOYER_KEY", "0x1234"),
        ("RPC_URL", "http://127.0.0.1:99999"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(Misconfigured, match=name):
        _load(monkeypatch, **{name: value})


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("DEPLOYER_KEY", "4c" * 31 + "zz"),
        ("RPC_URL", "ftp://user:hunter2@node"),
        ("DATABASE_URL", "mysql://user:hunter2@server/name"),
    ],
)
def test_a_refusal_does_not_show_what_may_be_secret(monkeypatch: pytest.MonkeyPatch, name: str, secret: str) -> None:
    with pytest.raises(Misconfigured) as refusal:
        _load(monkeypatch, **{name: secret})
    assert secret not in refusal.value.what
    assert "hunter2" not in refusal.value.what


def test_settings_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _load(
        monkeypatch,
        ISSUER_PASSPHRASE="hunter2",
        DEPLOYER_KEY=KEY,
        RPC_URL="https://node/hunter2",
        DATABASE_URL="postgresql://user:hunter2@server/name",
    )
    for shown in (repr(found), str(found)):
        assert "hunter2" not in shown
        assert KEY[2:] not in shown


def test_every_fault_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured, match=r"FINALITY.*REDEMPTION_FEE"):
        _load(monkeypatch, FINALITY="x", REDEMPTION_FEE="y")


def test_a_file_of_settings_that_is_no_text_is_refused() -> None:
    Path(".env").write_bytes(b"RPC_URL=\xff\xfe\n")
    with pytest.raises(Misconfigured):
        settings.load()


@pytest.mark.parametrize("name", [".env", "home/issuer.env"])
def test_a_line_that_sets_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A quotation that is not closed: what stands in it would be lost, a limit or a country."""
    monkeypatch.setenv("ISSUER_HOME", "home")
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text('BATCH_WAIT=2\nAPPROVAL_THRESHOLD="1.00\n')
    with pytest.raises(Misconfigured, match=f"line 2 of {name} is no setting"):
        settings.load()


def test_the_passphrase_may_lie_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("secret").write_text("correct horse\n")
    found = _load(monkeypatch, ISSUER_PASSPHRASE_FILE="secret")
    assert settings.passphrase(found) == "correct horse"
    assert settings.passphrase(_load(monkeypatch, ISSUER_PASSPHRASE="first")) == "first"


def test_without_a_passphrase_there_is_none() -> None:
    assert settings.passphrase(settings.load()) is None


@pytest.mark.parametrize("body", [None, b"", b"\xff"])
def test_a_passphrase_file_must_hold_one(monkeypatch: pytest.MonkeyPatch, body: bytes | None) -> None:
    if body is not None:
        Path("secret").write_bytes(body)
    with pytest.raises(Misconfigured, match="ISSUER_PASSPHRASE_FILE"):
        settings.passphrase(_load(monkeypatch, ISSUER_PASSPHRASE_FILE="secret"))


def test_a_home_remembers_what_was_set_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    tricky = "postgresql://user:it's#a\\b@server/name"
    given = _load(
        monkeypatch,
        ISSUER_HOME="home",
        DATABASE_URL=tricky,
        BANK_FOLDER="shared",
        FINALITY="12",
        ISSUER_PASSPHRASE="hunter2",
        DEPLOYER_KEY=KEY,
        ISSUER_OPERATOR="ann",
    )
    text = settings.remembered()
    assert "hunter2" not in text
    assert KEY[2:] not in text
    for name in ("DATABASE_URL", "BANK_FOLDER", "FINALITY", "DEPLOYER_KEY", "ISSUER_OPERATOR", "ISSUER_PASSPHRASE"):
        monkeypatch.delenv(name)
    Path("home").mkdir()
    Path("home/issuer.env").write_text(text)
    again = settings.load()
    assert (again.database_url, again.finality) == (tricky, "12")
    assert again.bank_folder == Path.cwd() / given.bank_folder
    assert again.issuer_passphrase is None
