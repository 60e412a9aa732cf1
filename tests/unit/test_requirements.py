"""A missing tool is one clear sentence before anything is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.anvil import ROOT


def complaint(path: Path) -> str:
    """What the check says on a machine with only these programs."""
    script = ROOT / "scripts" / "requirements.py"
    found = subprocess.run(
        [sys.executable, script], env={"PATH": str(path)}, capture_output=True, text=True, check=False
    )
    assert found.returncode == (1 if found.stderr else 0)
    return found.stderr


def install(path: Path, name: str, says: str) -> None:
    program = path / name
    program.write_text(f"#!{sys.executable}\nprint({says!r})\n")
    program.chmod(0o755)


def test_without_node_it_says_so_in_one_sentence(tmp_path: Path) -> None:
    said = complaint(tmp_path)
    assert said.count("\n") == 1
    assert "Node.js 20 or newer" in said


@pytest.mark.parametrize(("version", "fits"), [("v18.20.1", False), ("v20.0.0", True), ("v24.1.0", True)])
def test_an_old_node_is_named(tmp_path: Path, version: str, fits: bool) -> None:
    install(tmp_path, "node", version)
    install(tmp_path, "npm", "11.0.0")
    assert ("this is v18.20.1" in complaint(tmp_path)) is not fits
