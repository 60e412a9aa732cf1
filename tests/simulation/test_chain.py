"""The simulated chain and node beside a real Anvil: to the same signed bytes, the same answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from issuer.chain import fees, rpc
from issuer.chain.anvil import CHAIN_ID
from issuer.chain.compiler import CHECKOUT, compile_contracts
from issuer.chain.deployer import Deployer
from issuer.chain.deployment import SPEAKING, Deployment
from issuer.chain.network import Network
from issuer.chain.node import Node, NodeError
from issuer.chain.rpc import Call, Log
from issuer.chain.signer import LocalSigner
from issuer.chain.wiring import Table
from issuer.messages import contracts
from issuer.messages.contracts import TOKEN
from issuer.messages.report import Report, digest
from tests import anvil
from tests.anvil import TestChain
from tests.clock import START
from tests.sandbox import ATTESTORS, CNH, PARAMETERS
from tests.simulation.chain import Chain
from tests.simulation.node import SimulatedNode
from tests.simulation.stage import Keys

A, B = LocalSigner(b"\xaa" * 32), LocalSigner(b"\xbb" * 32)
NETWORK = Network(chain_id=CHAIN_ID, genesis="0x" + "11" * 32, name="either")
"""A genesis of neither, so that both get the same addresses."""


class Place(NamedTuple):
    """One chain of the two, with a hand that mines."""

    node: Node
    mine: Any


class Both:
    """Two chains on which everything is done alike."""

    def __init__(self, real: TestChain, folder: Path) -> None:
        self.time = START
        simulated = Chain(genesis_time=START)
        self.places = (Place(real.node, real.mine_at), Place(SimulatedNode(simulated), simulated.mine))
        deployed = [self._deploy(place, folder / str(index)) for index, place in enumerate(self.places)]
        self.deployment: Deployment = deployed[0]
        assert deployed[0] == deployed[1]
        for holder in (A, B):
            real.fund(holder.address)
            simulated.fund(holder.address, 100 * anvil.ETHER)

    def _deploy(self, place: Place, folder: Path) -> Deployment:
        compilation, table = compile_contracts(), Table(CHECKOUT / "contracts" / "roles.toml")
        deployer = Deployer(place.node, NETWORK, Keys(), PARAMETERS, compilation, table, folder, folder)
        times = iter(range(START + 1, START + 100))
        made = deployer.run(lambda: place.mine(next(times)))
        self.time = max(self.time, next(times))
        return made

    def same(self, ask: Any) -> Any:
        """What both answer to a question, which must be the same."""
        real, simulated = (_answer(ask, place.node) for place in self.places)
        assert simulated == real
        return real

    def send(self, signer: LocalSigner, target: str, data: str, *, nonce: int | None = None, fee: int = 10**11) -> str:
        """The hash of a call that both chains have taken."""
        fields = {
            "chainId": CHAIN_ID,
            "nonce": self.same(lambda node: rpc.nonce(node, signer.address)) if nonce is None else nonce,
            "to": target,
            "value": 0,
            "data": data,
            "gas": 1_000_000,
            "maxFeePerGas": fee,
            "maxPriorityFeePerGas": fee // 10,
        }
        signed = signer.sign_transaction(fields)
        self.same(lambda node: rpc.broadcast(node, signed.raw) is None)
        return signed.hash

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.time += 12
            for place in self.places:
                place.mine(self.time)

    def settle(self, signer: LocalSigner, target: str, data: str) -> bool:
        """Send, mine, and compare what came of it; whether it succeeded."""
        sent = self.send(signer, target, data)
        self.mine()
        return bool(self.same(lambda node: _told(rpc.receipt(node, sent))).succeeded)


class Told(NamedTuple):
    block: int
    succeeded: bool


def _told(receipt: rpc.Receipt | None) -> Told:
    assert receipt is not None
    return Told(receipt.block_number, receipt.succeeded)


def _answer(ask: Any, node: Node) -> Any:
    try:
        return ask(node)
    except NodeError as refusal:
        return contracts.decode_error(refusal.data) if refusal.data else "refused"


def _plain(log: Log) -> tuple[Any, ...]:
    return log.block_number, log.index, log.address, log.topics, log.data


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    # The faucet's balance and the base fees differ, and nothing depends on them.
    with anvil.run(options=["--timestamp", str(START)]) as real:
        yield Both(real, tmp_path)


def _report(both: Both, number: int, reserve: int) -> str:
    report = Report(
        token=both.deployment.token,
        number=number,
        reserve=reserve,
        paid=0,
        credited=reserve,
        as_of=both.time - 1,
        log_root="0x" + "22" * 32,
        log_size=number,
    )
    hashed = digest(report, CHAIN_ID, both.deployment.feed)
    return contracts.post_call(report.message, [signer.sign_digest(hashed) for signer in ATTESTORS])


def test_the_same_transactions_have_the_same_answers(both: Both) -> None:
    keys, made = Keys(), both.deployment
    sender, registrar = keys.signer("sender"), keys.signer("registrar")
    verify = TOKEN.call("verify", [A.address, B.address])
    mint = contracts.mint_call(1, "0x" + "33" * 32, [[A.address, 5 * CNH], [B.address, 2 * CNH]])

    def simulated(node: Node) -> list[tuple[bool, str]]:
        calls = [
            Call(sender=sender.address, target=made.minter, data=mint),
            Call(sender=A.address, target=made.token, data=TOKEN.call("transfer", B.address, CNH)),
            Call(sender=A.address, target=made.token, data=TOKEN.call("nextNumber")),
        ]
        return [(item.succeeded, item.data) for item in rpc.simulate(node, calls, rpc.head(node).number)]

    assert not both.settle(sender, made.minter, mint)
    assert both.settle(registrar, made.token, verify)
    assert both.settle(sender, made.feed, _report(both, 1, 7 * CNH))
    assert [done for done, _ in both.same(simulated)] == [True, True, True]
    assert both.settle(sender, made.minter, mint)
    assert [done for done, _ in both.same(simulated)] == [False, True, True]
    assert both.settle(A, made.token, TOKEN.call("transfer", B.address, 4 * CNH))
    assert not both.settle(A, made.token, TOKEN.call("transfer", B.address, 4 * CNH))
    assert both.settle(B, made.token, TOKEN.call("redeem", 6 * CNH, "0x" + "00" * 32))

    addresses = [made.address(name) for name in SPEAKING]
    logs = both.same(lambda node: [_plain(log) for log in rpc.logs(node, addresses, 0, rpc.head(node).number)])
    assert len(logs) > 50

    def block_by_block(node: Node) -> list[Any]:
        blocks = [rpc.block(node, number) for number in range(rpc.head(node).number + 1)]
        with_logs = [block for block in blocks if block and any(map(block.may_have_logs_of, addresses))]
        return [_plain(log) for block in with_logs for log in rpc.block_logs(node, block, addresses)]

    assert both.same(block_by_block) == logs
    for data in (TOKEN.call("totalSupply"), TOKEN.call("redeemed"), TOKEN.call("balanceOf", B.address)):
        both.same(lambda node, data=data: rpc.read(node, made.token, data))
    both.same(lambda node: rpc.read(node, made.token, TOKEN.call("resume", 1, 0)))
    for signer in (sender, registrar, A, B):
        both.same(lambda node, signer=signer: rpc.nonce(node, signer.address))


def test_blocks_and_what_is_not_there_are_told_alike(both: Both) -> None:
    both.mine(4)
    head = both.same(lambda node: rpc.head(node).number)
    for place in ("latest", "finalized", head - 1, 0):
        both.same(lambda node, place=place: getattr(rpc.block(node, place), "number", None))
        both.same(lambda node, place=place: getattr(rpc.block(node, place), "timestamp", None) if place else None)
    assert both.same(lambda node: rpc.block(node, head + 1)) is None
    assert both.same(lambda node: rpc.block(node, "0x" + "00" * 32)) is None
    assert both.same(lambda node: rpc.senders(node, head + 1)) is None
    assert both.same(lambda node: rpc.receipt(node, "0x" + "00" * 32)) is None
    assert both.same(lambda node: rpc.logs(node, [both.deployment.token], head, head + 5)) == []
    assert both.same(lambda node: node.call("eth_getBlockReceipts", ["0x" + "00" * 32])) is None
    assert both.same(lambda node: rpc.nonce(node, A.address, head + 1)) == "refused"
    both.same(lambda node: rpc.code(node, both.deployment.token))
    both.same(lambda node: isinstance(fees.suggest(node, 10**12).max_fee, int))


def test_the_pools_take_and_refuse_alike(both: Both) -> None:
    made = both.deployment
    transfer = TOKEN.call("transfer", B.address, 0)
    first = both.send(A, made.token, transfer, nonce=0)
    again = both.send(A, made.token, transfer, nonce=0)
    assert again == first
    both.send(A, made.token, transfer, nonce=0, fee=9 * 10**10)  # replaces only if it offers more
    both.mine()
    assert both.same(lambda node: rpc.receipt(node, first) is not None)
    both.send(A, made.token, transfer, nonce=0, fee=10**12)  # the nonce is used
    low = both.send(A, made.token, transfer, nonce=1)
    high = both.send(A, made.token, transfer, nonce=1, fee=2 * 10**11)
    gap = both.send(A, made.token, transfer, nonce=3)
    both.mine()
    assert both.same(lambda node: [rpc.receipt(node, sent) is None for sent in (low, high, gap)]) == [True, False, True]
    assert both.same(lambda node: rpc.senders(node, rpc.head(node).number)[1]) == [(A.address, 1, high)]  # type: ignore[index]
    assert both.same(lambda node: rpc.nonce(node, A.address)) == 2
