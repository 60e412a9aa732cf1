"""The stranger's walk: every command of docs/verify.md, in its order, in one shell, on a small world's output."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests import anvil, stranger
from tests.anvil import ROOT, free_port
from tests.world import A_BANK, World

DOCUMENT = ROOT / "docs" / "verify.md"
PATIENCE = 120  # seconds


def commands(port: int) -> str:
    """The document's shell blocks, but for the one that opens the demo's home; on a port that is free here."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    return "".join(block for block in blocks if "demo/env" not in block).replace("8099", str(port))


def test_the_walk_works_as_written(tmp_path: Path) -> None:
    with anvil.run() as chain:
        world = World.create(tmp_path / "world", chain)
        try:
            customer = world.onboard("Platform A", A_BANK, stranger.A)
            world.wire(A_BANK, "Platform A", "1000000.00")
            world.request_mint(customer, stranger.A, "1000000.00")
            world.until(lambda: world.orders() == [("final", None)])
            world.turn()
            stranger.report(world)
            output = walk(tmp_path, world)
        finally:
            world.close()
    assert output.count("VERIFIED: all 16 statements hold") == 2  # the others are searched for one line
    assert output.count("RECEIPT VERIFIED") == 2
    assert "extends the" in output
    assert "— example.org/witness " in output
    assert "FALSE: statement 4 (roots)" in output


def walk(path: Path, world: World) -> str:
    """What the shell says."""
    script = f"set -eo pipefail\ntrap 'kill $(jobs -p); wait' EXIT\n{commands(free_port())}"
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(path),
        "RPC_URL": world.chain.url,
        "ISSUER_HOME": str(world.path / "issuer"),
        "BANK_FOLDER": str(world.path / "folder"),
    }
    shell = subprocess.Popen(
        ["bash", "-c", script], cwd=path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = shell.communicate(timeout=PATIENCE)
    finally:
        # The shell ends its server when it ends; this is for a test that is cut short.
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)
    assert shell.returncode == 0, output[-4000:]
    return output
