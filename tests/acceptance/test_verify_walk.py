"""The stranger's walk: every command of docs/verify.md, in its order, in one shell, on what the demo leaves behind."""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.anvil import ROOT, free_port

DOCUMENT = ROOT / "docs" / "verify.md"
PATIENCE = 300  # seconds, for a machine that does much else


def commands(port: int) -> str:
    """The document's shell blocks, on a port that is free here."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    return "".join(blocks).replace("8099", str(port))


def test_the_walk_works_as_written_on_the_demo_s_output(tmp_path: Path) -> None:
    demo(tmp_path)
    output = shell(tmp_path, f"set -eo pipefail\ntrap 'kill $(jobs -p); wait' EXIT\n{commands(free_port())}")
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
    shell(path, "exec python3 -m scripts.demo")


def shell(path: Path, script: str) -> str:
    """What it says."""
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(path)}
    shell = subprocess.Popen(
        ["bash", "-c", script], cwd=path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = shell.communicate(timeout=PATIENCE)
    finally:
        # The shell ends its programs when it ends; this is for a test that is cut short.
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)
    assert shell.returncode == 0, output[-4000:]
    return output
