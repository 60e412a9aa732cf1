from collections.abc import Iterator

import pytest

from issuer.chain import anvil
from issuer.chain.compiler import Compilation, compile_contracts
from tests.anvil import ROOT, TestChain, free_port
from tests.contracts.system import System, deploy


@pytest.fixture(scope="session")
def compilation() -> Compilation:
    return compile_contracts()


@pytest.fixture(scope="session")
def deployed(compilation: Compilation) -> Iterator[System]:
    """One chain for all tests of this folder, mining each transaction at once."""
    chain = TestChain(anvil.start(anvil.executable(ROOT), free_port(), ["--chain-id", "31337"]))
    yield deploy(chain, compilation)
    chain.stop()


@pytest.fixture
def system(deployed: System) -> Iterator[System]:
    """The system as it was deployed."""
    snapshot = deployed.chain.ask("evm_snapshot")
    yield deployed
    deployed.chain.ask("evm_revert", snapshot)
