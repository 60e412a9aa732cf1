"""An attestor that is a contract: a real Safe, whose own word the verifier asks for (ERC-1271)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from web3 import Web3
from web3.contract import Contract

from issuer import verify
from issuer.messages.contracts import FEED
from issuer.operations import powers
from issuer.verify import Statement, Unknown, Verdict
from tests import anvil, stranger
from tests.anvil import ROOT
from tests.world import World

ARTIFACTS = ROOT / "node_modules" / "@safe-global" / "safe-smart-account" / "build" / "artifacts" / "contracts"
OWNER = Account.from_key(b"\x5a" * 32)
OFFLINE = Web3()


class Attested:
    """A world whose latest report the bank and the Safe have signed, and its records."""

    def __init__(self, world: World, path: Path) -> None:
        self.world = world
        self.safe = safe(world)
        add_attestor(world, self.safe.address)
        bank = world.bank._key
        assert bank is not None
        parties = sorted(((bank.address, bank.sign), (self.safe.address, self.sign)), key=lambda item: int(item[0], 16))
        self.sent = stranger.forge_report(world, [sign for _, sign in parties], [address for address, _ in parties])
        self.signatures = stranger.signatures_of(world, [sign for _, sign in parties])
        self._path = path

    def sign(self, digest: bytes) -> bytes:
        """The Safe's address, then its owner's signature of the Safe's own message about the digest."""
        message = self.safe.functions.getMessageHash(digest.rjust(32, b"\0")).call()
        return bytes.fromhex(self.safe.address[2:]) + bytes(OWNER.unsafe_sign_hash(message).signature)

    def check(self, signatures: list[str] | None = None, node: verify.Node | None = None) -> Verdict:
        world = self.world
        told = stranger.tell_report(world, self.sent, signatures or self.signatures)
        log = stranger.publish(self._path, [*stranger.bodies(world), *told], stranger.signer(world))
        key = verify.Key.parse(stranger.vkey(world))
        asked = node or verify.Node(world.chain.url)
        source = verify.Source(str(log))
        verdict, _ = verify.verify(asked, source, world.token, key, seen=None, grace=0, say=lambda _: None)
        return verdict


@pytest.fixture(scope="module")
def attested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attested]:
    path = tmp_path_factory.mktemp("world")
    with anvil.run() as chain:
        world = World.create(path, chain)
        world.turn()
        world.until(lambda: stranger.latest_report(world)["number"] > 0)
        world.turn()
        yield Attested(world, path / "told")
        world.close()


def safe(world: World) -> Contract:
    """A Safe of one owner."""
    singleton, handler, proxies = (
        create(world, name, folder)
        for name, folder in (("Safe", ""), ("CompatibilityFallbackHandler", "handler"), ("SafeProxyFactory", "proxies"))
    )
    setup = singleton.encode_abi(
        "setup", [[OWNER.address], 1, verify.ZERO, b"", handler.address, verify.ZERO, 0, verify.ZERO]
    )
    made = Web3(Web3.HTTPProvider(world.chain.url))
    call = proxies.functions.createProxyWithNonce(singleton.address, setup, 1)
    address = made.eth.contract(proxies.address, abi=proxies.abi).functions.createProxyWithNonce(*call.args).call()
    stranger.send_as(world, world.issuer.deployment.keys["deployer"], proxies.address, call._encode_transaction_data())
    found: Contract = made.eth.contract(address, abi=[*singleton.abi, *handler.abi])
    return found


def create(world: World, name: str, folder: str) -> Contract:
    artifact = json.loads((ARTIFACTS / folder / f"{name}.sol" / f"{name}.json").read_text())
    sent = stranger.send_as(world, world.issuer.deployment.keys["deployer"], None, artifact["bytecode"])
    address = Web3.to_checksum_address(world.chain.ask("eth_getTransactionReceipt", sent)["contractAddress"])
    return OFFLINE.eth.contract(address, abi=artifact["abi"])


def add_attestor(world: World, address: str) -> None:
    """The slow act, from its proposal to the record of its end."""
    version = FEED.output("attestorSet", read(world, "attestorSet"))["version"]
    with world.issuer.store.unit("add", "operator:test") as unit:
        act = FEED.call("addAttestor", version, address)
        powers.propose(unit, contract="feed", act=act, case="A-1")
    world.until(lambda: FEED.output("attestorSet", read(world, "attestorSet"))["count"] == 3)
    world.turn()
    world.turn()


def read(world: World, view: str) -> str:
    called = {"to": world.issuer.deployment.feed, "data": FEED.call(view)}
    return str(world.chain.ask("eth_call", called, "latest"))


def test_a_contract_s_signature_counts(attested: Attested) -> None:
    verdict = attested.check()
    assert verdict.failure == ""
    assert (verdict.quorum, verdict.changes, verdict.contracts) == ("2 of 3", 1, 1)


def test_tamper_with_a_contract_s_signature(attested: Attested) -> None:
    """The owner signed something else: the Safe reverts, and says why."""
    wrong = bytes(OWNER.unsafe_sign_hash(bytes(32)).signature).hex()
    address = attested.safe.address[2:].lower()
    signatures = [f"0x{address}{wrong}" if address in given else given for given in attested.signatures]
    verdict = attested.check(signatures)
    assert verdict.statement == Statement.ATTESTED
    assert f"the attestor 0x{address}, a contract, does not stand by its signature of report" in verdict.failure


class Forgetful(verify.Node):
    """Keeps no state of old blocks, as most public nodes."""

    def ask(self, method: str, *params: Any) -> Any:
        last = super().ask("eth_blockNumber")
        if method in ("eth_call", "eth_getCode") and params[1] not in ("latest", last):
            raise Unknown("missing trie node")
        return super().ask(method, *params)


def test_a_node_without_old_states_may_say_that_the_contract_stands_by_it_now(attested: Attested) -> None:
    verdict = attested.check(node=Forgetful(attested.world.chain.url))
    assert (verdict.failure, verdict.contracts) == ("", 1)
    assert verdict.first_block == 0  # where the contracts came to be is not known either


def test_what_a_contract_said_then_is_not_undone_by_what_it_says_now(attested: Attested) -> None:
    """And a node that knows only now knows nothing."""
    chain = attested.world.chain
    snapshot = chain.ask("evm_snapshot")
    chain.ask("anvil_setCode", attested.safe.address, "0x")
    chain.mine()
    assert attested.check().failure == ""
    with pytest.raises(Unknown, match="needs a node that keeps old states"):
        attested.check(node=Forgetful(chain.url))
    assert chain.ask("evm_revert", snapshot)
