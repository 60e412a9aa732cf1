"""Deployment on a real Anvil: planned, resumable, the same twice, and on a public testnet's terms."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from issuer import crash
from issuer.chain import create2, rpc
from issuer.chain.deployer import FUNDED, State
from issuer.chain.deployer import Item as Line
from issuer.chain.deployment import load
from issuer.chain.keystore import MINTING, Job, Keystore
from issuer.chain.node import HttpNode
from issuer.chain.wiring import Limit
from issuer.errors import Misconfigured, Refused
from issuer.messages.abi import Item, keccak
from issuer.messages.contracts import AUTHORITY
from tests import proxy, sandbox
from tests.anvil import ETHER, TestChain
from tests.anvil import run as run_anvil
from tests.proxy import Proxy


@pytest.fixture
def gate(anvil: TestChain) -> Iterator[Proxy]:
    with proxy.before(anvil.url) as found:
        yield found


@pytest.fixture
def node(gate: Proxy) -> Iterator[HttpNode]:
    found = HttpNode(gate.url)
    yield found
    found.close()


def states(plan: list[Line]) -> dict[str, State]:
    return {item.name: item.state for item in plan}


def differing(plan: list[Line]) -> set[str]:
    return {item.name for item in plan if item.state is not State.EXISTS}


def test_the_plan_comes_first_and_changes_nothing(gate: Proxy, node: HttpNode, tmp_path: Path) -> None:
    plan = sandbox.deployer(node, tmp_path).plan()
    assert set(states(plan).values()) == {State.MISSING}
    assert "eth_sendRawTransaction" not in gate.methods


def test_deploying_makes_everything_once(anvil: TestChain, gate: Proxy, node: HttpNode, tmp_path: Path) -> None:
    deployment = sandbox.deployer(node, tmp_path).run(anvil.mine)
    again = sandbox.deployer(node, tmp_path)
    assert differing(again.plan()) == set()
    sent, written = gate.methods.count("eth_sendRawTransaction"), (tmp_path / "deployment.json").stat().st_mtime_ns
    assert again.advance()
    assert gate.methods.count("eth_sendRawTransaction") == sent
    assert (tmp_path / "deployment.json").stat().st_mtime_ns == written
    assert load(tmp_path / "deployment.json") == deployment


def test_a_block_may_come_at_any_moment(anvil: TestChain, gate: Proxy, node: HttpNode, tmp_path: Path) -> None:
    """One that comes after the plan was made, and before it is seen whether anything still waits."""

    def mine_first(request: dict[str, Any], forward: proxy.Forward) -> Any:
        anvil.mine()
        return forward(request)

    gate.intercepts["eth_getTransactionCount"] = mine_first
    deployer = sandbox.deployer(node, tmp_path)
    deployer.run(lambda: None)
    assert differing(deployer.plan()) == set()


def test_the_keys_are_paid_for_and_the_deployer_holds_no_role(anvil: TestChain, node: HttpNode, tmp_path: Path) -> None:
    deployment = sandbox.deployer(node, tmp_path).run(anvil.mine)
    assert {rpc.balance(node, deployment.keys[job]) for job in FUNDED} == {ETHER}
    data = rpc.read(node, deployment.authority, AUTHORITY.call("rolesOf", deployment.keys[Job.DEPLOYER]))
    assert AUTHORITY.output("rolesOf", data) == {"roles": 0}


def test_the_record_says_what_lies_on_chain(anvil: TestChain, node: HttpNode, tmp_path: Path) -> None:
    deployment = sandbox.deployer(node, tmp_path).run(anvil.mine)
    for name, hashed in deployment.code.items():
        assert keccak(bytes.fromhex(rpc.code(node, deployment.address(name))[2:])) == hashed
    assert deployment.genesis == anvil.ask("eth_getBlockByNumber", "0x0", False)["hash"]
    assert rpc.code(node, deployment.token, deployment.block) == "0x"


def test_two_chains_share_no_address(node: HttpNode, tmp_path: Path) -> None:
    with run_anvil(options=["--timestamp", "1700000000"]) as other:
        second = HttpNode(other.url)
        here, there = sandbox.deployer(node, tmp_path / "keys"), sandbox.deployer(second, tmp_path / "keys")
        assert not set(here.addresses.values()) & set(there.addresses.values())
        second.close()


INTERRUPTIONS = [
    f"{when} {point}"
    for point in (
        "deployment.sign 1",  # the faucet's transfer
        "chain.broadcast 1",
        "deployment.sign 2",  # all the rest
        "chain.broadcast 2",
        "chain.broadcast 7",  # the wiring
        "chain.broadcast 13",  # the last
        "deployment.write 1",
    )
    for when in ("before", "after")
]


def _die_at(point: str) -> Callable[[str], None]:
    when, what, which = point.split()
    passed: list[str] = []

    def observe(name: str) -> None:
        passed.append(name)
        if name == f"{when} {what}" and passed.count(name) == int(which):
            raise KeyboardInterrupt

    return observe


@pytest.mark.parametrize("mined", [True, False], ids=["mined", "lost"])
@pytest.mark.parametrize("point", INTERRUPTIONS)
def test_a_killed_deployment_goes_on(anvil: TestChain, node: HttpNode, tmp_path: Path, point: str, mined: bool) -> None:
    """What was sent before the end is either mined or forgotten by the node; both come to the same."""
    wanted = sandbox.deployer(node, tmp_path).addresses
    crash.observe(_die_at(point))
    try:
        with pytest.raises(KeyboardInterrupt):
            sandbox.deployer(node, tmp_path).run(anvil.mine)
    finally:
        crash.observe(None)
    if mined:
        anvil.mine()
    else:
        anvil.drop_pool()
    deployment = sandbox.deployer(node, tmp_path).run(anvil.mine)
    assert deployment.token == wanted["token"]
    assert differing(sandbox.deployer(node, tmp_path).plan()) == set()
    # Faucet, five contracts, wiring, six keys: nothing was mined twice.
    nonces = [rpc.nonce(node, deployment.keys[Job.DEPLOYER]), rpc.nonce(node, sandbox.FAUCET)]
    assert nonces == [12, 1]


def test_the_same_bytes_are_sent_again(anvil: TestChain, gate: Proxy, node: HttpNode, tmp_path: Path) -> None:
    sent: list[str] = []

    def record(request: dict[str, object], forward: proxy.Forward) -> object:
        sent.append(str(request["params"]))
        return forward(request)

    gate.intercepts["eth_sendRawTransaction"] = record
    deployer = sandbox.deployer(node, tmp_path)
    deployer.advance()
    anvil.mine()
    deployer.advance()
    first = sent[1:]
    anvil.drop_pool()
    sent.clear()
    sandbox.deployer(node, tmp_path).advance()
    assert sent == first
    assert len(sent) == 12


def test_other_code_at_an_address_is_refused(anvil: TestChain, node: HttpNode, tmp_path: Path) -> None:
    deployer = sandbox.deployer(node, tmp_path)
    anvil.ask("anvil_setCode", deployer.addresses["token"], "0x6001")
    assert states(deployer.plan())["token"] is State.DIFFERS
    with pytest.raises(Refused, match="not the compiler's"):
        deployer.advance()


def test_what_differs_from_the_parameters_is_shown(anvil: TestChain, node: HttpNode, tmp_path: Path) -> None:
    sandbox.deployer(node, tmp_path).run(anvil.mine)
    wanted = replace(
        sandbox.PARAMETERS,
        bucket=Limit(capacity=1, refill=1),
        attestors=(*sandbox.PARAMETERS.attestors, "0x" + "11" * 20),
    )
    found = differing(sandbox.deployer(node, tmp_path, wanted).plan())
    buckets = {f"bucket of {Keystore(tmp_path / 'keys', '').address(job)}" for job in MINTING}
    assert found == buckets | {"attestors", "attestor 0x" + "11" * 20}


def test_a_home_with_another_delay_is_no_second_issuer(anvil: TestChain, node: HttpNode, tmp_path: Path) -> None:
    sandbox.deployer(node, tmp_path).run(anvil.mine)
    with pytest.raises(Refused, match="this home has token"):
        sandbox.deployer(node, tmp_path, replace(sandbox.PARAMETERS, delay=61))


def test_a_step_that_would_fail_is_named_and_not_sent(gate: Proxy, node: HttpNode, tmp_path: Path) -> None:
    wanted = replace(sandbox.PARAMETERS, quorum=1)
    with pytest.raises(Refused, match=r"wiring would fail: InvalidQuorum\(1, 2\)"):
        sandbox.deployer(node, tmp_path, wanted).advance()
    assert "eth_sendRawTransaction" not in gate.methods


def test_a_chain_without_the_factory_is_refused(anvil: TestChain, node: HttpNode, tmp_path: Path) -> None:
    anvil.ask("anvil_setCode", create2.FACTORY, "0x")
    with pytest.raises(Refused, match="no deployment factory"):
        sandbox.deployer(node, tmp_path).advance()


def test_a_grant_that_takes_effect_later_is_pending(anvil: TestChain, node: HttpNode, tmp_path: Path) -> None:
    deployment = sandbox.deployer(node, tmp_path).run(anvil.mine)
    registrar, admin = deployment.keys[Job.REGISTRAR], deployment.keys[Job.ADMIN]
    anvil.ask("anvil_impersonateAccount", admin)
    for declaration in (
        "revokeRole(uint64 role, address account)",
        "grantRole(uint64 role, address account, uint32 d)",
    ):
        item = Item.parse(declaration)
        data = item.encode(*(2, registrar, 0)[: len(item.inputs)])
        anvil.ask("eth_sendTransaction", {"from": admin, "to": deployment.authority, "data": data})
        anvil.mine()
    found = states(sandbox.deployer(node, tmp_path).plan())
    assert found["role REGISTRAR"] is State.PENDING
    anvil.mine_at(rpc.head(node).timestamp + sandbox.DELAY)
    assert states(sandbox.deployer(node, tmp_path).plan())["role REGISTRAR"] is State.EXISTS


def test_a_missing_record_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no contracts are deployed"):
        load(tmp_path / "deployment.json")


def test_a_damaged_record_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "deployment.json").write_text("{}")
    with pytest.raises(Misconfigured, match="not a deployment record"):
        load(tmp_path / "deployment.json")


def test_create2_addresses_are_the_published_ones() -> None:
    """An example of EIP-1014, by the formula that the factory's address enters."""
    zero = "0x" + "00" * 32
    digest = keccak(b"\x00")
    preimage = b"\xff" + bytes.fromhex(create2.FACTORY[2:]) + bytes(32) + bytes.fromhex(digest[2:])
    assert create2.address(zero, b"\x00").lower() == "0x" + keccak(preimage)[-40:]
