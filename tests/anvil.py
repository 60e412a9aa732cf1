"""A real Anvil for a test: on a free port, mined only when the test says so, ended with the test."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from issuer.chain import anvil
from issuer.chain.node import HttpNode

ROOT = Path(__file__).parents[1]
ETHER = 10**18


class TestChain:
    """The test's own hands on the chain; what is under test reaches it through its URL only."""

    __test__ = False  # not a test class

    def __init__(self, running: anvil.Anvil) -> None:
        self.running = running
        self.url = running.url
        self.node = HttpNode(running.url)

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.node.call("evm_mine")

    def mine_at(self, timestamp: int) -> None:
        """Mine one block of that time, in seconds since 1970."""
        self.node.call("evm_setNextBlockTimestamp", [timestamp])
        self.mine()

    def finalize(self) -> None:
        """Mine until what was mined so far is final, with epochs of one slot."""
        self.mine(3)

    def reorganise(self, depth: int) -> None:
        """Replace the newest blocks by empty ones."""
        self.node.call("anvil_reorg", [depth, []])

    def fund(self, address: str, wei: int = 100 * ETHER) -> None:
        self.node.call("anvil_setBalance", [address, hex(wei)])

    def drop_pool(self) -> None:
        """Forget every transaction that waits to be mined."""
        self.node.call("anvil_dropAllTransactions")

    def number(self) -> int:
        return int(self.node.call("eth_blockNumber"), 16)

    def block(self, number: int) -> dict[str, Any]:
        """A block's header, its time as a number."""
        found: dict[str, Any] = self.node.call("eth_getBlockByNumber", [hex(number), False])
        return found | {"timestamp": int(found["timestamp"], 16)}

    def ask(self, method: str, *params: Any) -> Any:
        return self.node.call(method, params)

    def stop(self) -> None:
        self.node.close()
        self.running.stop()


@contextmanager
def run(*, chain_id: int = 31337, epoch: int = 1, options: Sequence[str] = ()) -> Iterator[TestChain]:
    """Anvil without automatic mining; ``epoch`` in slots, two of which make a block final."""
    fixed = ["--no-mining", "--chain-id", str(chain_id), "--slots-in-an-epoch", str(epoch)]
    chain = TestChain(anvil.start(anvil.executable(ROOT), free_port(), [*fixed, *options]))
    try:
        yield chain
    finally:
        chain.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
