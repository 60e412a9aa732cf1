"""The sender and its outcomes on a real chain: stored before sent, once each, whatever happens in between."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from issuer import crash
from issuer.chain import holder, outcomes, rpc, transactions
from issuer.chain.fees import Fees
from issuer.chain.finality import Finality
from issuer.chain.keystore import Job, Keystore
from issuer.chain.outcomes import Outcomes
from issuer.chain.sender import Draft, Limits, Refusal, Sender
from issuer.chain.signer import Signed, Signer
from issuer.chain.transactions import Sent
from issuer.chain.watcher import Watcher
from issuer.errors import BrokenInvariant, Conflict, NotFound, Refused, Unreachable
from issuer.messages import contracts
from issuer.messages.transactions import decode
from issuer.store import intents, tables
from issuer.store.facts import Fact
from issuer.store.states import Door, IntentState, Outcome
from tests import proxy
from tests.clock import ManualClock
from tests.sandbox import CNH, Sandbox

REFERENCE = "0x" + "ab" * 32
BOTH = pytest.mark.parametrize("sandbox", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def alice(sandbox: Sandbox) -> str:
    return sandbox.keys.create_holder("alice", light=True)


def mint(sandbox: Sandbox, *orders: tuple[str, int], reference: str = REFERENCE) -> int:
    return sandbox.emit("mint", reference=reference, orders=[list(order) for order in orders])


def of(facts: list[Fact], kind: str) -> list[dict[str, Any]]:
    return [fact.payload for fact in facts if fact.kind == kind]


def supply(sandbox: Sandbox) -> int:
    data = rpc.read(sandbox.node, sandbox.deployment.token, contracts.TOKEN.call("totalSupply"))
    return int(data, 16)


def broadcasts(sandbox: Sandbox) -> list[str]:
    """Every signed form that is handed to the node from now on."""
    sent: list[str] = []

    def record(request: dict[str, Any], forward: proxy.Forward) -> Any:
        sent.append(request["params"][0])
        return forward(request)

    sandbox.proxy.intercepts["eth_sendRawTransaction"] = record
    return sent


def address(sandbox: Sandbox, job: Job = Job.SENDER) -> str:
    return sandbox.deployment.keys[job]


def spend(sandbox: Sandbox, job: Job, nonce: int) -> str:
    """A transaction of that key, made behind the issuer's back."""
    fields = {"chainId": 31337, "nonce": nonce, "to": "0x" + "11" * 20, "value": 1, "data": "0x", "gas": 21000}
    fees = {"maxFeePerGas": 50 * 10**9, "maxPriorityFeePerGas": 20 * 10**9}
    signed = sandbox.keys.signer(job).sign_transaction(fields | fees)
    sandbox.chain.ask("eth_sendRawTransaction", signed.raw)
    return signed.hash


def resume(sandbox: Sandbox, job: Job) -> None:
    nonce = outcomes.final_nonce(sandbox.store, sandbox.node, address(sandbox, job))
    with sandbox.store.unit("resume") as unit:
        transactions.resume(unit, address=address(sandbox, job), nonce=nonce)


@BOTH
def test_a_report_and_its_mint_leave_together(sandbox: Sandbox, alice: str) -> None:
    sandbox.verify(alice)
    report = sandbox.emit("report", **sandbox.report(reserve=5 * CNH))
    minting = mint(sandbox, (alice, 5 * CNH))
    assert sandbox.sender.send() == 2
    assert [sandbox.state(report), sandbox.state(minting)] == [IntentState.BOUND, IntentState.BOUND]
    sandbox.chain.mine()
    assert supply(sandbox) == 5 * CNH
    sandbox.chain.finalize()
    sandbox.watcher.collect()
    sandbox.outcomes.collect()
    found = sandbox.take()
    assert [(one["kind"], one["outcome"]) for one in of(found, "sent")] == [("report", "done"), ("mint", "done")]
    kinds = [fact.kind for fact in found]
    assert kinds.index("minted") < kinds.index("sent")
    assert [sandbox.state(report), sandbox.state(minting)] == [IntentState.DONE, IntentState.DONE]


def test_an_intent_whose_record_is_not_published_stays(sandbox: Sandbox, alice: str) -> None:
    intent_id = sandbox.emit("verify", accounts=[alice])
    with sandbox.store.unit("unpublish") as unit:
        unit.connection.execute(update(tables.log_tree).values(published=0))
    assert sandbox.sender.send() == 0
    assert sandbox.state(intent_id) == IntentState.OPEN


def test_each_key_does_its_job(sandbox: Sandbox, alice: str) -> None:
    sandbox.verify(alice)
    sandbox.attest(CNH)
    mint(sandbox, (alice, CNH))
    sandbox.emit("freeze", accounts=[alice])
    sandbox.emit("stop", stops=contracts.TRANSFER)
    sandbox.emit("propose", contract="token", act=contracts.TOKEN.call("setReportAge", 86_400, 3_600))
    sandbox.settle()
    jobs = {row.address: row.role for row in sandbox.rows(tables.signer)}
    used = {(jobs[row.signer], row.nonce) for row in sandbox.rows(tables.transaction)}
    assert used == {("registrar", 0), ("sender", 0), ("sender", 1), ("freezer", 0), ("guardian", 0), ("admin", 0)}


def test_batches_in_flight_take_numbers_on_top_of_each_other(sandbox: Sandbox, alice: str) -> None:
    sandbox.verify(alice)
    sandbox.attest(100 * CNH)
    for number in range(3):
        mint(sandbox, (alice, 1), (alice, 2), reference=f"0x{number:064x}")
    assert sandbox.sender.send() == 3
    firsts = [contracts.MINTER.decode_call(row.data)[1]["first"] for row in sandbox.rows(tables.transaction)[-3:]]
    assert firsts == [1, 3, 5]
    assert len(of(sandbox.settle(), "minted")) == 3


def test_many_that_wait_for_one_key_hold_up_no_other(sandbox: Sandbox, alice: str) -> None:
    sandbox.verify(alice)
    sandbox.attest(CNH)
    with sandbox.store.unit("halt") as unit:
        transactions.halt(unit, address(sandbox, Job.REGISTRAR), "stolen")
    for number in range(intents.MOST):
        sandbox.emit("verify", accounts=[f"0x{number + 1:040x}"])
    minting = mint(sandbox, (alice, CNH))
    assert sandbox.sender.send() == 1
    assert sandbox.state(minting) == IntentState.BOUND


def test_only_a_few_wait_to_be_mined(sandbox: Sandbox, alice: str) -> None:
    sandbox.limits = Limits(in_flight=2)
    sandbox.verify(alice)
    sandbox.attest(100 * CNH)
    for number in range(3):
        mint(sandbox, (alice, 1), reference=f"0x{number:064x}")
    assert sandbox.sender.send() == 2
    assert sandbox.sender.send() == 0
    sandbox.chain.mine()
    assert sandbox.sender.send() == 1


@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        (lambda *_: None, "AccountNotVerified"),
        (lambda s, a: s.verify(a), "ReportTooOld"),
        (lambda s, a: (s.verify(a), s.attest(CNH - 1)), "Unbacked"),
        (lambda s, a: (s.verify(a), s.attest(CNH, credited=CNH - 1)), "NotCredited"),
        (lambda s, a: (s.verify(a), s.attest(CNH), s.emit("freeze", accounts=[a]), s.settle()), "AccountFrozen"),
        (lambda s, a: (s.verify(a), s.attest(CNH), s.emit("stop", stops=2), s.settle()), "ActStopped"),
        (lambda s, a: (s.verify(a), s.attest(CNH), _lower(s, 0), s.settle()), "OverLimit"),
        (lambda s, a: (s.verify(a), s.attest(2 * CNH), _lower(s, CNH), mint(s, (a, 1)), s.settle()), "OverLimit"),
        (lambda s, a: (s.verify(a), s.attest(CNH), _lower(s, CNH - 1), s.settle()), "OverCapacity"),
        (lambda s, a: (s.verify(a), s.attest(CNH), _lower(s, CNH - 1, contracts.WINDOW), s.settle()), "OverCapacity"),
    ],
)
def test_what_would_revert_is_told_and_not_signed(
    sandbox: Sandbox, alice: str, prepare: Callable[[Sandbox, str], Any], error: str
) -> None:
    prepare(sandbox, alice)
    before = len(sandbox.rows(tables.transaction))
    intent_id = mint(sandbox, (alice, CNH))
    sandbox.sender.send()
    assert sandbox.state(intent_id) == IntentState.BOUND, "nothing is decided anew before the refusal is taken"
    (refused,) = sandbox.told("refused")
    assert (refused["intent_id"], refused["kind"], refused["error"]) == (intent_id, "mint", error)
    assert sandbox.state(intent_id) == IntentState.VOID
    assert len(sandbox.rows(tables.transaction)) == before
    if error.startswith("Account"):
        assert refused["arguments"] == [alice]


def _lower(sandbox: Sandbox, capacity: int, key: str | None = None) -> int:
    return sandbox.emit("lower", key=key or address(sandbox), capacity=capacity, refill=0)


def test_a_payload_that_makes_no_call_is_told(sandbox: Sandbox) -> None:
    intent_id = sandbox.emit("mint", reference="0x00", orders=[["nobody", 1]])
    assert sandbox.sender.send() == 1
    (refused,) = sandbox.told("refused")
    assert (refused["intent_id"], refused["error"]) == (intent_id, "InvalidInput")


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("recipient", ["0x" + "11" * 20, "nobody"])
def test_a_refused_one_does_not_hold_up_the_others(sandbox: Sandbox, alice: str, place: int, recipient: str) -> None:
    sandbox.verify(alice)
    sandbox.attest(CNH)
    wallets = [alice, alice, alice]
    wallets[place] = recipient
    for number, wallet in enumerate(wallets):
        mint(sandbox, (wallet, 1), (alice, 1), reference=f"0x{number:064x}")
    assert sandbox.sender.send() == 3
    calls = [contracts.MINTER.decode_call(row.data)[1] for row in sandbox.rows(tables.transaction)[-2:]]
    assert [call["first"] for call in calls] == [1, 3]
    told = sandbox.settle()
    assert len(of(told, "minted")) == 2
    assert len(of(told, "refused")) == 1


def test_nothing_is_signed_beyond_what_the_key_can_pay(sandbox: Sandbox, alice: str) -> None:
    """What was taken together counts with what waited before."""
    sandbox.verify(alice)
    sandbox.attest(CNH)
    one = 150_000 * 10**9  # wei, about what one of them may cost at most
    sandbox.chain.ask("anvil_setBalance", address(sandbox), hex(2 * one))
    for number in range(8):
        mint(sandbox, (alice, 1), reference=f"0x{number:064x}")
    sent = sandbox.sender.send()
    assert 0 < sent < 8
    promised = sum(row.gas for row in sandbox.rows(tables.transaction)[-sent:])
    assert promised * max(row.max_fee for row in sandbox.rows(tables.attempt)[-sent:]) <= 2 * one
    assert len(of(sandbox.settle(), "low-gas")) == 1


def test_what_takes_too_much_of_a_block_is_told_and_not_signed(sandbox: Sandbox, alice: str) -> None:
    sandbox.verify(alice)
    sandbox.attest(100 * CNH)
    sandbox.limits = Limits(small_gas=100_000, block_share=200)
    most = int(sandbox.chain.ask("eth_getBlockByNumber", "latest", False)["gasLimit"], 16) // 200
    too_large = mint(sandbox, *((alice, 1) for _ in range(40)))
    sandbox.sender.send()
    (refused,) = sandbox.told("refused")
    assert (refused["intent_id"], refused["error"]) == (too_large, "TooMuchGas")
    assert refused["arguments"][0] > refused["arguments"][1] == most
    small = mint(sandbox, (alice, 1), reference="0x" + "cd" * 32)
    assert sandbox.sender.send() == 1
    assert sandbox.state(small) == IntentState.BOUND


@pytest.mark.parametrize(("block", "most"), [(30_000_000, 15_000_000), (60_000_000, 2**24), (2**62, 2**24)])
def test_no_transaction_takes_more_than_any_may(sandbox: Sandbox, block: int, most: int) -> None:
    def answer(request: dict[str, Any], forward: proxy.Forward) -> Any:
        told = forward(request)
        return told | {"result": told["result"] | {"gasLimit": hex(block)}}

    sandbox.proxy.intercepts["eth_getBlockByNumber"] = answer
    assert sandbox.sender._most_gas(3_000_000) == most


# -- a simulated block that has no room for all


def one_block(gas: int) -> proxy.Intercept:
    """All calls share a block's gas; one that names none gets the rest (go-ethereum internal/ethapi/simulate.go)."""

    def answer(request: dict[str, Any], forward: proxy.Forward) -> Any:
        told, left = forward(request), gas
        calls = request["params"][0]["blockStateCalls"][0]["calls"]
        for call, result in zip(calls, told["result"][0]["calls"], strict=True):
            given, needed = int(call.get("gas", hex(left)), 16), int(result["gasUsed"], 16)
            if given > left:
                return proxy.error(-38015, f"block gas limit reached: {gas - left} >= {gas}")(request, forward)
            if given < 21_000:
                return proxy.error(-38013, f"intrinsic gas too low: have {given}, want 21000")(request, forward)
            if given < needed:
                result |= {"status": "0x0", "returnData": "0x", "gasUsed": hex(given)}
            left -= min(given, needed)
        return told

    return answer


def few(calls: int) -> proxy.Intercept:
    """There is room for so many calls; those after them fail without a word."""

    def answer(request: dict[str, Any], forward: proxy.Forward) -> Any:
        told = forward(request)
        for result in told["result"][0]["calls"][calls:]:
            result |= {"status": "0x0", "returnData": "0x"}
        return told

    return answer


@pytest.mark.parametrize("gas", [150_000, 200_000, 300_000, 400_000])
def test_more_mints_than_a_block_holds_leave_one_after_the_other(sandbox: Sandbox, alice: str, gas: int) -> None:
    sandbox.verify(alice)
    sandbox.attest(1000 * CNH)
    sandbox.proxy.intercepts["eth_simulateV1"] = one_block(gas)
    minting = [mint(sandbox, (alice, 1), reference=f"0x{number:064x}") for number in range(8)]
    told: list[Fact] = []
    for _ in minting:
        assert sandbox.sender.send() < len(minting)
        told += sandbox.settle()
    assert {sandbox.state(intent_id) for intent_id in minting} == {IntentState.DONE}
    assert of(told, "refused") == []


@pytest.mark.parametrize("room", [1, 2, 3])
def test_what_may_only_lack_room_is_not_told_as_refused(sandbox: Sandbox, alice: str, room: int) -> None:
    sandbox.verify(alice)
    sandbox.attest(1000 * CNH)
    sandbox.proxy.intercepts["eth_simulateV1"] = few(room)
    minting = [mint(sandbox, (alice, 1), reference=f"0x{number:064x}") for number in range(4)]
    malformed = mint(sandbox, ("nobody", 1))
    assert sandbox.sender.send() == room
    told = [fact for _ in range(5) for fact in sandbox.settle()]
    assert {sandbox.state(intent_id) for intent_id in minting} == {IntentState.DONE}
    assert [refused["intent_id"] for refused in of(told, "refused")] == [malformed]


def test_what_fails_without_a_word_alone_in_its_block_is_told(sandbox: Sandbox, alice: str) -> None:
    sandbox.proxy.intercepts["eth_simulateV1"] = few(0)
    intent_id = sandbox.emit("verify", accounts=[alice])
    assert sandbox.sender.send() == 1
    (refused,) = sandbox.told("refused")
    assert (refused["intent_id"], refused["error"], refused["arguments"]) == (intent_id, "unknown", ["0x"])


def test_a_key_whose_calls_a_node_refuses_holds_up_no_other(sandbox: Sandbox, alice: str) -> None:
    registrar = address(sandbox, Job.REGISTRAR).lower()

    def refuse(request: dict[str, Any], forward: proxy.Forward) -> Any:
        (call,) = request["params"][0]["blockStateCalls"][0]["calls"]
        known = call["from"].lower() != registrar
        return forward(request) if known else proxy.error(-32005, "limit exceeded")(request, forward)

    sandbox.proxy.intercepts["eth_simulateV1"] = refuse
    verifying = sandbox.emit("verify", accounts=[alice])
    freezing = sandbox.emit("freeze", accounts=[alice])
    with pytest.raises(Unreachable, match="limit exceeded"):
        sandbox.sender.send()
    assert [sandbox.state(verifying), sandbox.state(freezing)] == [IntentState.OPEN, IntentState.BOUND]


# -- crashes and silence


def test_a_crash_at_any_point_sends_once(sandbox: Sandbox, alice: str) -> None:
    """Die at every named point of sending and looking in turn; at the end everything has happened once."""
    sandbox.verify(alice)
    sandbox.attest(1000 * CNH)
    dead: set[str] = set()

    def die(name: str) -> None:
        if name not in dead:
            dead.add(name)
            raise KeyboardInterrupt

    rounds = 0
    minting = mint(sandbox, (alice, CNH))
    refused = mint(sandbox, ("0x" + "11" * 20, 1))
    while sandbox.state(minting) != IntentState.DONE:
        rounds += 1
        assert rounds < 60
        crash.observe(die)
        try:
            sandbox.sender.send()
            sandbox.chain.mine()
            sandbox.outcomes.collect()
            sandbox.watcher.collect()
            sandbox.outcomes.collect()
        except KeyboardInterrupt:
            pass
        finally:
            crash.observe(None)
        sandbox.take()
    assert {"before chain.broadcast", "after chain.broadcast"} <= dead
    assert {f"{when} commit {name}" for when in ("before", "after") for name in COMMITS} <= dead
    assert supply(sandbox) == CNH
    assert sandbox.state(refused) == IntentState.VOID
    assert len([row for row in sandbox.rows(tables.transaction) if row.intent_id == minting]) == 1


COMMITS = ("store signed bytes", "tell a refusal", "take final blocks", "tell an outcome", "show where it is mined")


def test_silence_at_broadcast_sends_the_same_bytes_again(sandbox: Sandbox, alice: str) -> None:
    sandbox.emit("verify", accounts=[alice])
    sandbox.proxy.intercepts["eth_sendRawTransaction"] = proxy.silence
    with pytest.raises(Unreachable):
        sandbox.sender.send()
    (stored,) = sandbox.rows(tables.attempt)
    sent = broadcasts(sandbox)
    assert sandbox.sender.send() == 0
    assert sent == [stored.raw]
    assert [one["outcome"] for one in of(sandbox.settle(), "sent")] == ["done"]


def test_an_answer_that_was_lost_is_no_failure(sandbox: Sandbox, alice: str) -> None:
    """The node took it and the answer did not arrive; "already known" then says nothing new."""
    sandbox.emit("verify", accounts=[alice])

    def lost(request: dict[str, Any], forward: proxy.Forward) -> None:
        forward(request)

    sandbox.proxy.intercepts["eth_sendRawTransaction"] = lost
    with pytest.raises(Unreachable):
        sandbox.sender.send()
    sandbox.proxy.intercepts.clear()
    sandbox.sender.send()
    assert [one["outcome"] for one in of(sandbox.settle(), "sent")] == ["done"]
    assert len(sandbox.rows(tables.attempt)) == 1


@pytest.mark.parametrize("message", ["already known", "nonce too low", "replacement transaction underpriced", "full"])
def test_no_refusal_of_a_broadcast_changes_anything(sandbox: Sandbox, alice: str, message: str) -> None:
    intent_id = sandbox.emit("verify", accounts=[alice])
    sandbox.proxy.intercepts["eth_sendRawTransaction"] = proxy.error(-32000, message)
    for _ in range(3):
        sandbox.sender.send()
        sandbox.chain.finalize()
        sandbox.watcher.collect()
        sandbox.outcomes.collect()
    assert of(sandbox.take(), "sent") == []
    assert sandbox.state(intent_id) == IntentState.BOUND
    assert len(sandbox.rows(tables.attempt)) == 1


def test_a_forgotten_transaction_is_sent_again(sandbox: Sandbox, alice: str) -> None:
    sandbox.emit("verify", accounts=[alice])
    sandbox.sender.send()
    sandbox.chain.drop_pool()
    assert [one["outcome"] for one in of(sandbox.settle(), "sent")] == ["done"]


def test_a_missing_receipt_is_no_outcome(sandbox: Sandbox, alice: str) -> None:
    """It is mined and final, and the node does not find it: not failed, not foreign, not sent anew."""
    intent_id = sandbox.emit("verify", accounts=[alice])
    sandbox.sender.send()
    sandbox.chain.finalize()
    sandbox.proxy.intercepts["eth_getTransactionReceipt"] = proxy.result(None)
    for _ in range(2):
        sandbox.watcher.collect()
        sandbox.outcomes.collect()
        sandbox.sender.send()
    assert of(sandbox.take(), "sent") == []
    assert sandbox.state(intent_id) == IntentState.BOUND
    sandbox.proxy.intercepts.clear()
    sandbox.outcomes.collect()
    assert [one["outcome"] for one in sandbox.told("sent")] == ["done"]


def test_an_outcome_waits_until_the_watcher_has_taken_its_block(sandbox: Sandbox, alice: str) -> None:
    sandbox.watcher.collect()
    sandbox.emit("verify", accounts=[alice])
    sandbox.sender.send()
    sandbox.chain.finalize()
    assert sandbox.outcomes.collect() == 0
    (row,) = sandbox.rows(tables.transaction)
    assert row.mined_block == sandbox.chain.number() - 2
    sandbox.watcher.collect()
    assert sandbox.outcomes.collect() == 1
    assert sandbox.outcomes.collect() == 0


@pytest.mark.parametrize("receipts", [True, False])
def test_no_outcome_is_told_from_another_chain_than_the_facts(sandbox: Sandbox, alice: str, receipts: bool) -> None:
    """Broken finality moves a mint to before the block after which it was signed: it is neither done nor foreign."""
    sandbox.verify(alice)
    sandbox.attest(CNH)
    sandbox.chain.finalize()
    sandbox.watcher.collect()
    minting = mint(sandbox, (alice, CNH))
    sandbox.sender.send()
    (form,) = forms(sandbox, minting)
    sandbox.chain.drop_pool()
    sandbox.chain.mine(5)
    sandbox.watcher.collect()
    sandbox.chain.ask("anvil_reorg", 8, [[form.raw, 0]])
    assert supply(sandbox) == CNH
    if not receipts:
        sandbox.proxy.intercepts["eth_getTransactionReceipt"] = proxy.result(None)
    assert sandbox.outcomes.collect() == 0
    assert sandbox.state(minting) == IntentState.BOUND


def test_nothing_is_judged_by_a_node_that_is_behind_what_is_final(sandbox: Sandbox, alice: str) -> None:
    """It would refuse a mint to a wallet whose verification it has not seen."""
    sandbox.attest(CNH)
    before = hex(sandbox.chain.number())
    sandbox.verify(alice)
    sandbox.chain.finalize()
    sandbox.watcher.collect()
    sandbox.take()
    minting = mint(sandbox, (alice, CNH))

    def behind(request: dict[str, Any], forward: proxy.Forward) -> Any:
        place, full = request["params"]
        return forward(request | {"params": [before if place == "latest" else place, full]})

    sandbox.proxy.intercepts["eth_getBlockByNumber"] = behind
    assert sandbox.sender.send() == 0
    assert (sandbox.take(), sandbox.state(minting)) == ([], IntentState.OPEN)
    sandbox.proxy.intercepts.clear()
    assert sandbox.sender.send() == 1
    assert of(sandbox.settle(), "minted")


def test_a_transaction_that_a_reorganisation_takes_back_is_sent_again(sandbox: Sandbox, alice: str) -> None:
    sandbox.emit("verify", accounts=[alice])
    sandbox.sender.send()
    sandbox.chain.mine()
    sandbox.outcomes.collect()
    assert sandbox.rows(tables.transaction)[0].mined_block == sandbox.chain.number()
    sandbox.chain.reorganise(1)
    sandbox.chain.drop_pool()
    sandbox.outcomes.collect()
    assert sandbox.rows(tables.transaction)[0].mined_block is None
    found = sandbox.settle()
    assert [one["outcome"] for one in of(found, "sent")] == ["done"]
    assert [one["account"] for one in of(found, "verified")] == [alice]


def test_a_transaction_that_fails_on_chain_frees_its_intent(sandbox: Sandbox, alice: str) -> None:
    sandbox.verify(alice)
    sandbox.attest(CNH)
    minting = mint(sandbox, (alice, CNH))
    sandbox.sender.send()
    # Something stops the mint between its simulation and its block.
    data = contracts.TOKEN.call("stop", contracts.MINT)
    sandbox.chain.ask("anvil_impersonateAccount", address(sandbox, Job.GUARDIAN))
    call = {"from": address(sandbox, Job.GUARDIAN), "to": sandbox.deployment.token, "data": data}
    sandbox.chain.ask(
        "eth_sendTransaction", call | {"maxFeePerGas": "0x174876e800", "maxPriorityFeePerGas": "0x174876e800"}
    )
    found = sandbox.settle()
    (sent,) = of(found, "sent")
    assert (sent["intent_id"], sent["outcome"]) == (minting, "reverted")
    assert sandbox.state(minting) == IntentState.VOID
    assert of(found, "minted") == []


# -- fees


def waiting_mint(sandbox: Sandbox, alice: str) -> int:
    sandbox.verify(alice)
    sandbox.attest(CNH)
    minting = mint(sandbox, (alice, CNH))
    sandbox.sender.send()
    return minting


def forms(sandbox: Sandbox, intent_id: int) -> list[Any]:
    (row,) = [row for row in sandbox.rows(tables.transaction) if row.intent_id == intent_id]
    found = [form for form in sandbox.rows(tables.attempt) if form.transaction_id == row.id]
    return sorted(found, key=lambda form: form.max_fee)


def test_a_long_wait_raises_both_fees_and_nothing_else(sandbox: Sandbox, alice: str, clock: Any) -> None:
    minting = waiting_mint(sandbox, alice)
    clock.advance(59)
    assert sandbox.sender.send() == 0
    clock.advance(1)
    assert sandbox.sender.send() == 1
    first, second = (decode(form.raw) for form in forms(sandbox, minting))
    assert 8 * second.max_fee >= 9 * first.max_fee
    assert 8 * second.priority_fee >= 9 * first.priority_fee
    alike = replace(second, max_fee=first.max_fee, priority_fee=first.priority_fee, hash=first.hash)
    assert alike == first
    found = sandbox.settle()
    assert [one["transaction"] for one in of(found, "sent")] == [second.hash]
    assert supply(sandbox) == CNH


def test_it_may_be_mined_under_an_earlier_hash(sandbox: Sandbox, alice: str, clock: Any) -> None:
    minting = waiting_mint(sandbox, alice)
    sandbox.proxy.intercepts["eth_sendRawTransaction"] = proxy.error(-32000, "full")
    clock.advance(60)
    sandbox.sender.send()
    sandbox.proxy.intercepts.clear()
    sandbox.chain.finalize()
    sandbox.watcher.collect()
    sandbox.outcomes.collect()
    first, _ = forms(sandbox, minting)
    assert [(one["outcome"], one["transaction"]) for one in sandbox.told("sent")] == [("done", first.hash)]


def test_past_the_cap_it_is_told_and_kept(sandbox: Sandbox, alice: str, clock: Any) -> None:
    sandbox.limits = Limits(max_fee=5 * 10**9)
    minting = waiting_mint(sandbox, alice)
    for _ in range(12):
        clock.advance(60)
        sandbox.sender.send()
    offered = [form.max_fee for form in forms(sandbox, minting)]
    assert len(offered) > 1
    assert max(offered) <= 5 * 10**9
    stuck = sandbox.told("stuck")
    assert [one["intent_id"] for one in stuck] == [minting] * len(stuck)
    assert 1 <= len(stuck) <= 2
    assert sandbox.state(minting) == IntentState.BOUND


def test_a_key_that_cannot_pay_what_it_offers_does_not_offer_more(sandbox: Sandbox, alice: str, clock: Any) -> None:
    """It waits for money, and says so; a fee that rose meanwhile would have made it need more."""
    minting = waiting_mint(sandbox, alice)
    sender = address(sandbox, Job.SENDER)
    sandbox.chain.fund(sender, 10**13)
    for _ in range(3):
        clock.advance(60)
        assert sandbox.sender.send() == 0
    (low,) = sandbox.told("low-gas")
    assert (low["role"], low["address"], low["balance"]) == ("sender", sender, 10**13)
    assert sandbox.told("stuck") == []
    assert len(forms(sandbox, minting)) == 1
    sandbox.chain.fund(sender)
    assert sandbox.sender.send() == 1
    assert of(sandbox.settle(), "minted")


def test_an_operator_cancels_what_is_stuck(sandbox: Sandbox, alice: str) -> None:
    minting = waiting_mint(sandbox, alice)
    (row,) = [row for row in sandbox.rows(tables.transaction) if row.intent_id == minting]
    hash_ = sandbox.sender.cancel(row.id)
    found = sandbox.settle()
    (sent,) = of(found, "sent")
    assert (sent["outcome"], sent["transaction"]) == ("cancelled", hash_)
    assert sandbox.state(minting) == IntentState.VOID
    assert supply(sandbox) == 0


def test_a_cancellation_needs_no_more_than_its_own_gas(sandbox: Sandbox, alice: str, clock: Any) -> None:
    """Its fee is raised by a key that could not pay for the call any more."""
    minting = waiting_mint(sandbox, alice)
    (row,) = [row for row in sandbox.rows(tables.transaction) if row.intent_id == minting]
    sandbox.sender.cancel(row.id)
    newest = forms(sandbox, minting)[-1]
    sandbox.chain.fund(address(sandbox), 2 * 21_000 * newest.max_fee)
    clock.advance(60)
    assert sandbox.sender.send() == 1
    raised = forms(sandbox, minting)[-1]
    assert raised.cancels
    assert raised.max_fee > newest.max_fee
    assert sandbox.told("low-gas") == []


def test_what_was_cancelled_too_late_is_done(sandbox: Sandbox, alice: str) -> None:
    """The first bytes are mined before those that were to take their place: the order is minted, and never again."""
    minting = waiting_mint(sandbox, alice)
    sandbox.proxy.intercepts["eth_sendRawTransaction"] = proxy.error(-32000, "full")
    sandbox.sender.cancel(sandbox.rows(tables.transaction)[-1].id)
    first = min(forms(sandbox, minting), key=lambda form: form.max_fee)
    (sent,) = of(sandbox.settle(), "sent")
    assert (sent["outcome"], sent["transaction"]) == ("done", first.hash)
    assert sandbox.state(minting) == IntentState.DONE
    assert supply(sandbox) == CNH


def test_a_stuck_predecessor_is_never_jumped(sandbox: Sandbox, alice: str, clock: Any) -> None:
    """The node has the second and not the first: neither is mined, and nothing is signed anew until both are."""
    sandbox.verify(alice)
    sandbox.attest(100 * CNH)
    refused: list[str] = []

    def refuse_first(request: dict[str, Any], forward: proxy.Forward) -> Any:
        raw = request["params"][0]
        refused.append(raw) if not refused else None
        return proxy.error(-32000, "full")(request, forward) if raw == refused[0] else forward(request)

    sandbox.proxy.intercepts["eth_sendRawTransaction"] = refuse_first
    for number in range(2):
        mint(sandbox, (alice, number + 1), reference=f"0x{number:064x}")
    assert sandbox.sender.send() == 2
    signed = len(sandbox.rows(tables.transaction))
    for _ in range(3):
        sandbox.chain.mine()
        clock.advance(1)
        sandbox.sender.send()
    assert supply(sandbox) == 0
    assert len(sandbox.rows(tables.transaction)) == signed
    sandbox.proxy.intercepts.clear()
    assert [one["first"] for one in of(sandbox.settle(), "minted")] == [1, 2]
    assert supply(sandbox) == 3


def test_what_does_not_wait_cannot_be_cancelled(sandbox: Sandbox) -> None:
    with pytest.raises(NotFound):
        sandbox.sender.cancel(1)


def stuck_mint(sandbox: Sandbox, alice: str, clock: Any) -> int:
    """A mint whose fee is at the cap, which is told."""
    sandbox.limits = Limits(max_fee=5 * 10**9)
    minting = waiting_mint(sandbox, alice)
    while not sandbox.told("stuck"):
        clock.advance(60)
        sandbox.sender.send()
    return minting


def test_a_cancellation_passes_the_cap_by_one_rise(sandbox: Sandbox, alice: str, clock: Any) -> None:
    """Where the lock says that it may be cancelled; then no more can be done, and nothing more is told."""
    minting = stuck_mint(sandbox, alice, clock)
    before, told = forms(sandbox, minting)[-1], sandbox.told("stuck")
    hash_ = sandbox.sender.cancel(before.transaction_id)
    last = forms(sandbox, minting)[-1]
    assert (last.hash, last.cancels) == (hash_, True)
    assert last.max_fee == -(-before.max_fee * 9 // 8) > 5 * 10**9
    clock.advance(3600)
    assert sandbox.sender.send() == 0
    assert forms(sandbox, minting)[-1] == last
    assert sandbox.told("stuck") == told
    (sent,) = of(sandbox.settle(), "sent")
    assert (sent["outcome"], sent["transaction"]) == ("cancelled", hash_)


def test_a_cancellation_past_the_cap_that_its_key_cannot_pay_is_told(sandbox: Sandbox, alice: str, clock: Any) -> None:
    minting = stuck_mint(sandbox, alice, clock)
    sandbox.sender.cancel(forms(sandbox, minting)[-1].transaction_id)
    sandbox.chain.fund(address(sandbox), 10**9)
    clock.advance(60)
    assert sandbox.sender.send() == 0
    assert 10**9 in [low["balance"] for low in sandbox.told("low-gas")]


def test_a_cancellation_that_waits_is_raised_past_the_cap_once(sandbox: Sandbox, alice: str, clock: Any) -> None:
    sandbox.limits = Limits(max_fee=5 * 10**9)
    minting = waiting_mint(sandbox, alice)
    sandbox.sender.cancel(forms(sandbox, minting)[-1].transaction_id)
    for _ in range(12):
        clock.advance(60)
        sandbox.sender.send()
    *others, last = [form.max_fee for form in forms(sandbox, minting)]
    assert max(others) <= 5 * 10**9 < last
    assert sandbox.told("stuck") == []


class Interrupted(Sender):
    """A process in which something happens while it opens its key and asks for fees."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def _suggest(self) -> Fees:
        once, self.meanwhile = self.meanwhile, lambda: None
        once()
        return super()._suggest()


def interrupted(sandbox: Sandbox, meanwhile: Callable[[], object]) -> Interrupted:
    limits = sandbox.limits
    made = Interrupted(sandbox.store, sandbox.node, sandbox.keys, sandbox.deployment, sandbox.clock, limits)
    made.meanwhile = meanwhile
    return made


def live(sandbox: Sandbox) -> Sent:
    with sandbox.store.read() as connection:
        (sent,) = transactions.live(connection)
    fees = [form.max_fee for form in sent.attempts]
    assert sorted(set(fees)) == fees, "no two forms offer the same"
    return sent


@BOTH
def test_a_cancellation_beside_a_rise_of_the_fee_is_the_newest_form(
    sandbox: Sandbox, alice: str, clock: ManualClock
) -> None:
    waiting_mint(sandbox, alice)
    clock.advance(60)
    operator = interrupted(sandbox, sandbox.sender.send)
    operator._name = "an operator's command"
    hash_ = operator.cancel(live(sandbox).id)
    assert [form.cancels for form in live(sandbox).attempts] == [False, False, True]
    assert live(sandbox).newest.hash == hash_


@BOTH
def test_a_rise_of_the_fee_beside_a_cancellation_is_none(sandbox: Sandbox, alice: str, clock: ManualClock) -> None:
    """Its forms were read before the cancellation was stored, and its duty taken back after."""
    waiting_mint(sandbox, alice)
    clock.advance(60)
    (sent,) = sandbox.sender._live()
    hash_ = sandbox.sender.cancel(sent.id)
    service = sandbox.sender
    term = service._hold(sent.role)
    assert term is not None
    assert service._send_again(sent, term) == 0
    assert [form.cancels for form in live(sandbox).attempts] == [False, True]
    assert live(sandbox).newest.hash == hash_


def test_a_cancellation_is_signed_once_and_sent_again(sandbox: Sandbox, alice: str) -> None:
    minting = waiting_mint(sandbox, alice)
    transaction_id, sent = forms(sandbox, minting)[-1].transaction_id, broadcasts(sandbox)
    hashes = {sandbox.sender.cancel(transaction_id) for _ in range(2)}
    assert hashes == {form.hash for form in forms(sandbox, minting) if form.cancels}
    assert len(hashes) == len(set(sent)) == 1
    assert len(sent) == 2
    sandbox.settle()
    with pytest.raises(NotFound, match="has ended"):
        sandbox.sender.cancel(transaction_id)


def test_a_key_without_gas_money_is_told_once_and_goes_on_when_paid(sandbox: Sandbox, alice: str) -> None:
    intent_id = sandbox.emit("verify", accounts=[alice])
    registrar = address(sandbox, Job.REGISTRAR)
    sandbox.chain.fund(registrar, 10**13)
    for _ in range(3):
        assert sandbox.sender.send() == 0
    (low,) = sandbox.told("low-gas")
    assert (low["role"], low["address"], low["balance"]) == ("registrar", registrar, 10**13)
    assert low["needed"] > 10**13
    assert sandbox.rows(tables.transaction) == []
    sandbox.chain.fund(registrar)
    assert sandbox.sender.send() == 1
    assert sandbox.state(intent_id) == IntentState.BOUND


# -- keys that somebody else uses


def test_a_foreign_transaction_at_our_nonce_halts_the_key(sandbox: Sandbox, alice: str) -> None:
    minting = waiting_mint(sandbox, alice)
    nonce = sandbox.rows(tables.transaction)[-1].nonce
    hash_ = spend(sandbox, Job.SENDER, nonce)
    sandbox.chain.mine()
    sandbox.outcomes.collect()
    assert of(sandbox.take(), "sent") == [], "nothing is decided before it is final"
    found = sandbox.settle()
    (sent,) = of(found, "sent")
    assert (sent["intent_id"], sent["outcome"], sent["transaction"]) == (minting, "foreign", hash_)
    assert sandbox.state(minting) == IntentState.VOID
    assert supply(sandbox) == 0
    again = mint(sandbox, (alice, CNH))
    assert sandbox.sender.send() == 0
    resume(sandbox, Job.SENDER)
    assert sandbox.sender.send() == 1
    assert sandbox.state(again) == IntentState.BOUND
    assert len(of(sandbox.settle(), "minted")) == 1


def test_a_foreign_transaction_at_a_free_nonce_halts_the_key(sandbox: Sandbox, alice: str) -> None:
    sandbox.verify(alice)
    spend(sandbox, Job.REGISTRAR, 1)
    sandbox.chain.mine()
    sandbox.emit("unverify", accounts=[alice])
    assert sandbox.sender.send() == 0
    assert sandbox.outcomes.collect() == 1
    (halted,) = sandbox.told("halted")
    assert (halted["signer"], halted["role"], halted["nonce"]) == (address(sandbox, Job.REGISTRAR), "registrar", 1)
    assert sandbox.outcomes.collect() == 0
    assert sandbox.sender.send() == 0
    with pytest.raises(Refused, match="not final yet"):
        resume(sandbox, Job.REGISTRAR)
    sandbox.chain.finalize()
    sandbox.watcher.collect()
    resume(sandbox, Job.REGISTRAR)
    assert sandbox.sender.send() == 1
    assert sandbox.rows(tables.transaction)[-1].nonce == 2


@pytest.mark.parametrize("job", [Job.GUARDIAN, Job.FREEZER, Job.ADMIN, Job.STANDBY])
def test_a_key_that_was_never_used_here_is_watched(sandbox: Sandbox, job: Job) -> None:
    """From the deployment on, whose own transactions are the deployer's alone."""
    sandbox.watcher.collect()
    assert sandbox.outcomes.collect() == 0
    sandbox.take()
    spend(sandbox, job, 0)
    sandbox.chain.finalize()
    sandbox.watcher.collect()
    assert sandbox.outcomes.collect() == 1
    (halted,) = sandbox.told("halted")
    assert (halted["signer"], halted["role"], halted["nonce"]) == (address(sandbox, job), job, 0)
    assert sandbox.outcomes.collect() == 0


def test_a_key_that_was_used_before_reading_began_is_watched(sandbox: Sandbox) -> None:
    spend(sandbox, Job.GUARDIAN, 0)
    sandbox.chain.finalize()
    sandbox.watcher.collect()
    assert sandbox.outcomes.collect() == 1
    assert sandbox.told("halted")[0]["role"] == Job.GUARDIAN


def test_what_a_key_did_before_the_deployment_is_no_thiefs(sandbox: Sandbox) -> None:
    spend(sandbox, Job.GUARDIAN, 0)
    sandbox.chain.finalize()
    later = replace(sandbox.deployment, block=sandbox.chain.number() - 2)
    watcher = Watcher(sandbox.store, sandbox.node, later, Finality(depth=None))
    watcher.collect()
    assert Outcomes(sandbox.store, sandbox.node, watcher).collect() == 0


def test_a_process_goes_on_watching_its_keys(sandbox: Sandbox, alice: str) -> None:
    """It counts their transactions with each new block, and not between two."""
    sandbox.verify(alice)
    watcher = sandbox.watcher
    process = Outcomes(sandbox.store, sandbox.node, watcher)
    for asked in (len(sandbox.rows(tables.signer)), 0):
        watcher.collect()
        before = sandbox.proxy.methods.count("eth_getTransactionCount")
        assert process.collect() == 0
        assert sandbox.proxy.methods.count("eth_getTransactionCount") == before + asked
    spend(sandbox, Job.REGISTRAR, 1)
    sandbox.chain.mine()
    watcher.collect()
    assert process.collect() == 1
    (halted,) = sandbox.told("halted")
    assert halted["signer"] == address(sandbox, Job.REGISTRAR)


def test_a_nonce_that_was_used_without_a_transaction_is_foreign_too(sandbox: Sandbox, alice: str) -> None:
    """A key can use up a nonce by an EIP-7702 authorization that somebody else sends."""
    minting = waiting_mint(sandbox, alice)
    nonce = sandbox.rows(tables.transaction)[-1].nonce
    sandbox.chain.drop_pool()
    sandbox.chain.ask("anvil_setNonce", address(sandbox), hex(nonce + 1))
    sandbox.chain.finalize()
    sandbox.watcher.collect()
    sandbox.outcomes.collect()
    (sent,) = of(sandbox.take(), "sent")
    assert (sent["intent_id"], sent["outcome"], sent["transaction"]) == (minting, "foreign", "")
    assert "without a transaction" in sent["reason"]
    assert sandbox.state(minting) == IntentState.VOID


def test_other_keys_go_on_while_one_is_halted(sandbox: Sandbox, alice: str) -> None:
    sandbox.verify(alice)
    spend(sandbox, Job.REGISTRAR, 1)
    sandbox.chain.mine()
    sandbox.outcomes.collect()
    sandbox.emit("unverify", accounts=[alice])
    freezing = sandbox.emit("freeze", accounts=[alice])
    assert sandbox.sender.send() == 1
    assert sandbox.state(freezing) == IntentState.BOUND


# -- several processes


@BOTH
def test_one_nonce_and_one_intent_are_taken_once(sandbox: Sandbox, alice: str) -> None:
    sandbox.emit("verify", accounts=[alice])
    other = sandbox.emit("unverify", accounts=[alice])
    sandbox.limits = Limits(in_flight=1)
    sandbox.sender.send()
    (form,) = sandbox.rows(tables.attempt)
    with sandbox.store.read() as connection:
        first, second = intents.get(connection, 1), intents.get(connection, other)
    for intent in (first, second):
        with pytest.raises(Conflict), sandbox.store.unit("too late") as unit:
            transactions.store(unit, intent, decode(form.raw), form.raw, Job.REGISTRAR, term=1)
    assert sandbox.state(other) == IntentState.OPEN
    assert len(sandbox.rows(tables.transaction)) == 1


def another(sandbox: Sandbox) -> Sender:
    """The sender of another process."""
    sender = sandbox.sender
    sender._name = "another"
    return sender


def lapse(sandbox: Sandbox) -> None:
    """A lease's time is over."""
    with sandbox.store.unit("time passes") as unit:
        unit.connection.execute(update(tables.duty).values(lease=0))


@pytest.mark.parametrize("sandbox", ["postgresql"], indirect=True)
def test_one_process_sends_and_the_next_takes_over_when_it_is_silent(sandbox: Sandbox, alice: str) -> None:
    sandbox.emit("verify", accounts=[alice])
    sandbox.sender.send()
    following = sandbox.emit("unverify", accounts=[alice])
    assert another(sandbox).send() == 0
    assert sandbox.state(following) == IntentState.OPEN
    lapse(sandbox)
    assert another(sandbox).send() == 1
    assert sandbox.state(following) == IntentState.BOUND
    sandbox.settle()
    assert [row.outcome for row in sandbox.rows(tables.transaction)] == [Outcome.DONE, Outcome.DONE]


@BOTH
@pytest.mark.parametrize("act", ["sign", "refuse", "raise"])
def test_a_process_with_an_old_term_cannot_write(sandbox: Sandbox, alice: str, act: str, clock: ManualClock) -> None:
    sandbox.emit("verify", accounts=[alice])
    old = sandbox.sender
    old.send()
    following = sandbox.emit("unverify", accounts=[alice])
    (waiting,) = old._live()
    ground = old._ground(Job.REGISTRAR)
    assert ground is not None
    with sandbox.store.read() as connection:
        intent = intents.get(connection, following)
    ((_, draft),) = old._drafts(ground, [intent])
    assert isinstance(draft, Draft)
    clock.advance(60)
    lapse(sandbox)
    assert another(sandbox)._hold(waiting.role) == ground.term + 1
    before = sandbox.rows(tables.attempt)
    acts: dict[str, Callable[[], object]] = {
        "sign": lambda: old._take(ground, [old._sign(ground, draft)]),
        "refuse": lambda: old._refuse(ground, intent, Refusal(error="AccountFrozen", arguments=[])),
        "raise": lambda: old._bump(waiting, ground.term),
    }
    with pytest.raises(Conflict):
        acts[act]()
    assert (sandbox.state(following), sandbox.rows(tables.attempt)) == (IntentState.OPEN, before)
    assert sandbox.told("refused") == []


@pytest.mark.parametrize("sandbox", ["postgresql"], indirect=True)
def test_a_cancellation_is_not_overtaken_by_the_service_that_holds_the_key(sandbox: Sandbox, alice: str) -> None:
    sandbox.emit("verify", accounts=[alice])
    service = sandbox.sender
    service.send()
    (waiting,), ground = service._live(), service._ground(Job.REGISTRAR)
    assert ground is not None
    hash_ = another(sandbox).cancel(waiting.id)
    with pytest.raises(Conflict):
        service._bump(waiting, ground.term)
    (sent,) = of(sandbox.settle(), "sent")
    assert (sent["outcome"], sent["transaction"]) == ("cancelled", hash_)


class Part:
    """The keys of a home that lie on one machine."""

    def __init__(self, keys: Keystore, *jobs: Job) -> None:
        self._keys = keys
        self._jobs = jobs

    def has(self, name: str) -> bool:
        return name in self._jobs

    def address(self, name: str) -> str:
        assert self.has(name)
        return self._keys.address(name)

    def signer(self, name: str) -> Signer:
        assert self.has(name)
        return self._keys.signer(name)


@pytest.fixture
def attested(sandbox: Sandbox, alice: str) -> str:
    """A holder to whom may be minted, while no process does the sender's duty."""
    sandbox.verify(alice)
    sandbox.attest(1000 * CNH)
    lapse(sandbox)
    return alice


def machine(sandbox: Sandbox, minting: Job) -> Sender:
    """The sender of a machine that has this minting key and no other key."""
    keys, limits = Part(sandbox.keys, minting), sandbox.limits
    made = Sender(sandbox.store, sandbox.node, keys, sandbox.deployment, sandbox.clock, limits, minting=minting)
    made._name = f"the {minting}'s machine"
    return made


def signers(sandbox: Sandbox) -> list[str]:
    """Whose keys have signed mints, in order."""
    jobs = {row.address: row.role for row in sandbox.rows(tables.signer)}
    mints = {row.id for row in sandbox.rows(tables.intent) if row.kind == "mint"}
    rows = sorted(sandbox.rows(tables.transaction), key=lambda row: row.id)
    return [jobs[row.signer] for row in rows if row.intent_id in mints]


@pytest.mark.parametrize("sandbox", ["postgresql"], indirect=True)
def test_a_standby_mints_with_a_key_of_its_own(sandbox: Sandbox, attested: str) -> None:
    first, second = machine(sandbox, Job.SENDER), machine(sandbox, Job.STANDBY)
    mint(sandbox, (attested, CNH))
    assert [first.send(), second.send()] == [1, 0]
    lapse(sandbox)
    mint(sandbox, (attested, CNH))
    assert second.send() == 0, "what the first machine has signed is not mined yet"
    sandbox.chain.mine()
    assert second.send() == 1
    mint(sandbox, (attested, CNH))
    assert first.send() == 0, "the other machine has taken over"
    assert second.send() == 1
    assert [event["first"] for event in of(sandbox.settle(), "minted")] == [1, 2, 3]
    assert signers(sandbox) == ["sender", "standby", "standby"]
    assert supply(sandbox) == 3 * CNH


@pytest.mark.parametrize("sandbox", ["postgresql"], indirect=True)
def test_a_machine_that_was_paused_does_not_mint_beside_the_standby(sandbox: Sandbox, attested: str) -> None:
    minting = mint(sandbox, (attested, CNH))
    first, second = machine(sandbox, Job.SENDER), machine(sandbox, Job.STANDBY)
    ground = first._ground(Job.SENDER)
    assert ground is not None
    with sandbox.store.read() as connection:
        ((_, draft),) = first._drafts(ground, [intents.get(connection, minting)])
    assert isinstance(draft, Draft)
    lapse(sandbox)
    assert second.send() == 1
    with pytest.raises(Conflict):
        first._take(ground, [first._sign(ground, draft)])
    assert signers(sandbox) == ["standby"]


@BOTH
def test_a_standby_passes_on_what_the_silent_machine_has_signed(sandbox: Sandbox, attested: str) -> None:
    mint(sandbox, (attested, CNH))
    sandbox.proxy.intercepts["eth_sendRawTransaction"] = proxy.silence
    with pytest.raises(Unreachable):
        machine(sandbox, Job.SENDER).send()
    sandbox.proxy.intercepts.clear()
    lapse(sandbox)
    assert machine(sandbox, Job.STANDBY).send() == 0
    (event,) = of(sandbox.settle(), "minted")
    assert event["first"] == 1
    assert signers(sandbox) == ["sender"]


@BOTH
def test_a_fee_that_no_machine_raises_is_told(sandbox: Sandbox, attested: str, clock: ManualClock) -> None:
    mint(sandbox, (attested, CNH))
    first, second = machine(sandbox, Job.SENDER), machine(sandbox, Job.STANDBY)
    first.send()
    lapse(sandbox)
    clock.advance(Limits().bump_after)
    second.send()
    assert sandbox.told("stuck") == [], "the machine with its key has time to raise it"
    clock.advance(Limits().bump_after)
    second.send()
    (stuck,) = sandbox.told("stuck")
    assert "no process with the sender key" in stuck["why"]
    assert first.send() == 1, "it is raised by the machine that has its key"


# -- what a holder sends, behind a node that lags


@pytest.fixture
def paid(sandbox: Sandbox, alice: str) -> Signed:
    """A payment that alice has signed and not sent."""
    bob = sandbox.keys.create_holder("bob", light=True)
    sandbox.verify(alice, bob)
    sandbox.attest(10 * CNH)
    mint(sandbox, (alice, 10 * CNH))
    sandbox.settle()
    sandbox.chain.fund(alice)
    sandbox.proxy.intercepts["eth_getTransactionByHash"] = proxy.result(None)
    return holder.transfer(sandbox.node, sandbox.keys.signer("alice"), sandbox.deployment, to=bob, value=CNH)


@pytest.mark.parametrize("blocks", [1, 2, 3, 13])
def test_a_payment_that_is_mined_and_not_found_is_not_called_lost(sandbox: Sandbox, paid: Signed, blocks: int) -> None:
    """Paid again under a new key, it would be paid twice."""
    holder.send(sandbox.node, paid.raw)
    sandbox.chain.mine(blocks)
    holder.send(sandbox.node, paid.raw)


@pytest.mark.parametrize("blocks", [1, 2, 3, 13])
def test_a_payment_is_lost_once_a_block_shows_another_in_its_place(
    sandbox: Sandbox, alice: str, paid: Signed, blocks: int
) -> None:
    other = holder.transfer(sandbox.node, sandbox.keys.signer("alice"), sandbox.deployment, to=alice, value=CNH)
    assert decode(other.raw).nonce == decode(paid.raw).nonce
    holder.send(sandbox.node, other.raw)
    sandbox.proxy.intercepts["eth_sendRawTransaction"] = proxy.error(-32000, "replacement transaction underpriced")
    with pytest.raises(Unreachable, match="did not take"):
        holder.send(sandbox.node, paid.raw)
    sandbox.chain.mine(blocks)
    with pytest.raises(Conflict, match="another transaction in the place"):
        holder.send(sandbox.node, paid.raw)


def test_a_nonce_without_a_transaction_loses_no_payment(sandbox: Sandbox, alice: str, paid: Signed) -> None:
    sandbox.chain.ask("anvil_setNonce", alice, hex(decode(paid.raw).nonce + 1))
    sandbox.chain.mine()
    with pytest.raises(Unreachable, match="did not take"):
        holder.send(sandbox.node, paid.raw)


# -- signers that do other than they should


class Crooked:
    """A signer that changes what it is asked to sign."""

    def __init__(self, honest: Signer, **changed: Any) -> None:
        self._honest = honest
        self._changed = changed
        self.address = honest.address

    def sign_transaction(self, transaction: dict[str, Any]) -> Signed:
        return self._honest.sign_transaction(transaction | self._changed)

    def sign_digest(self, digest: bytes) -> str:
        return self._honest.sign_digest(digest)


@pytest.mark.parametrize(
    "changed",
    [
        {"nonce": 7},
        {"value": 1},
        {"chainId": 1},
        {"data": contracts.TOKEN.call("verify", ["0x" + "66" * 20])},
        {"data": contracts.TOKEN.call("unverify", ["0x" + "11" * 20])},
    ],
    ids=["nonce", "value", "chain", "argument", "function"],
)
def test_what_is_signed_must_be_what_was_meant(sandbox: Sandbox, changed: dict[str, Any]) -> None:
    intent_id = sandbox.emit("verify", accounts=["0x" + "11" * 20])
    keys = sandbox.keys

    class Keys:
        def address(self, name: str) -> str:
            return keys.address(name)

        def has(self, name: str) -> bool:
            return keys.has(name)

        def signer(self, name: str) -> Signer:
            return Crooked(keys.signer(name), **changed)

    sender = Sender(sandbox.store, sandbox.node, Keys(), sandbox.deployment, sandbox.clock)
    sent = broadcasts(sandbox)
    with pytest.raises(BrokenInvariant):
        sender.send()
    assert sent == []
    assert sandbox.rows(tables.transaction) == []
    assert sandbox.state(intent_id) == IntentState.OPEN


def test_the_door_is_the_chains(sandbox: Sandbox) -> None:
    """An intent of the bank is not this sender's."""
    with sandbox.store.unit("emit") as unit:
        record_id = unit.connection.execute(
            tables.audit_record.insert().values(body=b"{}", subject="x", place=0).returning(tables.audit_record.c.id)
        ).scalar_one()
        intents.emit(unit, Door.BANK, "payment", "payout:1", {"payout_id": 1}, record_id)
    assert sandbox.sender.send() == 0


def test_outcomes_are_collected_by_any_process(sandbox: Sandbox, alice: str) -> None:
    sandbox.emit("verify", accounts=[alice])
    sandbox.sender.send()
    sandbox.chain.finalize()
    sandbox.watcher.collect()
    first, second = sandbox.outcomes, sandbox.outcomes
    assert [first.collect(), second.collect()] == [1, 0]
    assert len(sandbox.told("sent")) == 1
