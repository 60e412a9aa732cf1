"""The command line without a chain: what it refuses, what it answers, and what it leaves alone."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
from sqlalchemy import select, update

from issuer import cli
from issuer.cli.home import create_home
from issuer.ledger import chart, journal
from issuer.operations import binding, wallets
from issuer.operations.binding import Binding
from issuer.settings import Settings, load
from issuer.store import move, tables
from issuer.store.unit import Store
from tests import shell as shells
from tests.clock import ManualClock

PASSPHRASE = "only for tests"
ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"
WRONG = "0x52908400098527886e0F7030069857D2E4169EE7"
NOWHERE = "http://127.0.0.1:1"
BOUND = Binding(
    chain_id=31337,
    genesis="0x" + "00" * 32,
    token=ADDRESS,
    feed=ADDRESS,
    minter=ADDRESS,
    attestors=(ADDRESS,),
    quorum=1,
)

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home as `issuer init` makes it."""
    path = tmp_path_factory.mktemp("template") / "home"
    create_home(Settings(issuer_home=path, issuer_operator="ann", _env_file=None), PASSPHRASE, light=True).close()  # type: ignore[call-arg]
    return path


@pytest.fixture
def home(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home that the commands of this test use; nothing answers at its RPC address."""
    path = tmp_path / "home"
    shutil.copytree(template, path)
    _set(monkeypatch, tmp_path, path)
    return path


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{home}/issuer.db", ManualClock())
    yield store
    store.close()


def _set(monkeypatch: pytest.MonkeyPatch, folder: Path, home: Path) -> None:
    monkeypatch.chdir(folder)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ISSUER_HOME", str(home))
    monkeypatch.setenv("ISSUER_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("ISSUER_OPERATOR", "ann")
    monkeypatch.setenv("RPC_URL", NOWHERE)


class Shell(shells.Shell):
    """The same, of refusals: both forms of one are checked."""

    def refusal(self, *arguments: str) -> tuple[int, str]:
        """Exit status and code."""
        status, out, err = self.run(*arguments, "--json")
        told = json.loads(out)["error"]
        assert set(told) == {"code", "what", "do"}
        assert all(told.values())
        assert "Traceback" not in out + err
        return status, told["code"]


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


def _contents(home: Path, store: Store) -> Any:
    """Everything that a command could change."""
    with store.read() as connection:
        rows = {table.name: connection.execute(select(table)).all() for table in tables.metadata.sorted_tables}
    files = {path: path.read_bytes() for path in home.rglob("*") if path.is_file() and "issuer.db" not in path.name}
    return rows, files


# -- help


# What each of these takes to import is a good part of a second, which only a command that needs it may cost.
HEAVY = {
    *(
        "alembic",
        "eth_abi",
        "eth_account",
        "eth_utils",
        "holidays",
        "psycopg",
        "pyiso20022",
        "requests",
        "rlp",
        "solcx",
    ),
    *("web3", "xsdata"),
}


def _imported(*commands: str) -> tuple[set[str], str]:
    """All packages that a process has imported which carried out these command lines, and what it printed."""
    code = (
        "import sys\n"
        "from issuer.cli import run\n"
        "assert [run(line.split()) for line in sys.argv[1:]] == [0] * len(sys.argv[1:])\n"
        "print(*(name for name in sys.modules if '.' not in name), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *commands], capture_output=True, text=True, check=True)
    return set(done.stderr.split()), done.stdout


def test_help_imports_nothing_heavy() -> None:
    imported, printed = _imported("--help")
    assert "click" in imported
    assert imported & (HEAVY | {"sqlalchemy", "pydantic", "cryptography", "rich"}) == set()
    for name in ("init", "customer", "mint", "reconcile"):
        assert name in printed


def test_a_command_that_touches_the_database_alone_imports_nothing_else_that_is_heavy(store: Store) -> None:
    with store.unit("bind") as unit:
        binding.bind(unit, BOUND)
    imported, printed = _imported(
        "customer add Platform --jurisdiction HK --account 388000000001",
        "status",
        "lock list",
        "audit show",
        "ledger balances",
        *(f"{noun} list --json" for noun in ("customer", "wallet", "deposit", "mint", "redemption", "payout", "act")),
    )
    assert "sqlalchemy" in imported
    assert imported & HEAVY == set()
    assert "The chain has not been read yet" in printed


def _commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    context = click.Context(cli._root)
    for name in cli._root.list_commands(context):
        command = cli._root.get_command(context, name)
        assert command is not None, name
        assert command.name == name
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, verb) for verb in command.commands]
    return found


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_every_command_explains_itself(command: tuple[str, ...], shell: Shell) -> None:
    status, out, _ = shell.run(*command, "--help")
    assert status == 0
    assert out.startswith(f"Usage: issuer {' '.join(command)}")
    assert len(out.splitlines()) > 4


SPECIFIED = """
init chain deploy run step status reconcile transfer redeem freeze unfreeze stop resume
customer-add customer-list customer-show wallet-new wallet-challenge wallet-register wallet-list
mint-request mint-approve mint-reject mint-cancel mint-list mint-show redemption-list redemption-show redemption-release
payout-list deposit-list deposit-refund act-list act-cancel limit-show limit-lower limit-raise report-show
report-request lock-list lock-clear ledger-balances ledger-journal audit-show audit-trace audit-verify
"""


def test_every_command_that_is_promised_is_there() -> None:
    assert set(SPECIFIED.split()) <= {"-".join(command) for command in _commands()}


# -- refusals


UNREADABLE = [
    # amounts
    *(
        (("mint", "request", amount, "--customer", "1", "--wallet", ADDRESS), "invalid-amount")
        for amount in ("0", "-1", "1e6", "NaN", "1,000.00", "1.0000001", "", "9223372036855", "١")
    ),
    (("redeem", "alice", "0.00"), "invalid-amount"),
    (("transfer", "alice", "bob", "1.1234567"), "invalid-amount"),
    (("limit", "lower", "sender", "--capacity", "-1", "--refill", "1", "--case", "c"), "invalid-amount"),
    (("limit", "raise", "sender", "--capacity", "1", "--refill", "x", "--case", "c"), "invalid-amount"),
    # addresses
    (("mint", "request", "1.00", "--customer", "1", "--wallet", WRONG), "invalid-input"),
    (("mint", "request", "1.00", "--customer", "1", "--wallet", "0x1234"), "invalid-input"),
    (("wallet", "challenge", WRONG, "--customer", "1"), "invalid-input"),
    (("wallet", "register", "../keys/sender", "--signature", "0x00"), "invalid-input"),
    (("freeze", ADDRESS, WRONG, "--case", "c"), "invalid-input"),
    (("unfreeze", "0x", "--case", "c"), "invalid-input"),
    (("transfer", "alice", WRONG, "1.00"), "invalid-input"),
    # names and texts
    (("wallet", "new", "../alice"), "invalid-input"),
    (("wallet", "new", ""), "invalid-input"),
    (("wallet", "new", "sender"), "invalid-input"),
    (("redeem", "0xabc", "1.00"), "invalid-input"),
    (("customer", "add", "Two\nLines", "--jurisdiction", "HK", "--account", "388000000001"), "invalid-input"),
    (("customer", "add", "\x00", "--jurisdiction", "HK", "--account", "388000000001"), "invalid-input"),
    (("customer", "add", "half \udc80", "--jurisdiction", "HK", "--account", "388000000001"), "invalid-input"),
    (("customer", "add", "x" * 141, "--jurisdiction", "HK", "--account", "388000000001"), "invalid-input"),
    (("customer", "add", "A", "--jurisdiction", "Hong Kong", "--account", "388000000001"), "invalid-input"),
    (("customer", "add", "A", "--jurisdiction", "HK", "--account", "12-34"), "invalid-input"),
    # numbers, hashes, signatures, cases, keys, operators
    *(
        ((*command, number), "invalid-input")
        for command in (
            ("customer", "show"),
            ("deposit", "refund"),
            ("lock", "clear"),
            ("mint", "approve"),
            ("mint", "cancel"),
            ("mint", "reject"),
            ("mint", "show"),
            ("redemption", "release"),
            ("redemption", "show"),
            ("report", "show"),
            ("transaction", "cancel"),
        )
        for number in ("0", "one", "1.0", "9223372036854775808")
    ),
    (("ledger", "journal", "--limit", "0"), "invalid-input"),
    (("audit", "show", "--limit", "all"), "invalid-input"),
    (("audit", "trace", "wallet:1"), "invalid-input"),
    (("act", "cancel", "0x1234", "--case", "c"), "invalid-input"),
    (("wallet", "register", ADDRESS, "--signature", "hello"), "invalid-input"),
    (("wallet", "register", ADDRESS), "invalid-input"),
    (("stop", "mint", "--case", "two words"), "invalid-input"),
    (("resume", "mint", "--case", ""), "invalid-input"),
    (("report", "request", "--key", "two words"), "invalid-input"),
    (("report", "request", "--operator", "ann bob"), "invalid-input"),
    (("transfer", "alice", "bob", "1.00", "--memo", "x" * 33), "invalid-input"),
    # what does not exist
    (("customer", "show", "7"), "not-found"),
    (("mint", "show", "7"), "not-found"),
    (("redemption", "show", "7"), "not-found"),
    (("report", "show", "7"), "not-found"),
    (("report", "show"), "not-found"),
    (("audit", "trace", "7"), "not-found"),
    (("audit", "trace", "order:7"), "not-found"),
    (("mint", "request", "1.00", "--customer", "1", "--wallet", "nobody"), "not-found"),
    (("mint", "request", "1.00", "--customer", "7", "--wallet", ADDRESS), "not-found"),
    (("wallet", "challenge", ADDRESS, "--customer", "7"), "not-found"),
    (("wallet", "challenge", "nobody", "--customer", "1"), "not-found"),
    (("wallet", "register", ADDRESS, "--signature", "0x00"), "not-found"),
    (("mint", "approve", "7"), "not-found"),
    (("mint", "reject", "7"), "not-found"),
    (("mint", "cancel", "7"), "not-found"),
    (("deposit", "refund", "7"), "not-found"),
    (("redemption", "release", "7"), "not-found"),
    (("lock", "clear", "7"), "not-found"),
    (("act", "cancel", "0x" + "ab" * 32, "--case", "c"), "not-found"),
    (("transaction", "cancel", "7"), "not-found"),
    (("freeze", "nobody", "--case", "c"), "not-found"),
    # what needs a deployment
    (("status",), "misconfigured"),
    (("step",), "misconfigured"),
    (("reconcile",), "misconfigured"),
    (("audit", "verify"), "misconfigured"),
    (("limit", "show"), "misconfigured"),
    (("limit", "lower", "sender", "--capacity", "1", "--refill", "1", "--case", "c"), "misconfigured"),
    (("unfreeze", ADDRESS, "--case", "c"), "misconfigured"),
    (("resume", "mint", "--case", "c"), "misconfigured"),
    (("transfer", "alice", ADDRESS, "1.00"), "not-found"),
    (("key", "resume", "sender"), "misconfigured"),
    (("deploy",), "unreachable"),
]


@pytest.mark.parametrize(("command", "code"), UNREADABLE, ids=[" ".join(command[:2]) for command, _ in UNREADABLE])
def test_bad_input_is_refused_and_changes_nothing(
    command: tuple[str, ...], code: str, home: Path, store: Store, shell: Shell
) -> None:
    before = _contents(home, store)
    assert shell.refusal(*command) == (1, code)
    assert _contents(home, store) == before


@pytest.mark.parametrize(
    "command",
    [
        ("nothing",),
        ("mint", "nothing"),
        ("mint", "request"),
        ("mint", "request", "1.00"),
        ("customer", "add", "A"),
        ("stop", "everything", "--case", "c"),
        ("stop", "--case", "c"),
        ("freeze", "--case", "c"),
        ("status", "--colour"),
        ("key", "resume", "deployer"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_has_exit_status_2(
    command: tuple[str, ...], home: Path, store: Store, shell: Shell
) -> None:
    before = _contents(home, store)
    assert shell.refusal(*command) == (2, "usage")
    status, out, err = shell.run(*command)
    assert (status, out) == (2, "")
    assert "Usage: issuer" in err
    assert _contents(home, store) == before


def test_a_refusal_for_people_stands_on_stderr(shell: Shell) -> None:
    status, out, err = shell.run("customer", "show", "7")
    assert (status, out) == (1, "")
    assert err == "error[not-found]: there is no customer 7\nSee `issuer customer list`.\n"


def test_without_a_home_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: Shell) -> None:
    _set(monkeypatch, tmp_path, tmp_path / "absent")
    for command in (("status",), ("customer", "list"), ("wallet", "new", "alice"), ("deploy",)):
        assert shell.refusal(*command) == (1, "misconfigured")
    for command in (("chain",), ("run",)):
        assert shell.run(*command)[0] == 1
    assert not (tmp_path / "absent").exists()


def test_a_wrong_passphrase_is_refused(monkeypatch: pytest.MonkeyPatch, shell: Shell) -> None:
    shell.answer("wallet", "new", "alice")
    shell.answer("customer", "add", "A", "--jurisdiction", "HK", "--account", "388000000001")
    shell.answer("wallet", "challenge", "alice", "--customer", "1")
    monkeypatch.setenv("ISSUER_PASSPHRASE", "another")
    assert shell.refusal("wallet", "register", "alice", "--sign-with", "alice") == (1, "misconfigured")


def test_a_missing_passphrase_is_asked_for_at_a_terminal_only(monkeypatch: pytest.MonkeyPatch, shell: Shell) -> None:
    monkeypatch.delenv("ISSUER_PASSPHRASE")
    assert shell.refusal("wallet", "new", "alice") == (1, "misconfigured")
    shell.answer("wallet", "list")


def test_bad_settings_are_refused_without_a_traceback(monkeypatch: pytest.MonkeyPatch, shell: Shell) -> None:
    monkeypatch.setenv("FINALITY", "soon")
    assert shell.refusal("customer", "list") == (1, "misconfigured")


def test_a_database_of_another_version_is_refused(home: Path, shell: Shell) -> None:
    with closing(sqlite3.connect(home / "issuer.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    assert shell.refusal("customer", "list") == (1, "misconfigured")


def test_a_database_that_is_none_is_refused_without_a_traceback(home: Path, shell: Shell) -> None:
    (home / "issuer.db").write_bytes(b"this is no database" * 1000)
    status, code = shell.refusal("customer", "list")
    assert (status, code) == (1, "unreachable")


def test_a_database_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch, shell: Shell) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    assert shell.refusal("customer", "list") == (1, "unreachable")


# -- init


def test_a_home_may_keep_its_database_on_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: Shell, postgresql: str
) -> None:
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("CREATE DATABASE command_line")
    _set(monkeypatch, tmp_path, tmp_path / "server")
    monkeypatch.setenv("DATABASE_URL", postgresql.replace("/postgres?", "/command_line?"))
    shell.answer("init")
    monkeypatch.delenv("DATABASE_URL")
    shell.answer("customer", "add", "A", "--jurisdiction", "HK", "--account", "388000000001")
    assert not (tmp_path / "server/issuer.db").exists()
    assert shell.answer("customer", "show", "1")["name"] == "A"


def test_a_home_moves_to_a_server_and_leaves_the_file_behind(home: Path, shell: Shell, postgresql: str) -> None:
    """Cut short once, when the rows are there and the settings still name the file."""
    with psycopg.connect(postgresql, autocommit=True) as connection:
        for name in ("moved_to", "elsewhere"):
            connection.execute(f"CREATE DATABASE {name}".encode())
    url, other = (postgresql.replace("/postgres?", f"/{name}?") for name in ("moved_to", "elsewhere"))
    add = ("customer", "add", "A", "--jurisdiction", "HK", "--account", "388000000001", "--key", "k-1")
    old, new = Store(f"sqlite:///{home}/issuer.db", ManualClock()), Store(url, ManualClock())
    move.copy(old, new)
    for store in (old, new):
        store.close()
    assert shell.refusal(*add) == (1, "misconfigured")
    assert shell.refusal("move", other) == (1, "refused")
    assert shell.answer("move", url)["left"] == str(home / "issuer.db")
    assert shell.answer(*add)["name"] == "A"
    assert shell.refusal("move", url) == (1, "refused")
    assert shell.answer("customer", "show", "1")["name"] == "A"


def test_init_makes_a_home_once_and_prints_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    path = tmp_path / "new"
    _set(monkeypatch, tmp_path, path)
    monkeypatch.setenv("FINALITY", "5")
    status, out, err = shell.run("init", "--json")
    made = json.loads(out)
    assert status == 0
    assert made["made"] is True
    assert set(made["keys"]) == {"deployer", "sender", "standby", "registrar", "freezer", "guardian", "admin"}
    assert len(set(made["keys"].values())) == 7
    assert PASSPHRASE not in out + err
    assert path.stat().st_mode & 0o077 == 0
    assert json.loads((path / "bank-folder/keys/issuer.json").read_bytes()) == {"log_key": made["log_key"]}
    monkeypatch.delenv("FINALITY")
    assert load().finality == "5"
    files = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert shell.answer("init") == made | {"made": False}
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == files


def test_init_that_was_cut_short_is_finished_by_the_same_passphrase_only(
    home: Path, monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    (home / "issuer.env").unlink()
    (home / "keys/guardian.json").unlink()
    sender = json.loads((home / "keys/sender.json").read_bytes())["address"]
    monkeypatch.setenv("ISSUER_PASSPHRASE", "another")
    assert shell.refusal("init") == (1, "misconfigured")
    (home / "keys/guardian.json").unlink()
    monkeypatch.setenv("ISSUER_PASSPHRASE", PASSPHRASE)
    assert shell.answer("init")["keys"]["sender"].removeprefix("0x").lower() == sender.removeprefix("0x").lower()


# -- requests


def test_a_request_is_carried_out_once_for_its_key(home: Path, store: Store, shell: Shell) -> None:
    command = ("customer", "add", "Platform A", "--jurisdiction", "HK", "--account", "388000000001", "--key", "k-1")
    first = shell.answer(*command)
    assert first["request"] == {"key": "k-1", "replayed": False}
    before = _contents(home, store)
    again = shell.answer(*command)
    assert again == first | {"request": {"key": "k-1", "replayed": True}}
    assert _contents(home, store) == before
    status, out, _ = shell.run(*command)
    assert status == 0
    assert "nothing was done now" in out


def test_a_key_is_bound_to_its_request(home: Path, store: Store, shell: Shell) -> None:
    shell.answer("customer", "add", "A", "--jurisdiction", "HK", "--account", "388000000001", "--key", "k")
    before = _contents(home, store)
    other = ("customer", "add", "B", "--jurisdiction", "HK", "--account", "388000000002", "--key", "k")
    assert shell.refusal(*other) == (1, "conflict")
    assert shell.refusal("lock", "clear", "1", "--key", "k") == (1, "conflict")
    assert _contents(home, store) == before
    same = ("customer", "add", "A", "--jurisdiction", "HK", "--account", "388000000001", "--key", "k")
    assert shell.refusal(*same, "--operator", "bob") == (1, "conflict")


def test_a_key_is_made_and_shown_when_there_is_none(shell: Shell) -> None:
    _, out, _ = shell.run("customer", "add", "A", "--jurisdiction", "HK", "--account", "388000000001")
    key = out.partition("--key ")[2].split()[0]
    again = shell.answer("customer", "add", "A", "--jurisdiction", "HK", "--account", "388000000001", "--key", key)
    assert again["request"] == {"key": key, "replayed": True}


def test_a_prohibited_customer_is_refused_and_logged(shell: Shell) -> None:
    command = ("customer", "add", "A", "--jurisdiction", "CN", "--account", "388000000001")
    assert shell.refusal(*command) == (1, "prohibited-jurisdiction")
    assert shell.answer("customer", "list") == []
    (last,) = shell.answer("audit", "show", "--limit", "1")
    assert last["record"]["action"] == "request.refused"
    assert last["record"]["actor"] == "operator:ann"


# -- a customer, a wallet, an order


@pytest.fixture
def alice(shell: Shell) -> str:
    """A customer whose local wallet is registered; its address."""
    shell.answer("customer", "add", "Platform A", "--jurisdiction", "HK", "--account", "388000000001")
    address: str = shell.answer("wallet", "new", "alice")["address"]
    shell.answer("wallet", "challenge", "alice", "--customer", "1")
    shell.answer("wallet", "register", "alice", "--sign-with", "alice")
    return address


def test_a_wallet_is_registered_by_its_own_signature_only(shell: Shell) -> None:
    shell.answer("customer", "add", "Platform A", "--jurisdiction", "HK", "--account", "388000000001")
    address = shell.answer("wallet", "new", "alice")["address"]
    shell.answer("wallet", "new", "mallory")
    given = shell.answer("wallet", "challenge", "alice", "--customer", "1")
    assert address in given["challenge"]
    # The node is asked whether a contract answers for the wallet; where none is, another key's signature is no proof.
    assert shell.refusal("wallet", "register", "alice", "--sign-with", "mallory")[0] == 1
    assert shell.answer("wallet", "register", "alice", "--sign-with", "alice")["state"] == "registered"
    assert shell.refusal("wallet", "register", "alice", "--sign-with", "alice") == (1, "refused")
    found = {row["name"]: row for row in shell.answer("wallet", "list")}
    assert (found["alice"]["state"], found["alice"]["customer_id"]) == ("registered", 1)
    assert found["mallory"]["state"] is None


def test_an_order_says_what_it_waits_for(alice: str, shell: Shell) -> None:
    order = shell.answer("mint", "request", "1000000.00", "--customer", "1", "--wallet", "alice")
    assert (order["state"], order["value"], order["wallet"]) == ("approved", "1000000.000000", alice)
    assert order["waits_for"] == "its wallet to be verified on chain"
    assert shell.answer("mint", "list") == [shell.answer("mint", "show", "1")]
    _, out, _ = shell.run("mint", "list")
    header, line = out.splitlines()
    assert line.index("1000000.000000") + len("1000000.000000") == header.index("value") + len("value")


def test_a_large_order_needs_another_operator(alice: str, shell: Shell) -> None:
    order = shell.answer("mint", "request", "1000000.01", "--customer", "1", "--wallet", alice)
    assert order["state"] == "requested"
    assert shell.refusal("mint", "approve", "1") == (1, "refused")
    assert shell.answer("mint", "approve", "1", "--operator", "bob")["state"] == "approved"
    assert shell.refusal("mint", "reject", "1", "--operator", "bob") == (1, "refused")
    assert shell.answer("mint", "cancel", "1")["state"] == "cancelled"
    assert shell.refusal("mint", "cancel", "1") == (1, "refused")
    assert "Nothing is left to cancel." in shell.run("mint", "cancel", "1")[2]


def test_an_order_beyond_the_books_is_refused(alice: str, home: Path, store: Store, shell: Shell) -> None:
    before = _contents(home, store)
    largest = ("mint", "request", "9223372036854.00", "--customer", "1", "--wallet", alice)
    assert shell.refusal(*largest) == (1, "invalid-amount")
    assert _contents(home, store) == before


def test_an_order_to_another_customers_wallet_is_refused(alice: str, shell: Shell) -> None:
    shell.answer("customer", "add", "Platform B", "--jurisdiction", "HK", "--account", "388000000002")
    assert shell.refusal("mint", "request", "1.00", "--customer", "2", "--wallet", alice) == (1, "refused")


def test_powers_are_asked_for_under_a_case(alice: str, shell: Shell) -> None:
    frozen = shell.answer("freeze", "alice", "--case", "2026/1")
    assert (frozen["ordered"], frozen["accounts"], frozen["case"]) == ("freeze", [alice], "2026/1")
    said = shell.run("freeze", "alice", "--case", "2026/1")[1]
    assert "Ordered, not done yet: it is done when `issuer act list` shows it final." in said
    stopped = shell.answer("stop", "mint", "transfer", "--case", "2026/2")
    assert stopped["stops"] == ["transfer", "mint"]
    records = [row["record"] for row in shell.answer("audit", "show", "--limit", "4")]
    subjects = [record["subject"] for record in records if record["action"].startswith("power.")]
    assert subjects == ["case:2026/1", "case:2026/2"]
    status, out, _ = shell.run("audit", "show")
    assert (status, "stops transfer, mint" in " ".join(out.split())) == (0, True)


def test_the_journal_shows_both_sides(store: Store, shell: Shell) -> None:
    with store.unit("post") as unit:
        entry = journal.transfer("test", "deposit:x", debit=chart.COLLECTION, credit="customer:1", units=1_000_001)
        journal.post(unit, entry)
    found = shell.answer("ledger", "journal", "--subject", "deposit:x")
    assert [(row["account"], row["amount"]) for row in found] == [
        ("bank:collection", "1.000001"),
        ("customer:1", "-1.000001"),
    ]
    assert {row["account"]: row["balance"] for row in shell.answer("ledger", "balances")} == {
        "bank:collection": "1.000001",
        "customer:1": "1.000001",
    }


def test_books_that_do_not_add_up_are_told(store: Store, shell: Shell) -> None:
    with store.unit("post") as unit:
        journal.post(unit, journal.transfer("test", "x", debit=chart.COLLECTION, credit="customer:1", units=1))
        unit.connection.execute(update(tables.account).values(balance=2).where(tables.account.c.name == "customer:1"))
    assert shell.refusal("ledger", "balances") == (1, "broken-invariant")


def test_the_log_shows_its_records_as_they_are(alice: str, store: Store, shell: Shell) -> None:
    (record,) = shell.answer("audit", "show", "--subject", f"wallet:{alice}", "--limit", "1")
    assert record["record"]["action"] == "wallet.registered"
    assert record["place"] is None
    with store.read() as connection:
        assert record["record"]["at"] >= wallets.get(connection, alice)["at"]


@pytest.mark.parametrize(
    "command",
    [
        *((noun, "list") for noun in ("customer", "deposit", "mint", "redemption", "payout", "act", "lock", "wallet")),
        ("transaction", "list"),
        ("ledger", "balances"),
        ("ledger", "journal"),
        ("audit", "show"),
    ],
    ids=" ".join,
)
def test_an_empty_list_says_so(command: tuple[str, ...], shell: Shell) -> None:
    assert shell.answer(*command) == []
    status, out, _ = shell.run(*command)
    assert status == 0
    assert out.strip()
