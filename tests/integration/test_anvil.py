"""The local chain of a home: the same chain again, however it ended."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from issuer.chain import anvil, rpc
from issuer.chain.anvil import Anvil, HomeChain
from issuer.chain.node import HttpNode
from issuer.chain.signer import LocalSigner
from issuer.errors import Misconfigured
from tests.anvil import ROOT, free_port


@pytest.fixture
def home(tmp_path: Path) -> HomeChain:
    return HomeChain(tmp_path / "chain", anvil.executable(ROOT), free_port())


@pytest.fixture
def running(home: HomeChain) -> Iterator[list[Anvil]]:
    """The chain's processes; the last one is ended with the test."""
    found = [home.open()]
    yield found
    found[-1].stop()


def pay(node: HttpNode, nonce: int) -> str:
    fields = {"chainId": anvil.CHAIN_ID, "nonce": nonce, "to": "0x" + "11" * 20, "value": 1, "data": "0x"}
    fees = {"gas": 21_000, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 10**9}
    signed = LocalSigner(anvil.FAUCET_KEY).sign_transaction(fields | fees)
    assert rpc.broadcast(node, signed.raw) is None
    return signed.hash


def until_final(home: HomeChain, node: HttpNode, hash_: str) -> rpc.Block:
    """Wait until a transaction is final, as the program that runs the chain does: keeping its state."""
    for _ in range(100):
        home.keep()
        receipt, final = rpc.receipt(node, hash_), rpc.block(node, "finalized")
        if receipt and final and receipt.block_number <= final.number:
            return final
        time.sleep(0.1)
    raise AssertionError("the transaction did not become final")


def test_the_same_chain_goes_on_however_it_ended(home: HomeChain, running: list[Anvil], tmp_path: Path) -> None:
    node = HttpNode(running[0].url)
    genesis = rpc.block(node, 0)
    paid: list[str] = []
    for ending in ("cleanly", "killed", "killed while it wrote"):
        paid.append(pay(node, len(paid)))
        final = until_final(home, node, paid[-1])
        end(running[-1], ending, tmp_path / "chain" / "anvil.json")
        running.append(home.open())
        assert rpc.block(node, 0) == genesis, ending
        assert rpc.block(node, final.number) == final, ending
        assert all(rpc.receipt(node, hash_) for hash_ in paid), ending
        assert rpc.balance(node, "0x" + "11" * 20) == len(paid), ending
        assert rpc.nonce(node, LocalSigner(anvil.FAUCET_KEY).address) == len(paid), ending
    node.close()


def end(chain: Anvil, how: str, state: Path) -> None:
    if how == "cleanly":
        chain.stop()
        return
    os.kill(chain.process.pid, signal.SIGKILL)
    chain.process.wait()
    if how == "killed while it wrote":
        body = state.read_bytes()
        state.write_bytes(body[: len(body) // 2])


def test_a_taken_port_is_said_plainly(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"port {port} is taken"):
            HomeChain(tmp_path / "chain", anvil.executable(ROOT), port).open()


def test_a_missing_anvil_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="not installed"):
        anvil.executable(tmp_path)


def test_the_oldest_genesis_is_the_chain_s() -> None:
    def block(number: int, timestamp: int) -> dict[str, dict[str, str]]:
        return {"header": {"number": hex(number), "timestamp": hex(timestamp)}}

    others = [block(1, 101), block(2, 102)]
    state = {"blocks": [block(0, 150), *others, block(0, 100), block(0, 120)], "accounts": {}}
    mended = json.loads(anvil.with_one_genesis(json.dumps(state).encode()))
    assert mended == {"blocks": [*others, block(0, 100)], "accounts": {}}


@pytest.mark.parametrize(("body", "whole"), [(b"{}", True), (b'{"a": [1]}', True), (b"", False), (b'{"a": [1', False)])
def test_half_a_state_is_told_from_a_whole_one(body: bytes, whole: bool) -> None:
    assert anvil.is_whole(body) is whole
