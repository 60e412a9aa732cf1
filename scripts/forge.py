"""The Solidity tests, run by the pinned forge against any code of the contracts.

The tests make contracts by name (contracts/test/support/Code.sol) from what lies in forge's output folder. So what is
put there is what is tested, and the tests are compiled once: under the deployed bytes, and under mutants of them.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from issuer.chain.compiler import CHECKOUT

OUTPUT = {"default": "out", "quick": "out/quick"}
"""The output folder by profile, as foundry.toml says."""

_TOTALS = re.compile(r"(\d+) tests? passed, (\d+) failed, (\d+) skipped")


class Failed(Exception):  # noqa: N818 - what forge said, not an error of the program
    """forge did not come as far as testing: what it said instead."""


@dataclass(frozen=True, kw_only=True)
class Result:
    passed: int
    failed: int
    skipped: int
    said: str
    """All that forge printed."""


class Forge:
    """The tests of one checkout, or of a copy of it, compiled under one profile of foundry.toml."""

    def __init__(self, folder: Path = CHECKOUT, profile: str = "quick", **environment: str) -> None:
        self._folder = folder
        self._output = folder / OUTPUT[profile]
        self._environment = {**os.environ, "NO_COLOR": "1", **environment, "FOUNDRY_PROFILE": profile}

    def build(self) -> None:
        """Compile what has changed. Raises Failed."""
        run = self._run("build")
        if run.returncode:
            raise Failed(run.stdout + run.stderr)

    def put(self, code: Mapping[str, str]) -> None:
        """Test this creation code, hex by name of the contract, in the place of what forge compiled."""
        for name, creation_code in code.items():
            for artifact in self._output.glob(f"*/{name}.json"):
                found = json.loads(artifact.read_text())
                found["bytecode"]["object"] = f"0x{creation_code}"
                artifact.write_text(json.dumps(found))

    def test(self, *options: str, timeout: float | None = None, **environment: str) -> Result:
        """Raises Failed, and subprocess.TimeoutExpired after ``timeout`` seconds."""
        # A run of the invariants that did too little is kept, cut to a call that does less, and would fail for ever.
        shutil.rmtree(self._folder / "cache" / "invariant", ignore_errors=True)
        run = self._run("test", *options, timeout=timeout, environment=environment)
        totals = _TOTALS.search(run.stdout)
        if totals is None:
            raise Failed(run.stdout + run.stderr)
        passed, failed, skipped = map(int, totals.groups())
        return Result(passed=passed, failed=failed, skipped=skipped, said=run.stdout)

    def _run(
        self, *arguments: str, timeout: float | None = None, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - the pinned forge
            [executable(), *arguments],
            cwd=self._folder,
            env={**self._environment, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )


def executable() -> Path:
    """The forge that npm installed for this machine, without the wrapper that hides how it ended. Raises Failed."""
    found = next((CHECKOUT / "node_modules" / "@foundry-rs").glob("forge-*/bin/forge"), None)
    if found is None:
        raise Failed("forge is not installed: run `make install`.")
    return found
