"""The main job as a user does it: every command of docs/walkthrough.md, in its order, in one shell."""

import json
import re
from pathlib import Path

from tests import document
from tests.anvil import free_port


def commands() -> str:
    """The document's shell blocks, but for the one that names the checkout."""
    return "".join(block for block in document.blocks("walkthrough.md") if "$PWD" not in block)


def test_the_walkthrough_works_as_written(tmp_path: Path) -> None:
    script = f"{document.END_WHAT_WAS_STARTED}{commands()}\nissuer status --json > status.json\n"
    environment = {"RPC_URL": f"http://127.0.0.1:{free_port()}", "ISSUER_OPERATOR": "ann"}
    output = document.carry_out(script, tmp_path, environment)
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
