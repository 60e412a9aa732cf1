"""How much of a wrong contract the Solidity tests notice: changes the contracts in one place at a time and runs them.

A mutant is one changed line of contracts/*.sol or contracts/types/*.sol, in a copy of the tree. One that does not
compile, or compiles to the same code, is none.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from queue import Queue
from typing import Any

from issuer.chain.compiler import CHECKOUT, find_solc, standard_json

REPORT = CHECKOUT / "docs" / "mutation.md"
SURVIVORS = CHECKOUT / "docs" / "mutation.toml"
FOLDER = CHECKOUT / "cache" / "mutants"
WORKERS = 2
PATIENCE = 180  # seconds that one run of the tests may take
ENOUGH = 95  # per cent

_SWAPS = (
    (" == ", (" != ",)),
    (" != ", (" == ",)),
    (" < ", (" <= ", " >= ")),
    (" > ", (" >= ", " <= ")),
    (" <= ", (" < ",)),
    (" >= ", (" > ",)),
    (" && ", (" || ",)),
    (" || ", (" && ",)),
    (" + ", (" - ",)),
    (" - ", (" + ",)),
    (" * ", (" / ",)),
    (" % ", (" * ",)),
    (" & ", (" | ",)),
    (" | ", (" & ",)),
    (" << ", (" >> ",)),
    (" >> ", (" << ",)),
    (" restricted ", (" ",)),
    (" slow ", (" ",)),
    (" nonReentrant ", (" ",)),
    ("true", ("false",)),
    ("false", ("true",)),
)
_CONDITION = re.compile(r"\bif \((?P<condition>.*)\)(?= revert| return| continue| \{|$| [_a-z])")
_STATEMENT = re.compile(
    r"^\s+(?!if |return|revert|using|import|\)|[\w.]+ (?:private|public|constant|internal|immutable|memory))\S.*;$"
)
_NO_CODE = re.compile(r"^\s*(//|/\*|\*|import|pragma|using|event|error|function \w+\([^{]*;$|type |library |\}|$)")


class Outcome(StrEnum):
    KILLED = "killed"
    SURVIVED = "survived"
    NONE = "none"  # it does not compile, or to the same code


@dataclass(frozen=True, kw_only=True)
class Mutant:
    source: str  # such as contracts/Minter.sol
    line: int  # from 0
    before: str
    after: str

    @property
    def name(self) -> str:
        """What it is known by, wherever the line is."""
        return f"{self.source}: {self.before.strip()} -> {self.after.strip() or '(nothing)'}"


def every(sources: Iterable[str]) -> list[Mutant]:
    """All mutants of some sources, in order."""
    return [
        Mutant(source=source, line=number, before=line, after=changed)
        for source in sources
        for number, line in enumerate((CHECKOUT / source).read_text().splitlines())
        if not _NO_CODE.match(line)
        for changed in _changes(line)
    ]


def mutated() -> list[str]:
    """The sources that are changed: what is deployed, without its interfaces."""
    folder = CHECKOUT / "contracts"
    paths = [*sorted(folder.glob("*.sol")), *sorted((folder / "types").glob("*.sol"))]
    return [path.relative_to(CHECKOUT).as_posix() for path in paths]


def _changes(line: str) -> Iterator[str]:
    """The line with one operator, one condition or the whole statement changed."""
    code = line.partition(" // ")[0]
    for found, others in _SWAPS:
        for place in re.finditer(re.escape(found), code):
            for other in others:
                yield line[: place.start()] + other + line[place.end() :]
    if condition := _CONDITION.search(code):
        for constant in ("true", "false"):
            yield line[: condition.start("condition")] + constant + line[condition.end("condition") :]
    if _STATEMENT.match(code):
        yield ""


class Bench:
    """A tree of its own, in which the contracts are changed and tested."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("contracts", "scripts"):
            shutil.copytree(CHECKOUT / name, folder / name)
        shutil.copy(CHECKOUT / "foundry.toml", folder)
        (folder / "node_modules").symlink_to(CHECKOUT / "node_modules")
        self._forge("build", timeout=None)
        self._right = {path.stem: self._code(path.stem) for path in (folder / "contracts").glob("*.sol")}
        if not self._passes():
            raise SystemExit("The tests do not pass before anything is changed.")

    def judge(self, mutant: Mutant) -> Outcome:
        built = compiled(mutant)
        if all(self._right.get(name) == code for name, code in built.items()):
            return Outcome.NONE
        source = self._folder / mutant.source
        text = source.read_text()
        lines = text.splitlines()
        lines[mutant.line] = mutant.after
        try:
            source.write_text("\n".join(lines) + "\n")
            self._forge("build", timeout=None)
            return Outcome.SURVIVED if self._passes() else Outcome.KILLED
        finally:
            source.write_text(text)

    def _code(self, name: str) -> str:
        artifact = json.loads((self._folder / "out" / f"{name}.sol" / f"{name}.json").read_text())
        return str(artifact["bytecode"]["object"]).removeprefix("0x")

    def _passes(self) -> bool:
        try:
            said = self._forge("test", "--fail-fast", "--no-match-path", "contracts/test/invariant/*", timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return False
        totals = re.search(r"(\d+) tests? passed, (\d+) failed", said)
        return totals is not None and totals[2] == "0"

    def _forge(self, *arguments: str, timeout: int | None) -> str:
        run = subprocess.run(  # noqa: S603 - the pinned forge
            [str(CHECKOUT / "node_modules" / ".bin" / "forge"), *arguments],
            cwd=self._folder,
            env={**os.environ, "FOUNDRY_DENY": "never", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        return run.stdout


def compiled(mutant: Mutant) -> dict[str, str]:
    """Creation code, hex, by name of each contract that contains the mutant's line; none if it does not compile."""
    wanted = standard_json()
    sources = {name: found["content"] for name, found in wanted["sources"].items()}
    lines = sources[mutant.source].splitlines()
    lines[mutant.line] = mutant.after
    wanted["sources"][mutant.source]["content"] = "\n".join(lines) + "\n"
    touched = [name for name in wanted["settings"]["outputSelection"] if mutant.source in _closure(name, sources)]
    wanted["settings"]["outputSelection"] = {name: {"*": ["evm.bytecode.object"]} for name in touched}
    run = subprocess.run(  # noqa: S603 - the pinned compiler
        [find_solc(), "--standard-json"], input=json.dumps(wanted), capture_output=True, text=True, check=True
    )
    output: dict[str, Any] = json.loads(run.stdout)
    found = {
        name: contract["evm"]["bytecode"]["object"]
        for contracts in output.get("contracts", {}).values()
        for name, contract in contracts.items()
    }
    return {name: code for name, code in found.items() if code}


def _closure(name: str, sources: dict[str, str]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        source = waiting.pop()
        if source not in found:
            found.add(source)
            for imported in re.findall(r'^import\s[^;]*?"(\.[^"]+)"\s*;', sources[source], re.MULTILINE):
                waiting.append(os.path.normpath(PurePosixPath(source).parent / imported))
    return found


def run(mutants: Sequence[Mutant]) -> dict[Mutant, Outcome]:
    """Each mutant's outcome. Says on standard output how far it is."""
    benches: Queue[Bench] = Queue()
    for number in range(min(WORKERS, len(mutants))):
        benches.put(Bench(FOLDER / str(number)))

    def judge(mutant: Mutant) -> Outcome:
        bench = benches.get()
        try:
            outcome = bench.judge(mutant)
        finally:
            benches.put(bench)
        print(f"{outcome:8} {mutant.name}", flush=True)
        return outcome

    with ThreadPoolExecutor(WORKERS) as pool:
        return dict(zip(mutants, pool.map(judge, mutants), strict=True))


def sample(count: int) -> dict[Mutant, Outcome]:
    """The outcomes of some mutants, others each time."""
    return run(random.sample(every(mutated()), count))


def explained() -> dict[str, str]:
    """Why a mutant that survives does no harm, by its name."""
    found = tomllib.loads(SURVIVORS.read_text())
    return {item["mutant"]: item["reason"] for item in found.get("survivors", [])}


def unexplained(outcomes: dict[Mutant, Outcome]) -> list[str]:
    known = explained()
    return [
        mutant.name for mutant, outcome in outcomes.items() if outcome is Outcome.SURVIVED and mutant.name not in known
    ]


def report(outcomes: dict[Mutant, Outcome]) -> str:
    """docs/mutation.md of a whole run."""
    rows = [_share(source, {m: o for m, o in outcomes.items() if m.source == source}) for source in mutated()]
    known = explained()
    survivors = [
        f"- `{mutant.name}`\n  {known.get(mutant.name, 'Not explained.')}"
        for mutant, outcome in outcomes.items()
        if outcome is Outcome.SURVIVED
    ]
    lines = [_INTRODUCTION, "| source | mutants | killed | share |", "| --- | ---: | ---: | ---: |"]
    return "\n".join([*lines, *rows, _share("**all**", outcomes), "", "## Survivors", "", *survivors, ""])


def share(outcomes: dict[Mutant, Outcome]) -> int:
    """Per cent killed, rounded down."""
    counts = list(outcomes.values())
    killed, survived = counts.count(Outcome.KILLED), counts.count(Outcome.SURVIVED)
    return killed * 100 // max(1, killed + survived)


def _share(name: str, outcomes: dict[Mutant, Outcome]) -> str:
    real = [outcome for outcome in outcomes.values() if outcome is not Outcome.NONE]
    return f"| {name} | {len(real)} | {real.count(Outcome.KILLED)} | {share(outcomes)} % |"


_INTRODUCTION = """# Mutants

Written by `make mutate`. A mutant is one line of a contract with one operator, one condition or the whole statement
changed; it is killed when a Solidity test fails, of the units and the fuzzing: the invariants are not asked. Those that
do not compile, or compile to the same code, are not counted.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, help="this many at random, and no report")
    chosen = parser.parse_args().sample
    if chosen:
        outcomes = sample(chosen)
    else:
        outcomes = run(every(mutated()))
        REPORT.write_text(report(outcomes))
    print(f"{share(outcomes)} % killed")
    return int(share(outcomes) < ENOUGH or bool(unexplained(outcomes)))


if __name__ == "__main__":
    sys.exit(main())
