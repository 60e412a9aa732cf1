"""The Solidity tests: units, fuzzing, invariants, on the very bytes that are deployed."""

import sys

from issuer.chain.compiler import Compilation
from scripts.forge import Forge


def test_the_solidity_tests_pass(compilation: Compilation) -> None:
    forge = Forge()
    forge.build()
    forge.put({name: contract.creation_code.hex() for name, contract in compilation.contracts.items()})
    result = forge.test(timeout=600)
    sys.stdout.write(result.said[-20_000:])
    assert result.passed > 240
    assert result.failed == result.skipped == 0
