"""The stranger's walk: every command of docs/verify.md, in its order, in one shell, on what the demo leaves behind."""

import shutil
from pathlib import Path

from tests import document
from tests.anvil import ROOT, free_port


def commands(port: int) -> str:
    """The document's shell blocks, on a port that is free here."""
    return "".join(document.blocks("verify.md")).replace("8099", str(port))


def test_the_walk_works_as_written_on_the_demo_s_output(tmp_path: Path) -> None:
    demo(tmp_path)
    output = document.carry_out(f"{document.END_WHAT_WAS_STARTED}{commands(free_port())}", tmp_path, {})
    assert output.count("VERIFIED: all 16 statements hold") == 2  # the others are searched for one line
    assert output.count("RECEIPT VERIFIED") == 2
    assert "extends the" in output
    assert "supply         900,000.000000 CNH" in output
    assert "— example.org/witness " in output
    assert "FALSE: statement 4 (roots)" in output


def demo(path: Path) -> None:
    """The demo leaves its home beside itself: here it is a copy, so that a person's own demo stays as it is."""
    (path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "demo.py", path / "scripts")
    document.carry_out("exec python3 -m scripts.demo", path, {})
