"""The command line in a test's own process, over the world that the environment names."""

import json
from pathlib import Path
from typing import Any

import pytest

from issuer import cli
from issuer.settings import Settings
from tests.world import PASSPHRASE


class Shell:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *arguments: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        status = cli.run(arguments)
        printed = self._capsys.readouterr()
        return status, printed.out, printed.err

    def answer(self, *arguments: str) -> Any:
        status, out, err = self.run(*arguments, "--json")
        assert status == 0, (out, err)
        return json.loads(out)

    def error(self, *arguments: str) -> tuple[str, str]:
        status, out, _ = self.run(*arguments, "--json")
        told = json.loads(out)
        assert status == 1, told
        return told["error"]["code"], told["error"]["what"]


def enter(monkeypatch: pytest.MonkeyPatch, folder: Path, rpc_url: str) -> None:
    """Work in a folder, with the environment of the world (tests/world.py) that lies there, and no other settings."""
    monkeypatch.chdir(folder)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in {
        "ISSUER_HOME": folder / "issuer",
        "BANK_FOLDER": folder / "folder",
        "RPC_URL": rpc_url,
        "ISSUER_PASSPHRASE": PASSPHRASE,
        "ISSUER_OPERATOR": "ann",
    }.items():
        monkeypatch.setenv(name, str(value))
