"""A document carried out as a newcomer follows it: its shell blocks, in their order, in one shell."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests import warm
from tests.anvil import ROOT

PATIENCE = 900  # seconds, for a machine that does much else

END_WHAT_WAS_STARTED = "trap 'kill $(jobs -p); wait' EXIT\n"


def blocks(name: str) -> list[str]:
    """The shell blocks of a page of docs/."""
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / name).read_text(), re.DOTALL | re.MULTILINE)


def carry_out(script: str, path: Path, environment: Mapping[str, str]) -> str:
    """Run a script to its end; what it said. Fails if its status is not 0."""
    with shell(script, path, environment) as running:
        running.wait(timeout=PATIENCE)
    return said(running, path)


@contextmanager
def shell(script: str, path: Path, environment: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A shell that finds our programs, knows no other variables, and ends with its programs when the block does."""
    with warm.programs() as programs, (path / "output").open("wb") as output:
        places = environment.get("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        running = subprocess.Popen(
            ["bash", "-c", f"set -eo pipefail\n{script}"],
            cwd=path,
            env={"HOME": str(path), **environment, "PATH": f"{programs}:{places}"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield running
        finally:
            # The script ends its background programs when it ends; this is for a test that is cut short.
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGTERM)


def said(ended: "subprocess.Popen[bytes]", path: Path) -> str:
    """What a shell has said. Fails if its status is not 0."""
    output = (path / "output").read_text()
    assert ended.wait() == 0, output[-6000:]
    return output
