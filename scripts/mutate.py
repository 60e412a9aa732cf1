"""How much of a wrong contract the Solidity tests notice: changes the contracts in one place at a time and runs them.

A mutant is one changed line of contracts/*.sol or contracts/types/*.sol. Only the contracts it touches are compiled, by
a compiler that stays warm and does not optimize, and put where the tests, compiled once, find them. A mutant that does
not compile is none, nor is one whose code is that of the contracts or of another mutant.

They are judged in an order drawn from a seed, so that those judged when the time is over are a fair sample. What was
killed is kept in cache/mutants until a contract changes; what survived is judged again, since tests may have come.
"""

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from queue import Queue
from typing import Any, TextIO, cast

from issuer.chain.compiler import CHECKOUT, SETTINGS, SOLC_VERSION, standard_json
from scripts.forge import Forge

REPORT = CHECKOUT / "docs" / "mutation.md"
SURVIVORS = CHECKOUT / "docs" / "mutation.toml"
FOLDER = CHECKOUT / "cache" / "mutants"
WORKERS = 2
PATIENCE = 120  # seconds that one run of the tests may take
ENOUGH = 95  # per cent
SEED = 1

# Into this test the packed words are compiled, as into the contracts.
WORDS = ("contracts/test/fuzz/Words.t.sol", "contracts/test/support/Vm.sol")

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
    (" ^ ", (" & ",)),
    (" << ", (" >> ",)),
    (" >> ", (" << ",)),
    (" restricted ", (" ",)),
    (" slow ", (" ",)),
    (" nonReentrant ", (" ",)),
    ("++", ("--",)),
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
    SAME = "same"  # as the contract, or as another mutant
    BROKEN = "broken"  # it does not compile


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

    @property
    def key(self) -> str:
        """What it is known by while the contracts stay the same."""
        return f"{self.source}:{self.line + 1}: {self.after}"


# What is changed


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


# What it compiles to


class Compiler:
    """A compiler that stays, since starting one costs more than compiling."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - the pinned compiler
            [CHECKOUT / "scripts" / "solc", "--standard-json-lines"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._stdin, self._stdout = cast(TextIO, self._process.stdin), cast(TextIO, self._process.stdout)
        deployable = standard_json()
        self._sources = {name: found["content"] for name, found in deployable["sources"].items()}
        self._sources |= {name: (CHECKOUT / name).read_text() for name in WORDS}
        self._targets = [*deployable["settings"]["outputSelection"], WORDS[0]]

    def close(self) -> None:
        self._process.communicate()

    def code(self, mutant: Mutant, *, optimized: bool) -> dict[str, str]:
        """Creation code, hex, by name of each contract that contains the mutant's line; none if it does not compile."""
        lines = self._sources[mutant.source].splitlines()
        lines[mutant.line] = mutant.after
        return self._code({**self._sources, mutant.source: "\n".join(lines) + "\n"}, mutant.source, optimized)

    def right(self, source: str, *, optimized: bool) -> dict[str, str]:
        """Creation code, hex, by name of each contract that contains a source, unchanged."""
        return self._code(self._sources, source, optimized)

    def _code(self, sources: Mapping[str, str], changed: str, optimized: bool) -> dict[str, str]:
        closures = {target: _closure(target, sources) for target in self._targets}
        targets = {target: names for target, names in closures.items() if changed in names}
        needed = sorted({name for closure in targets.values() for name in closure})
        output = self._ask(
            {
                "language": "Solidity",
                "sources": {name: {"content": sources[name]} for name in needed},
                "settings": {
                    **SETTINGS,
                    "optimizer": {**SETTINGS["optimizer"], "enabled": optimized},
                    "outputSelection": {target: {"*": ["evm.bytecode.object"]} for target in targets},
                },
            }
        )
        found = {
            name: contract["evm"]["bytecode"]["object"]
            for contracts in output.get("contracts", {}).values()
            for name, contract in contracts.items()
        }
        return {name: code for name, code in found.items() if code}

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        self._stdin.write(json.dumps(question) + "\n")
        self._stdin.flush()
        answer: dict[str, Any] = json.loads(self._stdout.readline())
        return answer


def _closure(name: str, sources: Mapping[str, str]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        source = waiting.pop()
        if source not in found:
            found.add(source)
            for imported in re.findall(r'^import\s[^;]*?"([^"]+)"\s*;', sources[source], re.MULTILINE):
                near = os.path.normpath(PurePosixPath(source).parent / imported)
                waiting.append(near if imported.startswith(".") else imported)
    return found


# How it is judged


@dataclass(frozen=True, kw_only=True)
class Verdict:
    outcome: Outcome
    code: str  # SHA-256 of what it compiles to, hex
    by: str  # the test that killed it


class Bench:
    """A tree of its own, in which the tests run on mutants: a copy of one in which they are compiled."""

    def __init__(self, folder: Path, built: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(built, folder, symlinks=True)
        # Nothing is compiled from here on; forge asks for no more than the compiler's version, a second each time.
        stub = folder / "solc"
        stub.write_text(f"#!/bin/sh\n[ \"$1\" = --version ] && echo 'Version: {SOLC_VERSION}.Emscripten.clang'\n")
        stub.chmod(0o755)
        self._forge = Forge(folder, FOUNDRY_SOLC=str(stub))
        self._compiler = Compiler()
        self._right: dict[tuple[str, bool], dict[str, str]] = {}
        if self._killer() is not None:
            raise SystemExit("The tests do not pass before anything is changed.")

    def close(self) -> None:
        self._compiler.close()

    def judge(self, mutant: Mutant, seen: "Seen") -> Verdict:
        code = self._compiler.code(mutant, optimized=False)
        digest = hashlib.sha256(json.dumps(code, sort_keys=True).encode()).hexdigest()
        if not code:
            return Verdict(outcome=Outcome.BROKEN, code=digest, by="")
        right = self._rightly(mutant.source, optimized=False)
        if _deployed(code) == _deployed(right) or not seen.first(digest, mutant):
            return Verdict(outcome=Outcome.SAME, code=digest, by="")
        self._forge.put(code)
        try:
            killer = self._killer()
        finally:
            self._forge.put(right)
        if killer is None and _deployed(self._compiler.code(mutant, optimized=True)) == _deployed(
            self._rightly(mutant.source, optimized=True)
        ):
            return Verdict(outcome=Outcome.SAME, code=digest, by="")
        return Verdict(outcome=Outcome.KILLED if killer else Outcome.SURVIVED, code=digest, by=killer or "")

    def _rightly(self, source: str, *, optimized: bool) -> dict[str, str]:
        key = (source, optimized)
        if key not in self._right:
            self._right[key] = self._compiler.right(source, optimized=optimized)
        return self._right[key]

    def _killer(self) -> str | None:
        """The first test that fails, by name; None if all pass."""
        try:
            result = self._forge.test("--fail-fast", "--no-match-path", "contracts/test/invariant/*", timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return "(time)"
        failed = re.search(r"\[FAIL[^\n]*\] (\w+)\(", result.said)
        return (failed[1] if failed else "(setup)") if result.failed else None


def built(folder: Path) -> Path:
    """A tree in which the tests are compiled."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("contracts", "scripts"):
        shutil.copytree(CHECKOUT / name, folder / name)
    shutil.copy(CHECKOUT / "foundry.toml", folder)
    (folder / "node_modules").symlink_to(CHECKOUT / "node_modules")
    Forge(folder).build()
    return folder


def _deployed(code: Mapping[str, str]) -> dict[str, str]:
    return {name: found for name, found in code.items() if name != "WordsTest"}


class Seen:
    """Which mutant was the first of its code. Safe for several threads."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._lock = threading.Lock()

    def first(self, digest: str, mutant: Mutant) -> bool:
        with self._lock:
            return self._first.setdefault(digest, mutant.key) == mutant.key


class Journal:
    """The verdicts on these contracts, one a line: a run that is stopped goes on. Safe for several threads."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        texts = [(CHECKOUT / source).read_text() for source in mutated()]
        self._path = folder / f"{hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]}.jsonl"
        self._lock = threading.Lock()

    def read(self) -> dict[str, Verdict]:
        """The last verdict by key of the mutant."""
        if not self._path.exists():
            return {}
        lines = [json.loads(line) for line in self._path.read_text().splitlines()]
        return {
            line["mutant"]: Verdict(outcome=Outcome(line["outcome"]), code=line["code"], by=line["by"])
            for line in lines
        }

    def write(self, mutant: Mutant, verdict: Verdict) -> None:
        line = {"mutant": mutant.key, "outcome": verdict.outcome, "code": verdict.code, "by": verdict.by}
        with self._lock, self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def run(mutants: Sequence[Mutant], folder: Path, minutes: float | None = None) -> dict[Mutant, Outcome]:
    """Outcomes of the mutants, in their order, as far as the minutes go. Says on standard output how far it is.

    ``folder`` is worked in, and keeps the verdicts.
    """
    journal, seen = Journal(folder), Seen()
    verdicts = journal.read()
    known = {mutant: verdicts[mutant.key] for mutant in mutants if mutant.key in verdicts}
    for mutant, verdict in known.items():
        if verdict.outcome in (Outcome.KILLED, Outcome.SURVIVED):
            seen.first(verdict.code, mutant)
    settled = {mutant: verdict.outcome for mutant, verdict in known.items() if verdict.outcome is not Outcome.SURVIVED}
    waiting = [mutant for mutant in mutants if mutant not in settled]
    # First those that survived an earlier run: they are why there is another.
    waiting.sort(key=lambda mutant: mutant not in known)
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    benches: Queue[Bench] = Queue()
    template = built(folder / "built")
    for number in range(WORKERS):
        benches.put(Bench(folder / str(number), template))

    def judge(mutant: Mutant) -> Outcome | None:
        if time.monotonic() > end:
            return known[mutant].outcome if mutant in known else None
        bench = benches.get()
        try:
            verdict = bench.judge(mutant, seen)
        finally:
            benches.put(bench)
        journal.write(mutant, verdict)
        print(f"{verdict.outcome:8} {mutant.name}  {verdict.by}", flush=True)
        return verdict.outcome

    with ThreadPoolExecutor(WORKERS) as pool:
        judged = dict(zip(waiting, pool.map(judge, waiting), strict=True))
    while not benches.empty():
        benches.get().close()
    found = settled | {mutant: outcome for mutant, outcome in judged.items() if outcome}
    return {mutant: found[mutant] for mutant in mutants if mutant in found}


def shuffled(seed: int = SEED) -> list[Mutant]:
    """All mutants, in an order that says nothing of them."""
    found = every(mutated())
    random.Random(seed).shuffle(found)  # noqa: S311 - a sample, not a secret
    return found


def sample(count: int) -> dict[Mutant, Outcome]:
    """The outcomes of some mutants, others each time, whatever is known of them."""
    with tempfile.TemporaryDirectory() as folder:
        return run(random.sample(every(mutated()), count), Path(folder))


# What is said about it


def explained() -> dict[str, str]:
    """Why a mutant that survives does no harm, by its name."""
    found = tomllib.loads(SURVIVORS.read_text())
    return {item["mutant"]: " ".join(item["reason"].split()) for item in found.get("survivors", [])}


def unexplained(outcomes: Mapping[Mutant, Outcome]) -> list[str]:
    known = explained()
    return [
        mutant.name for mutant, outcome in outcomes.items() if outcome is Outcome.SURVIVED and mutant.name not in known
    ]


def report(outcomes: Mapping[Mutant, Outcome], of: int) -> str:
    """docs/mutation.md, of those judged of so many."""
    counts = Counter(outcomes.values())
    known = explained()
    survivors = sorted(
        f"- `{mutant.name}`\n  {known.get(mutant.name, 'Not explained.')}"
        for mutant, outcome in outcomes.items()
        if outcome is Outcome.SURVIVED
    )
    extent = "all" if len(outcomes) == of else f"{len(outcomes)}, drawn at random,"
    lines = [
        _INTRODUCTION,
        f"Judged: {extent} of {of}. {counts[Outcome.BROKEN]} did not compile; {counts[Outcome.SAME]} had the code of",
        f"the contracts or of another mutant. Of the other {counts[Outcome.KILLED] + counts[Outcome.SURVIVED]}:",
        "",
        "| source | mutants | killed | share |",
        "| --- | ---: | ---: | ---: |",
        *[_row(source, {m: o for m, o in outcomes.items() if m.source == source}) for source in mutated()],
        _row("**all**", outcomes),
        "",
        "## Survivors",
        "",
        *survivors,
    ]
    return "\n".join(lines).rstrip() + "\n"


def share(outcomes: Mapping[Mutant, Outcome]) -> float:
    """Per cent killed, rounded down to a tenth."""
    counts = Counter(outcomes.values())
    return counts[Outcome.KILLED] * 1000 // max(1, counts[Outcome.KILLED] + counts[Outcome.SURVIVED]) / 10


def _row(name: str, outcomes: Mapping[Mutant, Outcome]) -> str:
    counts = Counter(outcomes.values())
    real = counts[Outcome.KILLED] + counts[Outcome.SURVIVED]
    return f"| {name} | {real} | {counts[Outcome.KILLED]} | {f'{share(outcomes)} %' if real else ''} |"


_INTRODUCTION = """# Mutants

Written by `make mutate`. A mutant is one line of a contract with one operator, one condition or the whole statement
changed; it is killed when a Solidity test fails, of the units and the fuzzing: the invariants, the proofs and the tests
in Python are not asked.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, help="judge no more when these are over")
    mutants = shuffled()
    outcomes = run(mutants, FOLDER, parser.parse_args().minutes)
    REPORT.write_text(report(outcomes, len(mutants)))
    print(f"{share(outcomes)} % of {len(outcomes)} killed")
    return int(share(outcomes) < ENOUGH or bool(unexplained(outcomes)))


if __name__ == "__main__":
    sys.exit(main())
