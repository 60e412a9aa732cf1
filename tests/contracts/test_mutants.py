"""The mutants of the contracts, and what is said about those that survive."""

from scripts import mutate
from scripts.mutate import Mutant, Outcome


def mutant(line: int) -> Mutant:
    return Mutant(source="contracts/Minter.sol", line=line, before="if (a < b) c();", after=f"if ({line}) c();")


def test_every_explanation_is_of_a_mutant_that_there_is() -> None:
    there = {mutant.name for mutant in mutate.every(mutate.mutated())}
    assert set(mutate.explained()) - there == set()
    assert all(len(reason) > 40 for reason in mutate.explained().values())


def test_operators_conditions_and_statements_are_changed_one_at_a_time() -> None:
    changed = set(mutate._changes("        if (a < b && c) revert Wrong(a); // why"))
    assert changed == {
        "        if (a <= b && c) revert Wrong(a); // why",
        "        if (a >= b && c) revert Wrong(a); // why",
        "        if (a < b || c) revert Wrong(a); // why",
        "        if (true) revert Wrong(a); // why",
        "        if (false) revert Wrong(a); // why",
    }
    assert set(mutate._changes("        total = total + 1;")) == {"        total = total - 1;", ""}


def test_the_share_counts_what_could_be_killed() -> None:
    outcomes = {
        mutant(1): Outcome.KILLED,
        mutant(2): Outcome.KILLED,
        mutant(3): Outcome.SURVIVED,
        mutant(4): Outcome.SAME,
        mutant(5): Outcome.BROKEN,
    }
    assert mutate.share(outcomes) == 66.6
    assert mutate.unexplained(outcomes) == [mutant(3).name]
    report = mutate.report(outcomes, of=9)
    assert "| contracts/Minter.sol | 3 | 2 | 66.6 % |" in report
    assert "Judged: 5, drawn at random, of 9. 1 did not compile; 1 had the code of" in report
    assert "Not explained." in report


def test_the_published_report_says_enough() -> None:
    text = mutate.REPORT.read_text()
    share = float(text.split("| **all** |")[1].split("|")[2].removesuffix("% ").strip().removesuffix("%"))
    assert share >= mutate.ENOUGH
    assert "Not explained." not in text
