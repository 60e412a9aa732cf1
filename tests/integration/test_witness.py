"""A second node must know the same final blocks: two answers stop the money, and no answer is waited for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from issuer.chain.finality import Finality
from issuer.chain.node import HttpNode
from issuer.chain.watcher import Watcher
from issuer.chain.witness import Witness
from issuer.cli.home import open_issuer
from issuer.operations import intake, locks
from issuer.reports import status
from issuer.store import facts
from issuer.store.tables import cursor
from tests import proxy
from tests.anvil import TestChain
from tests.proxy import Proxy
from tests.sandbox import Sandbox
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
