"""The command line of the bank, as a person uses it."""

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from issuer.messages import folder
from issuer.mockbank import cli
from issuer.mockbank.folder import Folder

ACCOUNT = "990000000001"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("MOCKBANK_HOME", "AUDITOR_HOME", "BANK_FOLDER", "ISSUER_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MOCKBANK_PASSPHRASE", "one")
    monkeypatch.setenv("AUDITOR_PASSPHRASE", "two")
    return tmp_path


def mockbank(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> Any:
    """Run a command with --json; its answer."""
    assert cli.run_command([*arguments, "--json"]) == status
    return json.loads(capsys.readouterr().out)


def test_a_bank_is_made_wired_to_and_looked_at(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    made = mockbank(capsys, "init", "--operating-balance", "0")
    assert Path(made["folder"]) == place / ".issuer" / "bank-folder"
    audited = mockbank(capsys, "auditor", "init")
    assert made["attestor"] != audited["attestor"]
    wired = mockbank(capsys, "wire", "--from", ACCOUNT, "--name", "Platform A Limited", "--amount", "1000000.00")
    assert wired["amount"] == "1000000.00"
    found = mockbank(capsys, "balances")
    held = {row["role"]: row["balance"] for row in found["accounts"]}
    assert (held["collection"], held["reserve"], held["clearing"]) == ("1000000.00", "0.00", "-1000000.00")
    assert found["attested"] == {"reserve": "0.000000", "paid": "0.000000", "credited": "0.000000"}
    drawn = mockbank(capsys, "statement", "--account", "012875000000001")["statements"]
    assert drawn == [
        {"sequence": 1, "account": "012875000000001", "opening": "0.00", "closing": "1000000.00", "entries": 1}
    ]
    assert mockbank(capsys, "step") == {"files": 0}
    assert mockbank(capsys, "auditor", "step") == {"files": 2, "findings": []}
    assert mockbank(capsys, "recall", wired["reference"])["reverses"] == wired["reference"]
    assert mockbank(capsys, "open", "42", "--name", "B", "--balance", "1.00")["balance"] == "1.00"
    assert mockbank(capsys, "close", "42") == {"account": "42"}


def test_every_answer_is_also_text(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["init"],
        ["auditor", "init"],
        ["wire", "--from", ACCOUNT, "--name", "A", "--amount", "5.00"],
        ["balances"],
        ["statement"],
        ["step"],
        ["auditor", "step"],
    ):
        assert cli.run_command(arguments) == 0
        assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["balances", "--home", "nowhere"], 1, "not-found"),
        (["auditor", "step", "--home", "nowhere"], 1, "not-found"),
        (["wire", "--from", ACCOUNT, "--name", "A", "--amount", "1e5"], 1, "invalid-amount"),
        (["wire", "--from", ACCOUNT, "--name", "A", "--amount", "-5"], 1, "invalid-amount"),
        (["wire", "--from", ACCOUNT, "--name", "A", "--amount", "0.001"], 1, "invalid-amount"),
        (["wire", "--from", ACCOUNT, "--name", "", "--amount", "1"], 1, "invalid-input"),
        (["wire", "--from", "no/account", "--name", "A", "--amount", "1"], 1, "invalid-input"),
        (["wire", "--from", "012875000000002", "--name", "A", "--amount", "1"], 1, "refused"),
        (["open", "012875000000002", "--name", "A"], 1, "conflict"),
        (["close", "012875000000002"], 1, "refused"),
        (["close", "77"], 1, "not-found"),
        (["recall", "BK7"], 1, "not-found"),
        (["return", "7"], 1, "not-found"),
        (["return"], 1, "invalid-input"),
        (["return", "7", "--end-to-end", "x"], 1, "invalid-input"),
        (["statement", "--account", "77"], 1, "invalid-input"),
        (["init", "--folder", "elsewhere"], 1, "conflict"),
        (["init", "--home", "other", "--reserve", "012875000000001"], 1, "invalid-input"),
        (["wire"], 2, "usage"),
        (["fly"], 2, "usage"),
        (["return", "seven"], 2, "usage"),
    ],
)
def test_a_wrong_command_is_refused_with_a_reason(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, code: str
) -> None:
    mockbank(capsys, "init")
    error = mockbank(capsys, *arguments, status=status)["error"]
    assert error["code"] == code
    assert error["what"]
    assert error["do"]


def test_a_passphrase_comes_from_a_file_and_must_be_right(
    capsys: pytest.CaptureFixture[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mockbank(capsys, "init")
    monkeypatch.delenv("MOCKBANK_PASSPHRASE")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert mockbank(capsys, "step", status=1)["error"]["code"] == "misconfigured"
    for text, status in (("one\n", 0), ("wrong\n", 1), ("", 1)):
        (place / "secret").write_text(text)
        monkeypatch.setenv("MOCKBANK_PASSPHRASE_FILE", str(place / "secret"))
        assert cli.run_command(["step"]) == status
    shown = capsys.readouterr()
    assert "wrong" not in shown.out + shown.err
    monkeypatch.setenv("MOCKBANK_PASSPHRASE_FILE", str(place / "missing"))
    assert mockbank(capsys, "step", status=1)["error"]["code"] == "misconfigured"


def test_a_damaged_home_is_said_to_be_damaged(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    mockbank(capsys, "init")
    (place / ".mockbank" / "settings.json").write_text("{")
    assert mockbank(capsys, "balances", status=1)["error"]["code"] == "misconfigured"


def test_help_starts_without_the_heavy_parts() -> None:
    script = """
import sys
from issuer.mockbank.cli import run_command
status = run_command(["--help"])
print(*(name for name in ("eth_account", "xsdata", "sqlite3", "cryptography", "holidays") if name in sys.modules))
"""
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "mockbank wire --from" in shown.stdout
    assert shown.stdout.splitlines()[-1] == ""


def test_the_bank_runs_until_it_is_told_to_end(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    made = mockbank(capsys, "init")
    shared = Folder(Path(made["folder"]))
    program = [sys.executable, "-c", "from issuer.mockbank.cli import main; main()", "run"]
    with subprocess.Popen(program, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        shared.write(folder.ISSUER_TO_BANK, folder.order_name("A"), b"no order")
        patience = time.monotonic() + 20
        while folder.status_name("A") not in shared.names(folder.BANK_TO_ISSUER) and time.monotonic() < patience:
            time.sleep(0.05)
        assert cli.run_command(["run"]) == 1
        assert "error[conflict]: another process serves .mockbank already" in capsys.readouterr().err
        running.send_signal(signal.SIGTERM)
        shown = running.communicate(timeout=20)[0]
    assert running.returncode == 0, shown
    assert folder.status_name("A") in shared.names(folder.BANK_TO_ISSUER)
