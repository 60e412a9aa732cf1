"""The long proofs of the contracts, one after the other: analysis, symbolic proofs, tests, invariants, mutants.

slither and halmos run in environments of their own (.venv-slither, .venv-halmos), since what they depend on is older
than what the issuer depends on. Nothing is fetched: they use the pinned forge and the compiler of scripts/solc.
"""

import json
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from typing import Any

from issuer.chain.compiler import CHECKOUT, compile_contracts
from scripts import mutate
from scripts.forge import Failed, Forge

ANSWERS = CHECKOUT / "docs" / "slither.toml"
NODE_BIN = CHECKOUT / "node_modules" / ".bin"
CALLS = 500_000
FUZZ_RUNS = 10_000
DEPTH = 1_000
MUTANTS = 12


class Disproved(Exception):  # noqa: N818 - what is found, not an error of the program
    """A proof did not hold, or did not say that it does."""


def run(command: list[str], **environment: str) -> str:
    """What a command prints, on both streams, whatever it ends with."""
    path = f"{NODE_BIN}{os.pathsep}{os.environ['PATH']}"
    found = subprocess.run(  # noqa: S603 - the pinned tools, with our own options
        command,
        cwd=CHECKOUT,
        env={**os.environ, **environment, "PATH": path, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return found.stdout


def _build(name: str) -> dict[str, str]:
    """The environment of a build of its own."""
    return {"FOUNDRY_OUT": f"cache/{name}", "FOUNDRY_CACHE_PATH": f"cache/{name}-forge"}


# slither


def slither() -> str:
    """Every finding above informational has its answer, and every answer its finding. Raises Disproved."""
    build = _build("slither")
    report = CHECKOUT / "cache" / "slither.json"
    report.unlink(missing_ok=True)
    built = run(["forge", "build", "--force", "--build-info", "--skip", "contracts/test/**"], **build)
    tool = [str(CHECKOUT / ".venv-slither" / "bin" / "slither"), ".", "--compile-force-framework", "foundry"]
    built_already = ["--ignore-compile", "--foundry-out-directory", build["FOUNDRY_OUT"]]
    quiet = ["--exclude-informational", "--exclude-optimization", "--filter-paths", "node_modules"]
    said = run([*tool, *built_already, *quiet, "--json", str(report)], **build)
    if not report.exists():
        raise Disproved(f"slither found nothing to look at:\n{built}\n{said}")
    found = findings(json.loads(report.read_text()))
    known = answered(tomllib.loads(ANSWERS.read_text()))
    if found != known:
        raise Disproved(f"without an answer: {sorted(found - known)}; without a finding: {sorted(known - found)}")
    return f"{len(found)} findings, each answered in {ANSWERS.relative_to(CHECKOUT)}"


def findings(report: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(kind, Contract.function) of what slither found. Raises Disproved if it did not finish."""
    if not report["success"]:
        raise Disproved(report["error"])
    return {(item["check"], _place(item["description"])) for item in report["results"].get("detectors", [])}


def answered(answers: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(answer["finding"], place) for answer in answers["answers"] for place in answer["where"]}


def _place(description: str) -> str:
    found = re.search(r"\w+\.\w+", description)
    return found[0] if found else description


# halmos


def halmos() -> str:
    """Every check_ of contracts/test/symbolic holds for all inputs and states. Raises Disproved."""
    tool = [str(CHECKOUT / ".venv-halmos" / "bin" / "halmos"), "--forge-build-out", "cache/halmos", "--no-status"]
    said = run(
        [*tool, "--match-contract", "Proof$", "--default-bytes-lengths", "0,65", "--solver-timeout-assertion", "5m"],
        FOUNDRY_SRC="contracts/test/symbolic",
        **_build("halmos"),
    )
    results = re.findall(r"Symbolic test result: (\d+) passed; (\d+) failed", said)
    # A warning says that something was not looked at: a path given up, or all of them reverted.
    if not results or "WARNING" in said or any(int(failed) for _, failed in results):
        raise Disproved(said)
    return f"{sum(int(passed) for passed, _ in results)} properties proven"


# forge


def tests() -> str:
    """The Solidity tests pass on the deployed bytes. Raises Disproved."""
    result = _deployed().test("--no-match-path", "contracts/test/invariant/*", FOUNDRY_FUZZ_RUNS=str(FUZZ_RUNS))
    if result.failed or result.skipped or not result.passed:
        raise Disproved(result.said)
    return f"{result.passed} pass, those with random input {FUZZ_RUNS:,} times"


def invariants() -> str:
    """The invariants hold over many calls, and every act succeeds in each run. Raises Disproved."""
    result = _deployed().test(
        "--match-path",
        "contracts/test/invariant/*",
        FOUNDRY_INVARIANT_RUNS=str(-(-CALLS // DEPTH)),
        FOUNDRY_INVARIANT_DEPTH=str(DEPTH),
    )
    calls = [int(number) for number in re.findall(r"calls: (\d+)", result.said)]
    if result.failed or result.skipped or not calls or min(calls) < CALLS:
        raise Disproved(result.said)
    return f"{sum(calls):,} calls"


def _deployed() -> Forge:
    """The tests, on the deployed bytes."""
    forge = Forge()
    forge.build()
    forge.put({name: contract.creation_code.hex() for name, contract in compile_contracts().contracts.items()})
    return forge


def mutants() -> str:
    """A sample of mutants is killed, but for those known to survive. Raises Disproved."""
    survivors = mutate.unexplained(mutate.sample(MUTANTS))
    if survivors:
        raise Disproved("\n".join(survivors))
    return f"{MUTANTS} mutants, none survives that is not explained"


def main() -> int:
    failed = False
    for proof in (slither, halmos, tests, invariants, mutants):
        start = time.monotonic()
        try:
            print(f"{proof.__name__}: {proof()} ({time.monotonic() - start:.0f} s)", flush=True)
        except (Disproved, Failed) as error:
            failed = True
            print(f"{proof.__name__}: FAILED\n{error}", file=sys.stderr, flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
