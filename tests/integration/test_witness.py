"""A second node must know the same final blocks: two answers stop the money, and no answer is waited for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from issuer.chain.finality import Finality
from issuer.chain.keystore import Job
from issuer.chain.node import HttpNode
from issuer.chain.outcomes import Outcomes
from issuer.chain.watcher import Watcher
from issuer.chain.witness import Witness
from issuer.cli.home import open_issuer
from issuer.messages import contracts
from issuer.operations import intake, locks
from issuer.reports import status
from issuer.store import facts, tables
from issuer.store.facts import Fact
from issuer.store.states import IntentState, Outcome
from issuer.store.tables import cursor
from tests import proxy
from tests.anvil import TestChain
from tests.integration.test_sender import mint, of, spend, supply
from tests.proxy import Proxy
from tests.sandbox import CNH, Sandbox
from tests.world import PASSPHRASE, World

BLOCK, FINAL = "eth_getBlockByNumber", Finality(depth=None)


@pytest.fixture
def gate(sandbox: Sandbox) -> Iterator[Proxy]:
    """What stands before the second node."""
    with proxy.before(sandbox.chain.url) as found:
        yield found


@pytest.fixture
def watcher(sandbox: Sandbox, gate: Proxy) -> Iterator[Watcher]:
    second = HttpNode(gate.url)
    witness = Witness(sandbox.store, sandbox.node, second, FINAL)
    watcher = Watcher(sandbox.store, sandbox.node, sandbox.deployment, FINAL, witness)
    watcher.collect()
    sandbox.take()
    yield watcher
    second.close()


def verify_alice(sandbox: Sandbox) -> None:
    sandbox.emit("verify", accounts=[sandbox.keys.create_holder("alice", light=True)])
    sandbox.sender.send()
    sandbox.chain.finalize()


def kinds(sandbox: Sandbox) -> list[str]:
    return [fact.kind for fact in sandbox.take()]


def place(sandbox: Sandbox) -> int:
    return int(sandbox.rows(cursor)[0].number)


def waits(sandbox: Sandbox) -> list[str]:
    with sandbox.store.read() as connection:
        found = status.doors(connection, sandbox.clock.now())
    return [item.why for item in found if item.what == "the newest final block"]


def test_what_both_call_final_is_taken(sandbox: Sandbox, gate: Proxy, watcher: Watcher) -> None:
    verify_alice(sandbox)
    gate.methods.clear()
    assert watcher.collect() == 1
    assert kinds(sandbox) == ["verified"]
    assert place(sandbox) == sandbox.chain.number() - 2
    assert BLOCK in gate.methods
    assert waits(sandbox) == []


@pytest.mark.parametrize("tag", ["finalized", "number"])
def test_two_hashes_of_one_final_block_stop_minting_and_payouts(
    sandbox: Sandbox, gate: Proxy, watcher: Watcher, tag: str
) -> None:
    before = place(sandbox)
    verify_alice(sandbox)

    def lie(request: dict[str, Any], forward: proxy.Forward) -> Any:
        asked = request["params"][0]
        if tag == "number" and asked == "finalized":
            # It is further than the first node, which is asked about its own final block by number.
            return forward(request | {"params": ["latest", False]})
        answer = forward(request)
        return answer | {"result": answer["result"] | {"hash": "0x" + "66" * 32}}

    gate.intercepts[BLOCK] = lie
    for _ in range(2):
        assert watcher.collect() == 0
    assert place(sandbox) == before
    assert "two nodes to agree" in waits(sandbox)[0]
    gate.intercepts.clear()
    with sandbox.store.unit("take") as unit:
        for fact in facts.new(unit.connection):
            assert fact.kind == "disputed"
            facts.apply(unit, fact.id)
            intake._PLAIN["disputed"](unit, fact)
        held = {(lock["scope"], lock["code"]) for lock in locks.live(unit.connection)}
    assert held == {("minting", "nodes-disagree"), ("payouts", "nodes-disagree")}
    assert watcher.collect() == 1, "once they agree, reading goes on; the lock stays for a person"
    assert waits(sandbox) == []


def test_a_dispute_is_told_again_once_its_lock_was_cleared(sandbox: Sandbox, gate: Proxy, watcher: Watcher) -> None:
    verify_alice(sandbox)

    def lie(request: dict[str, Any], forward: Any) -> Any:
        answer = forward(request)
        return answer | {"result": answer["result"] | {"hash": "0x" + "66" * 32}}

    gate.intercepts[BLOCK] = lie
    for _ in range(2):
        watcher.collect()
        watcher.collect()
        with sandbox.store.unit("take") as unit:
            (fact,) = facts.new(unit.connection)
            facts.apply(unit, fact.id)
            intake._PLAIN["disputed"](unit, fact)
            held = locks.live(unit.connection)
            assert {lock["scope"] for lock in held} == {"minting", "payouts"}
            for lock in held:
                locks.clear(unit, lock["id"])


def test_a_silent_witness_is_waited_for(sandbox: Sandbox, gate: Proxy, watcher: Watcher) -> None:
    before, since = place(sandbox), sandbox.clock.now()
    verify_alice(sandbox)
    gate.intercepts[BLOCK] = proxy.silence
    assert watcher.collect() == 0
    sandbox.clock.advance(100)
    assert watcher.collect() == 0
    assert place(sandbox) == before
    assert kinds(sandbox) == []
    assert "the second node to answer" in waits(sandbox)[0]
    (row,) = sandbox.rows(cursor)
    assert row.unconfirmed_since == since
    gate.intercepts[BLOCK] = proxy.error(-32005, "limit exceeded")
    assert watcher.collect() == 0
    gate.intercepts.clear()
    assert watcher.collect() == 1
    assert waits(sandbox) == []


def test_a_witness_that_lags_holds_the_cursor_at_what_it_knows(sandbox: Sandbox, gate: Proxy, watcher: Watcher) -> None:
    before = place(sandbox)
    verify_alice(sandbox)
    lag = before + 1

    def lagging(request: dict[str, Any], forward: proxy.Forward) -> Any:
        asked = request["params"][0]
        if asked.startswith("0x") and int(asked, 16) > lag:
            return {"jsonrpc": "2.0", "id": request["id"], "result": None}
        return forward(request | {"params": [hex(lag) if asked == "finalized" else asked, False]})

    gate.intercepts[BLOCK] = lagging
    watcher.collect()
    assert place(sandbox) == lag
    assert "blocks behind" in waits(sandbox)[0]
    gate.intercepts.clear()
    watcher.collect()
    assert place(sandbox) == sandbox.chain.number() - 2
    assert kinds(sandbox) == ["verified"]


# -- a first node that lies about what a block holds


@pytest.fixture
def alice(sandbox: Sandbox) -> str:
    """A holder to whom may be minted."""
    address = sandbox.keys.create_holder("alice", light=True)
    sandbox.verify(address)
    sandbox.attest(2 * CNH)
    return address


def without_logs(sandbox: Sandbox, height: str) -> None:
    """The first node's header of a block says that nothing was logged in it."""

    def header(request: dict[str, Any], forward: proxy.Forward) -> Any:
        answer = forward(request)
        if answer.get("result") and answer["result"]["number"] == height:
            answer["result"]["logsBloom"] = "0x" + "00" * 256
        return answer

    sandbox.proxy.intercepts[BLOCK] = header


def reverted(request: dict[str, Any], forward: proxy.Forward) -> Any:
    """The first node says that a transaction has failed."""
    answer = forward(request)
    return answer | {"result": answer["result"] and answer["result"] | {"status": "0x0"}}


def collect(sandbox: Sandbox, watcher: Watcher) -> list[Fact]:
    watcher.collect()
    Outcomes(sandbox.store, sandbox.node, watcher).collect()
    return sandbox.take()


def test_a_mint_that_the_first_node_denies_is_not_minted_again(
    sandbox: Sandbox, gate: Proxy, watcher: Watcher, alice: str
) -> None:
    watcher.collect()
    sandbox.take()
    before = place(sandbox)
    mint_finally(sandbox, alice)
    (form,) = sandbox.rows(tables.attempt)[-1:]
    without_logs(sandbox, sandbox.chain.ask("eth_getTransactionReceipt", form.hash)["blockNumber"])
    sandbox.proxy.intercepts["eth_getTransactionReceipt"] = reverted
    (disputed,) = collect(sandbox, watcher)
    assert disputed.kind == "disputed"
    assert disputed.payload["first"].endswith("with 0 orders minted and 0.000000 CNH redeemed")
    assert disputed.payload["second"].endswith("with 1 orders minted and 0.000000 CNH redeemed")
    assert place(sandbox) == before
    assert "two nodes to agree" in waits(sandbox)[0]
    sandbox.proxy.intercepts.clear()
    gate.methods.clear()
    assert [fact.kind for fact in collect(sandbox, watcher)] == ["moved", "minted", "sent"]
    assert gate.methods.count("eth_call") == 1
    assert supply(sandbox) == CNH


def test_a_redemption_that_the_first_node_makes_up_is_not_paid(
    sandbox: Sandbox, gate: Proxy, watcher: Watcher, alice: str
) -> None:
    """It pays out at once what nobody has burned."""
    mint(sandbox, (alice, CNH))
    sandbox.settle()
    watcher.collect()
    before = place(sandbox)
    topic = next(item.topic for item in contracts.TOKEN.events.values() if item.name == "Redeemed")

    def made_up(request: dict[str, Any], forward: proxy.Forward) -> Any:
        answer = forward(request)
        for receipt in answer["result"]:
            told = {"topics": [topic, f"0x{int(alice, 16):064x}", f"0x{CNH:064x}", "0x" + "00" * 32]}
            receipt["logs"] = [receipt["logs"][0] | told | {"data": f"0x{CNH:064x}"}]
        return answer

    sandbox.emit("unverify", accounts=[alice])
    sandbox.sender.send()
    sandbox.chain.finalize()
    sandbox.proxy.intercepts["eth_getBlockReceipts"] = made_up
    watcher.collect()
    assert kinds(sandbox) == ["disputed"]
    assert place(sandbox) == before
    gate.intercepts["eth_call"] = proxy.silence
    sandbox.proxy.intercepts.clear()
    watcher.collect()
    assert (kinds(sandbox), place(sandbox)) == ([], before)
    assert "the second node to say how the token stands" in waits(sandbox)[0]
    gate.intercepts.clear()
    watcher.collect()
    assert kinds(sandbox) == ["unverified"]


def test_a_failure_that_only_the_first_node_tells_frees_nothing(
    sandbox: Sandbox, gate: Proxy, watcher: Watcher, alice: str
) -> None:
    """A receipt is no part of what the events tell: the mint is there, and its transaction is said to have failed."""
    watcher.collect()
    minting = mint_finally(sandbox, alice)
    sandbox.proxy.intercepts["eth_getTransactionReceipt"] = reverted
    gate.intercepts["eth_getTransactionReceipt"] = proxy.result(None)
    assert "sent" not in [fact.kind for fact in collect(sandbox, watcher)]
    gate.intercepts.clear()
    assert [fact.kind for fact in collect(sandbox, watcher)] == ["disputed"]
    assert sandbox.state(minting) == IntentState.BOUND
    sandbox.proxy.intercepts.clear()
    assert of(collect(sandbox, watcher), "sent")[0]["outcome"] == "done"


def test_a_nonce_that_only_the_first_node_calls_taken_frees_nothing(
    sandbox: Sandbox, gate: Proxy, watcher: Watcher, alice: str
) -> None:
    watcher.collect()
    minting = mint_finally(sandbox, alice)
    sandbox.proxy.intercepts["eth_getTransactionReceipt"] = proxy.result(None)
    sandbox.proxy.intercepts[BLOCK] = lambda request, forward: (
        forward(request) if not request["params"][1] else hide_transactions(forward(request))
    )
    assert [fact.kind for fact in collect(sandbox, watcher)][-1] == "disputed"
    assert sandbox.state(minting) == IntentState.BOUND
    gate.intercepts["eth_getTransactionReceipt"] = proxy.silence
    assert collect(sandbox, watcher) == []


def mint_finally(sandbox: Sandbox, alice: str) -> int:
    """A mint to Alice is in a final block, and nobody has looked at it; its intent."""
    minting = mint(sandbox, (alice, CNH))
    sandbox.sender.send()
    sandbox.chain.finalize()
    return minting


def hide_transactions(answer: Any) -> Any:
    return answer | {"result": answer["result"] | {"transactions": []}}


@pytest.mark.parametrize("outcome", [Outcome.FOREIGN, Outcome.CANCELLED])
def test_a_failure_that_both_nodes_tell_is_told(
    sandbox: Sandbox, watcher: Watcher, alice: str, outcome: Outcome
) -> None:
    watcher.collect()
    waiting = mint(sandbox, (alice, CNH))
    sandbox.sender.send()
    (row,) = [row for row in sandbox.rows(tables.transaction) if row.intent_id == waiting]
    if outcome == Outcome.CANCELLED:
        sandbox.sender.cancel(row.id)
    else:
        sandbox.chain.drop_pool()
        spend(sandbox, Job.SENDER, row.nonce)
    sandbox.chain.finalize()
    (sent,) = of(collect(sandbox, watcher), "sent")
    assert (sent["intent_id"], sent["outcome"]) == (waiting, outcome)


def test_the_first_node_s_silence_is_still_its_own(sandbox: Sandbox, gate: Proxy, watcher: Watcher) -> None:
    verify_alice(sandbox)
    gate.methods.clear()
    sandbox.proxy.intercepts[BLOCK] = proxy.result(None)
    with pytest.raises(Exception, match="latest block"):
        watcher.collect()
    assert gate.methods == []


def test_a_home_with_a_second_node_asks_it(tmp_path: Path, anvil: TestChain) -> None:
    with proxy.before(anvil.url) as gate:
        world = World.create(tmp_path, anvil)
        world.issuer.close()
        settings = world.settings.model_copy(update={"rpc_url_2": gate.url})
        world.issuer = open_issuer(settings, clock=world.clock, passphrase=lambda: PASSPHRASE)
        world.turn()
        assert BLOCK in gate.methods
        gate.intercepts[BLOCK] = proxy.result(None)
        world.turn()
        with world.issuer.store.read() as connection:
            assert [item.what for item in status.doors(connection, 0)][-1] == "the newest final block"
        world.close()
