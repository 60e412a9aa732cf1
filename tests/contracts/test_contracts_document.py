"""docs/contracts.md names tests that exist, for every feature."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from issuer.chain.compiler import CHECKOUT

DOCUMENT = (CHECKOUT / "docs" / "contracts.md").read_text()
ROWS = re.findall(r"^\| (.+) \| (.+) \|$", DOCUMENT.split("<!-- features -->")[1], re.MULTILINE)[2:]


def found(path: Path) -> set[str]:
    """The names of the tests in a file."""
    return set(re.findall(r"^\s*(?:function|def) ((?:test|check|invariant)\w*)\(", path.read_text(), re.MULTILINE))


def file_of(name: str) -> Path:
    """The one test file of this name."""
    paths = [path for folder in ("contracts/test", "tests") for path in (CHECKOUT / folder).rglob(name)]
    assert len(paths) == 1, name
    return paths[0]


@pytest.mark.parametrize(("feature", "tests"), ROWS)
def test_every_feature_has_tests_and_all_of_them_exist(feature: str, tests: str) -> None:
    named = 0
    for part in tests.split("; "):
        file, _, names = part.partition(": ")
        there = found(file_of(file.strip("`")))
        for name in re.findall(r"`([^`]+)`", names):
            named += 1
            assert [test for test in there if fnmatch(test, name)], f"{feature}: {file} has no {name}"
    assert named


def test_every_solidity_test_belongs_to_a_feature() -> None:
    said = " ".join(tests for _, tests in ROWS)
    files = {f"{path.parent.name}/{path.name}" for path in (CHECKOUT / "contracts" / "test").rglob("*.t.sol")}
    assert {name for name in files if name not in said} == set()
