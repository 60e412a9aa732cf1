"""The main job as a user does it: every command of docs/walkthrough.md, in its order, in one shell."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.anvil import ROOT, free_port

WALKTHROUGH = ROOT / "docs" / "walkthrough.md"
PATIENCE = 600  # seconds, for a machine that does much else


def commands() -> str:
    """The document's shell blocks, but for the one that names the checkout."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", WALKTHROUGH.read_text(), re.DOTALL | re.MULTILINE)
    return "".join(block for block in blocks if "$PWD" not in block)


def test_the_walkthrough_works_as_written(tmp_path: Path) -> None:
    script = f"set -e\ntrap 'kill $(jobs -p); wait' EXIT\n{commands()}\nissuer status --json > status.json\n"
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "RPC_URL": f"http://127.0.0.1:{free_port()}",
        "ISSUER_OPERATOR": "ann",
    }
    shell = subprocess.Popen(
        ["bash", "-c", script], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = shell.communicate(timeout=PATIENCE)
    finally:
        # The shell ends its background programs when it ends; this is for a test that is cut short.
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)
    assert shell.returncode == 0, output[-4000:]
    status = json.loads((tmp_path / "status.json").read_text())
    assert (status["supply"], status["reserve"]) == ("900000.000000", "900000.000000")
    assert (status["redemptions_unpaid"], status["in_flight"]) == ("0.000000", "0.000000")
    assert status["locks"] == []
    assert "given again: nothing was done now" in output
    assert environment_secret(output) == []


def environment_secret(output: str) -> list[str]:
    """Lines that look as if they showed a private key or a passphrase."""
    return [
        line for line in output.splitlines() if re.search("(private key|passphrase) *[:=]? +[A-Za-z0-9_-]{20,}", line)
    ]
