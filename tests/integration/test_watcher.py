"""The watcher on a real chain: final blocks only, once each, whatever the node leaves out or takes back."""

from typing import Any

import pytest
from eth_abi.abi import encode

from issuer import crash
from issuer.chain import holder, rpc
from issuer.chain.finality import Finality
from issuer.chain.keystore import Job
from issuer.chain.watcher import Watcher
from issuer.errors import Misconfigured, Refused, Unreachable
from issuer.messages import contracts
from issuer.operations import locks
from issuer.store.facts import Fact
from issuer.store.states import Scope
from issuer.store.tables import cursor
from tests import proxy
from tests.sandbox import CNH, Sandbox

REFERENCE = "0x" + "ab" * 32
NOBODY = "0x" + "00" * 20


@pytest.fixture
def alice(sandbox: Sandbox) -> str:
    return sandbox.keys.create_holder("alice", light=True)


@pytest.fixture
def bob(sandbox: Sandbox) -> str:
    return sandbox.keys.create_holder("bob", light=True)


def minted(sandbox: Sandbox, *orders: tuple[str, int]) -> list[Fact]:
    """Verify the recipients, attest enough, mint; the facts of the mint."""
    sandbox.verify(*(address for address, _ in orders))
    sandbox.attest(1_000_000 * CNH)
    sandbox.emit("mint", reference=REFERENCE, orders=[list(order) for order in orders])
    return sandbox.settle()


def of(facts: list[Fact], kind: str) -> list[dict[str, Any]]:
    return [fact.payload for fact in facts if fact.kind == kind]


def send_as(sandbox: Sandbox, job: Job, target: str, data: str) -> None:
    """Whoever holds a key calls a contract with what the issuer would not sign."""
    sender = sandbox.deployment.keys[job]
    fields: dict[str, object] = {"chainId": 31337, "nonce": rpc.nonce(sandbox.node, sender), "to": target, "value": 0}
    fields |= {"data": data, "gas": 6_000_000, "maxFeePerGas": 50 * 10**9, "maxPriorityFeePerGas": 2 * 10**9}
    rpc.broadcast(sandbox.node, sandbox.keys.signer(job).sign_transaction(fields).raw)


def test_reading_starts_at_the_deployment(sandbox: Sandbox) -> None:
    sandbox.watcher.collect()
    found = sandbox.take()
    kinds = {fact.kind for fact in found}
    assert {"limit", "minter", "feed", "policy", "attestor", "role"} <= kinds
    assert len(of(found, "limit")) == 3
    assert of(found, "minter")[0]["next"] == sandbox.deployment.minter
    assert min(fact.payload["block"] for fact in found) > sandbox.deployment.block


def test_a_mint_becomes_facts_with_its_orders(sandbox: Sandbox, alice: str, bob: str) -> None:
    found = minted(sandbox, (alice, 5 * CNH), (bob, 7 * CNH))
    (mint,) = of(found, "minted")
    assert (mint["first"], mint["reference"]) == (1, REFERENCE)
    assert mint["orders"] == [[alice, 5 * CNH], [bob, 7 * CNH]]
    (moved,) = of(found, "moved")
    assert moved["transfers"] == [[NOBODY, alice, 5 * CNH], [NOBODY, bob, 7 * CNH]]
    assert moved["block"] == mint["block"]
    assert moved["timestamp"] == mint["timestamp"] == sandbox.chain.block(mint["block"])["timestamp"]


def test_two_mints_of_one_block_keep_their_orders_apart(sandbox: Sandbox, alice: str, bob: str) -> None:
    sandbox.verify(alice, bob)
    sandbox.attest(100 * CNH)
    sandbox.emit("mint", reference=REFERENCE, orders=[[alice, 1], [bob, 2]])
    sandbox.emit("mint", reference="0x" + "cd" * 32, orders=[[alice, 3]])
    found = of(sandbox.settle(), "minted")
    assert [(one["first"], one["orders"]) for one in found] == [(1, [[alice, 1], [bob, 2]]), (3, [[alice, 3]])]
    assert found[0]["block"] == found[1]["block"]


def test_a_redemption_and_a_transfer_become_facts(sandbox: Sandbox, alice: str, bob: str) -> None:
    minted(sandbox, (alice, 10 * CNH))
    sandbox.verify(bob)
    sandbox.chain.fund(alice)
    paid = holder.transfer(sandbox.node, sandbox.keys.signer("alice"), sandbox.deployment, to=bob, value=4 * CNH)
    holder.send(sandbox.node, paid.raw)
    sandbox.chain.mine()
    redeemed_ = holder.redeem(sandbox.node, sandbox.keys.signer("alice"), sandbox.deployment, value=CNH)
    holder.send(sandbox.node, redeemed_.raw)
    sent, burned = paid.hash, redeemed_.hash
    found = sandbox.settle()
    first, second = of(found, "moved")
    assert (first["transfers"], first["transactions"]) == ([[alice, bob, 4 * CNH]], [sent])
    assert (second["transfers"], second["transactions"]) == ([[alice, NOBODY, CNH]], [burned])
    (redeemed,) = of(found, "redeemed")
    expected = {"account": alice, "id": CNH, "value": CNH, "reference": "0x" + "00" * 32, "transaction": burned}
    assert {key: redeemed[key] for key in expected} == expected


def test_a_report_becomes_a_fact(sandbox: Sandbox) -> None:
    payload = sandbox.report(reserve=9 * CNH, credited=8 * CNH, paid=0)
    sandbox.emit("report", **payload)
    (found,) = of(sandbox.settle(), "reported")
    told, report = payload["report"], found
    assert (report["number"], report["reserve"], report["paid"], report["credited"]) == (1, 9 * CNH, 0, 8 * CNH)
    assert (report["as_of"], report["log_root"], report["log_size"]) == (
        told["asOf"],
        told["logRoot"],
        told["logSize"],
    )


def test_powers_become_facts_with_their_arguments(sandbox: Sandbox, alice: str) -> None:
    sandbox.emit("freeze", accounts=[alice])
    sandbox.emit("stop", stops=contracts.MINT)
    sandbox.emit("lower", key=sandbox.deployment.keys["sender"], capacity=5, refill=0)
    found = sandbox.settle()
    (frozen,), (stopped,) = of(found, "frozen"), of(found, "stopped")
    assert (frozen["account"], frozen["freezeCount"]) == (alice, 1)
    assert (stopped["stops"], stopped["stopCount"], stopped["contract"]) == (contracts.MINT, 1, "token")
    (limit,) = [one for one in of(found, "limit") if one["capacity"] == 5]
    assert (limit["key"], limit["refill"]) == (sandbox.deployment.keys["sender"], 0)


def test_a_label_that_is_no_text_is_told_like_any_other(sandbox: Sandbox) -> None:
    data = contracts.AUTHORITY.functions["labelRole"].selector + encode(["uint64", "bytes"], [3, b"\xff"]).hex()
    send_as(sandbox, Job.ADMIN, sandbox.deployment.authority, data)
    sandbox.chain.finalize()
    sandbox.watcher.collect()
    assert sandbox.told("role")[-1]["label"] == "\N{REPLACEMENT CHARACTER}"


def test_a_slow_act_is_proposed_and_accepted(sandbox: Sandbox, alice: str) -> None:
    sandbox.emit("freeze", accounts=[alice])
    sandbox.settle()
    act = contracts.TOKEN.call("unfreeze", alice, 1)
    sandbox.emit("propose", contract="token", act=act)
    (proposed,) = of(sandbox.settle(), "proposed")
    assert (proposed["contract"], proposed["act"]) == ("token", act)
    assert proposed["readyAt"] == proposed["timestamp"] + sandbox.deployment.delay
    sandbox.emit("accept", contract="token", act=act)
    (refused,) = of(sandbox.settle(), "refused")
    assert (refused["error"], refused["arguments"]) == ("NotReady", [proposed["actId"], proposed["readyAt"]])
    sandbox.chain.mine_at(proposed["readyAt"])
    sandbox.emit("accept", contract="token", act=act)
    found = sandbox.settle()
    assert of(found, "accepted")[0]["actId"] == proposed["actId"]
    assert of(found, "unfrozen")[0]["account"] == alice


def test_a_slow_act_is_cancelled_by_the_guardian(sandbox: Sandbox) -> None:
    act = contracts.MINTER.call("raise", sandbox.deployment.keys["sender"], 1, 9_000_000 * CNH, 50 * CNH)
    sandbox.emit("propose", contract="minter", act=act)
    (proposed,) = of(sandbox.settle(), "proposed")
    sandbox.emit("cancel", contract="minter", act_id=proposed["actId"])
    (cancelled,) = of(sandbox.settle(), "cancelled")
    assert (cancelled["actId"], cancelled["contract"]) == (proposed["actId"], "minter")


def test_a_block_acts_only_when_it_is_final(sandbox: Sandbox, alice: str) -> None:
    sandbox.watcher.collect()
    sandbox.take()
    sandbox.emit("verify", accounts=[alice])
    sandbox.sender.send()
    for _ in range(2):
        sandbox.chain.mine()
        assert sandbox.watcher.collect() == 0
    sandbox.chain.mine()
    assert sandbox.watcher.collect() == 1
    assert [fact.kind for fact in sandbox.take()] == ["verified"]


def test_a_configured_depth_takes_the_place_of_the_tag(sandbox: Sandbox, alice: str) -> None:
    watcher = Watcher(sandbox.store, sandbox.node, sandbox.deployment, Finality.parse("5"))
    sandbox.emit("verify", accounts=[alice])
    sandbox.sender.send()
    sandbox.chain.mine(5)
    watcher.collect()
    assert sandbox.told("verified") == []
    sandbox.chain.mine()
    watcher.collect()
    assert [one["account"] for one in sandbox.told("verified")] == [alice]


@pytest.mark.parametrize("text", ["", "0", "-1", "safe", "1.5", "²"])
def test_a_finality_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured):
        Finality.parse(text)


def test_the_head_is_shown_before_it_is_final(sandbox: Sandbox) -> None:
    sandbox.watcher.collect()
    sandbox.chain.mine()
    sandbox.watcher.collect()
    (row,) = sandbox.rows(cursor)
    assert (row.head, row.number) == (sandbox.chain.number(), sandbox.chain.number() - 2)


def test_reading_again_tells_nothing_twice(sandbox: Sandbox, alice: str) -> None:
    minted(sandbox, (alice, CNH))
    assert sandbox.watcher.collect() == 0
    assert sandbox.take() == []


def test_a_node_is_asked_for_the_final_block_once_for_each_newest_one(sandbox: Sandbox, alice: str) -> None:
    sandbox.emit("verify", accounts=[alice])
    sandbox.sender.send()
    watcher = sandbox.watcher
    watcher.collect()
    asked = len(sandbox.proxy.methods)
    assert watcher.collect() == 0
    assert len(sandbox.proxy.methods) == asked + 1
    sandbox.chain.finalize()
    assert watcher.collect() == 1
    assert sandbox.take()[-1].kind == "verified"


@pytest.mark.parametrize("point", ["before commit take final blocks", "after commit take final blocks"])
def test_a_crash_takes_every_event_once(sandbox: Sandbox, alice: str, point: str) -> None:
    sandbox.watcher.collect()
    sandbox.take()
    sandbox.emit("verify", accounts=[alice])
    sandbox.sender.send()
    sandbox.chain.finalize()

    def die(name: str) -> None:
        if name == point:
            raise KeyboardInterrupt

    crash.observe(die)
    try:
        with pytest.raises(KeyboardInterrupt):
            sandbox.watcher.collect()
    finally:
        crash.observe(None)
    sandbox.watcher.collect()
    assert [fact.kind for fact in sandbox.take()] == ["verified"]


def test_a_reorganisation_within_finality_changes_nothing(sandbox: Sandbox, alice: str) -> None:
    sandbox.watcher.collect()
    sandbox.take()
    sandbox.emit("verify", accounts=[alice])
    sandbox.sender.send()
    sandbox.chain.mine()
    sandbox.watcher.collect()
    sandbox.chain.reorganise(1)
    sandbox.chain.mine(3)
    sandbox.watcher.collect()
    assert sandbox.take() == []


@pytest.mark.parametrize("further", [0, 1, 10])
def test_a_contradicted_final_block_is_a_fact_and_reading_stops(sandbox: Sandbox, alice: str, further: int) -> None:
    minted(sandbox, (alice, CNH))
    (before,) = sandbox.rows(cursor)
    sandbox.chain.reorganise(5)
    sandbox.chain.mine(further)
    assert sandbox.watcher.collect() == 0
    assert sandbox.watcher.collect() == 0
    (broken,) = sandbox.take()
    assert broken.kind == "broken"
    assert broken.payload["number"] == before.number
    assert broken.payload["expected"] == before.hash
    assert broken.payload["found"] == sandbox.chain.block(before.number)["hash"]
    (after,) = sandbox.rows(cursor)
    assert (after.number, after.hash) == (before.number, before.hash)


def test_broken_finality_is_told_again_once_its_lock_was_cleared(sandbox: Sandbox, alice: str) -> None:
    minted(sandbox, (alice, CNH))
    sandbox.chain.reorganise(5)
    sandbox.chain.mine(3)
    for told in (1, 0):
        sandbox.watcher.collect()
        assert [fact.kind for fact in sandbox.take()] == ["broken"] * told
    with sandbox.store.unit("lock and clear") as unit:
        locks.engage(unit, Scope.MINTING, "broken-finality", "told", "Look.")
        locks.clear(unit, 1)
    for told in (1, 0):
        sandbox.watcher.collect()
        assert [fact.kind for fact in sandbox.take()] == ["broken"] * told


def test_a_node_that_falls_behind_is_waited_for(sandbox: Sandbox, alice: str) -> None:
    minted(sandbox, (alice, CNH))
    (before,) = sandbox.rows(cursor)
    sandbox.proxy.intercepts["eth_getBlockByNumber"] = proxy.result(None)
    with pytest.raises(Unreachable):
        sandbox.watcher.collect()
    lag = hex(before.number - 5)

    def lagging(request: dict[str, Any], forward: proxy.Forward) -> Any:
        tag = request["params"][0]
        if tag.startswith("0x") and int(tag, 16) > int(lag, 16):
            return {"jsonrpc": "2.0", "id": request["id"], "result": None}
        params = [lag if tag in ("latest", "finalized") else tag, False]
        return forward(request | {"params": params})

    sandbox.proxy.intercepts["eth_getBlockByNumber"] = lagging
    assert sandbox.watcher.collect() == 0
    sandbox.proxy.intercepts.clear()
    sandbox.watcher.collect()
    assert sandbox.take() == []


@pytest.fixture
def searching(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything counts as far back."""
    monkeypatch.setattr("issuer.chain.watcher.NEAR", 0)


@pytest.mark.usefixtures("searching")
def test_a_node_that_limits_ranges_is_asked_for_smaller_ones(sandbox: Sandbox, alice: str) -> None:
    sandbox.watcher.collect()
    sandbox.take()
    sandbox.emit("verify", accounts=[alice])
    sandbox.sender.send()
    sandbox.chain.mine(40)
    spans: list[int] = []

    def limited(request: dict[str, Any], forward: proxy.Forward) -> Any:
        wanted = request["params"][0]
        span = int(wanted["toBlock"], 16) - int(wanted["fromBlock"], 16) + 1
        spans.append(span)
        if span > 7:
            return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32005, "message": "range too large"}}
        return forward(request)

    sandbox.proxy.intercepts["eth_getLogs"] = limited
    sandbox.watcher.collect()
    assert [fact.kind for fact in sandbox.take()] == ["verified"]
    assert max(spans) > 7 >= min(spans)
    (row,) = sandbox.rows(cursor)
    assert row.number == sandbox.chain.number() - 2


@pytest.mark.usefixtures("searching")
def test_a_node_that_gives_no_logs_at_all_is_unreachable(sandbox: Sandbox) -> None:
    sandbox.proxy.intercepts["eth_getLogs"] = proxy.error(-32005, "limit exceeded")
    with pytest.raises(Unreachable, match="limit exceeded"):
        sandbox.watcher.collect()


@pytest.mark.usefixtures("searching")
@pytest.mark.parametrize("event", ["Minted", "Redeemed"])
def test_a_left_out_mint_or_redemption_is_noticed(sandbox: Sandbox, alice: str, event: str) -> None:
    minted(sandbox, (alice, 10 * CNH))
    sandbox.chain.fund(alice)
    topic = next(item.topic for item in contracts.TOKEN.events.values() if item.name == event)

    def forgetful(request: dict[str, Any], forward: proxy.Forward) -> Any:
        answer = forward(request)
        lost = [log for log in answer["result"] if log["topics"][0] == topic][:1]
        return answer | {"result": [log for log in answer["result"] if log not in lost]}

    sandbox.proxy.intercepts["eth_getLogs"] = forgetful
    for number in range(2):
        if event == "Minted":
            sandbox.emit("mint", reference=f"0x{number:064x}", orders=[[alice, CNH]])
            sandbox.sender.send()
        else:
            burned = holder.redeem(sandbox.node, sandbox.keys.signer("alice"), sandbox.deployment, value=CNH)
            holder.send(sandbox.node, burned.raw)
        sandbox.chain.mine()
    sandbox.chain.finalize()
    with pytest.raises(Unreachable, match="left a"):
        sandbox.watcher.collect()
    sandbox.proxy.intercepts.clear()
    sandbox.watcher.collect()
    assert len(sandbox.told({"Minted": "minted", "Redeemed": "redeemed"}[event])) == 2


@pytest.mark.usefixtures("searching")
def test_logs_of_a_block_that_is_not_in_the_chain_are_not_taken(sandbox: Sandbox) -> None:
    def foreign(request: dict[str, Any], forward: proxy.Forward) -> Any:
        answer = forward(request)
        return answer | {"result": [log | {"blockHash": "0x" + "66" * 32} for log in answer["result"]]}

    sandbox.proxy.intercepts["eth_getLogs"] = foreign
    with pytest.raises(Unreachable, match="not in its chain"):
        sandbox.watcher.collect()
    assert sandbox.take() == []


def test_close_to_the_head_no_log_is_passed_over(sandbox: Sandbox, alice: str) -> None:
    sandbox.watcher.collect()
    sandbox.take()
    sandbox.emit("verify", accounts=[alice])
    sandbox.sender.send()
    sandbox.chain.finalize()
    sandbox.proxy.intercepts["eth_getLogs"] = proxy.result([])
    sandbox.proxy.intercepts["eth_getBlockReceipts"] = proxy.result(None)  # a node that does not have the block
    with pytest.raises(Unreachable):
        sandbox.watcher.collect()
    sandbox.proxy.intercepts.pop("eth_getBlockReceipts")
    sandbox.watcher.collect()
    assert [fact.kind for fact in sandbox.take()] == ["verified"]


@pytest.mark.parametrize("told", [{"data": "0x00"}, {"data": "0xzz"}, {"topics": [None]}, {"topics": ["0x12"]}])
def test_logs_that_no_contract_can_have_made_are_no_answer(
    sandbox: Sandbox, alice: str, told: dict[str, object]
) -> None:
    sandbox.watcher.collect()
    sandbox.take()
    sandbox.emit("verify", accounts=[alice])
    sandbox.sender.send()
    sandbox.chain.finalize()

    def lie(request: dict[str, Any], forward: proxy.Forward) -> Any:
        answer = forward(request)
        for receipt in answer["result"]:
            for log in receipt["logs"]:
                log |= told
        return answer

    sandbox.proxy.intercepts["eth_getBlockReceipts"] = lie
    with pytest.raises(Unreachable):
        sandbox.watcher.collect()
    sandbox.proxy.intercepts.clear()
    sandbox.watcher.collect()
    assert [fact.kind for fact in sandbox.take()] == ["verified"]


def test_more_tokens_than_there_can_be_are_no_answer(sandbox: Sandbox, alice: str) -> None:
    minted(sandbox, (alice, CNH))
    sandbox.chain.fund(alice)
    burned = holder.redeem(sandbox.node, sandbox.keys.signer("alice"), sandbox.deployment, value=CNH)
    holder.send(sandbox.node, burned.raw)
    sandbox.chain.finalize()

    redeemed = next(item.topic for item in contracts.TOKEN.events.values() if item.name == "Redeemed")

    def lie(request: dict[str, Any], forward: proxy.Forward) -> Any:
        answer = forward(request)
        for log in (log for receipt in answer["result"] for log in receipt["logs"]):
            if log["topics"][0] == redeemed:
                log["topics"][2] = f"0x{2**63:064x}"
                log["data"] = f"0x{2**63:064x}"
        return answer

    sandbox.proxy.intercepts["eth_getBlockReceipts"] = lie
    with pytest.raises(Unreachable, match="more tokens than there can be"):
        sandbox.watcher.collect()


def test_a_block_that_is_no_child_of_the_last_is_not_taken(sandbox: Sandbox) -> None:
    sandbox.watcher.collect()
    sandbox.take()
    sandbox.chain.mine(3)

    def stray(request: dict[str, Any], forward: proxy.Forward) -> Any:
        answer = forward(request)
        return answer | {"result": answer["result"] | {"parentHash": "0x" + "66" * 32}}

    sandbox.proxy.intercepts["eth_getBlockByNumber"] = stray
    with pytest.raises(Unreachable, match="does not follow"):
        sandbox.watcher.collect()


def test_a_stranger_s_transfer_is_refused_before_it_is_sent(sandbox: Sandbox) -> None:
    sandbox.watcher.collect()
    sandbox.take()
    sandbox.chain.fund(sandbox.keys.create_holder("mallory", light=True))
    signer, node = sandbox.keys.signer("mallory"), sandbox.node
    with pytest.raises(Refused, match="AccountNotVerified"):
        holder.transfer(node, signer, sandbox.deployment, to=sandbox.deployment.keys[Job.SENDER], value=0)
    sandbox.chain.finalize()
    sandbox.watcher.collect()
    assert sandbox.take() == []
