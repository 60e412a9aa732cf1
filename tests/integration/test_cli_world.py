"""The command line over a deployed world: real chain, real bank and auditor, the issuer stepped by the test."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, update

from issuer import cli, crash
from issuer.chain import rpc
from issuer.chain.node import HttpNode
from issuer.messages.abi import checksum
from issuer.store import tables
from tests import anvil as chains
from tests.shell import Shell
from tests.world import A_BANK, B_BANK, PASSPHRASE, World

BIN = Path(sys.executable).parent


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


@pytest.fixture(scope="module")
def cycle(world: World) -> World:
    """A has 750, B has 150 and got 100 back; the bank has stated it and a report after it is final."""
    for wallet, name, account in (("a", "Platform A", A_BANK), ("b", "Platform B", B_BANK)):
        _do("customer", "add", name, "--jurisdiction", "HK", "--account", account)
        _do("wallet", "new", wallet)
        world.chain.fund(_address(world, wallet))
    for number, wallet in enumerate(("a", "b"), start=1):
        _do("wallet", "challenge", wallet, "--customer", str(number))
        _do("wallet", "register", wallet, "--sign-with", wallet)
    world.wire(A_BANK, "Platform A", "1000.00")
    _do("mint", "request", "1000.00", "--customer", "1", "--wallet", "a")
    world.until(lambda: world.orders() == [("final", None)])
    _do("transfer", "a", "b", "250.00", "--memo", "invoice 7")
    world.turn()
    _do("redeem", "b", "100.00")
    world.until(lambda: world.balances().get("bank:reserve") == 900_000_000)
    _do("report", "request")
    world.until(lambda: _do("status")["redemptions_unpaid"] == "0.000000")
    world.bank.statement(None)
    world.turn()
    return world


def _do(*arguments: str) -> Any:
    """Carry out a command line outside of a test's own capture."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = cli.run([*arguments, "--json"])
    assert status == 0, output.getvalue()
    return json.loads(output.getvalue())


def _address(world: World, wallet: str) -> str:
    return world.issuer.addresses.address(wallet)


def test_status_has_every_figure(cycle: World, shell: Shell) -> None:
    found = shell.answer("status")
    assert found["chain_id"] == 31337
    assert (found["genesis"], found["token"]) == (cycle.issuer.deployment.genesis, cycle.token)
    assert (found["supply"], found["redemptions_unpaid"]) == ("900.000000", "0.000000")
    assert (found["reserve"], found["coverage"], found["in_flight"]) == ("900.000000", "1.0000", "0.000000")
    assert isinstance(found["report"], int)
    assert 0 < found["final_block"] <= found["head_block"]
    assert (found["locks"], found["waits"]) == ([], [])
    _, out, _ = shell.run("status")
    assert "Nothing waits." in out


@pytest.mark.usefixtures("cycle")
@pytest.mark.parametrize(
    "command",
    [
        *((noun, "list") for noun in ("customer", "wallet", "deposit", "mint", "redemption", "payout", "act", "key")),
        *((noun, "show", "1") for noun in ("customer", "mint", "report")),
        ("redemption", "show", "100000000"),
        ("report", "show"),
        ("limit", "show"),
        ("ledger", "balances"),
        ("ledger", "journal"),
        ("audit", "trace", "1"),
        ("status",),
        ("step",),
    ],
    ids=" ".join,
)
def test_what_is_shown_to_people_and_programs_has_no_bare_integer_of_money(
    shell: Shell, command: tuple[str, ...]
) -> None:
    status, out, err = shell.run(*command)
    assert (status, err) == (0, "")
    text = json.dumps(shell.answer(*command))
    # 1000.00, 250.00, 750.00, 900.00 and 100.00 CNH as units and as fen; a redemption's number is such a sum.
    for bare in ("1000000000", "250000000", "750000000", "900000000", "100000", "25000", "75000", "90000"):
        assert not re.search(rf"(?<![\w.]){bare}(?![\w.])", out + text), bare


def test_reconciliation_is_exact(cycle: World, shell: Shell) -> None:
    found = shell.answer("reconcile")
    assert found["without_statement"] == []
    assert {line["difference"] for line in found["lines"]} == {"0.000000"}
    assert f"chain balance, holding {_address(cycle, 'a')}" in {line["what"] for line in found["lines"]}
    stated = [line["what"] for line in found["lines"] if line["what"].startswith("statement 2 until 20")]
    assert [what.partition(", ")[2] for what in stated] == ["books bank:reserve"]


@pytest.mark.parametrize(
    ("table", "column", "change", "named"),
    [
        (tables.holding, "balance", 1, "sum of holdings"),
        (tables.statement, "closing_fen", 1, "found, off by -0.010000 CNH"),
    ],
)
def test_the_smallest_difference_is_told(
    cycle: World, shell: Shell, table: Table, column: str, change: int, named: str
) -> None:
    cell = table.c[column]
    with cycle.issuer.store.unit("falsify") as unit:
        unit.connection.execute(update(table).where(cell > 0).values({column: cell + change}))
    try:
        code, what = shell.error("reconcile")
    finally:
        with cycle.issuer.store.unit("mend") as unit:
            unit.connection.execute(update(table).where(cell > 0).values({column: cell - change}))
    assert code == "unreconciled"
    assert named in what


def test_the_log_verifies_and_a_changed_record_does_not(cycle: World, shell: Shell) -> None:
    found = shell.answer("audit", "verify")
    assert found["holds"] is True
    assert 0 < found["anchored"] <= found["size"]
    bundle = _last_bundle(cycle)
    body = bundle.read_bytes()
    try:
        bundle.write_bytes(body.replace(b"customer.added", b"customer.baked"))
        code, what = shell.error("audit", "verify")
    finally:
        bundle.write_bytes(body)
    assert code == "unverified-log"
    assert "RECORDS" in what.upper()


def _last_bundle(world: World) -> Path:
    bundles = [path for path in (world.path / "issuer/log/tile/entries").rglob("*") if path.is_file()]
    return max(bundles, key=lambda path: path.stat().st_mtime_ns)


def test_an_anchor_that_the_log_does_not_lead_to_is_told(
    cycle: World, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from issuer.cli.home import Issuer

    size, _ = cycle.issuer.anchor() or (0, "")
    monkeypatch.setattr(Issuer, "anchor", lambda _: (size, "0x" + "00" * 32))
    code, what = shell.error("audit", "verify")
    assert code == "unverified-log"
    assert "anchored" in what


@pytest.mark.usefixtures("cycle")
def test_a_trace_shows_an_orders_whole_life(shell: Shell) -> None:
    found = shell.answer("audit", "trace", "1")
    steps = [event["what"] for event in found if event["source"] == "log"]
    for earlier, later in pairwise(_ORDER_LIFE):
        assert steps.index(earlier) < steps.index(later)
    assert {event["source"] for event in found} == {"log", "books", "bank", "chain"}
    # The wire that it was paid with, and the file that ordered its batch's money to the reserve.
    wired = next(event for event in found if event["what"] == "deposit.taken")
    assert wired["details"]["after"]["amount"] == "1000.00"
    ordered = [event["details"]["file"] for event in found if event["what"] == "document written"]
    assert any("pain.001-MINT" in name for name in ordered)
    assert shell.answer("audit", "trace", "order:1") == found


_ORDER_LIFE = (
    "mint.requested",
    "mint.reserved",
    "mint.batched",
    "payout.instructed",
    "payout.paid",
    "report.attested",
    "mint.released",
    "mint.final",
)


@pytest.mark.usefixtures("cycle")
@pytest.mark.parametrize("number", ["9223372036854775808", "9" * 5000, "0" * 19 + "15"])
def test_a_number_that_nothing_can_have_is_not_found(shell: Shell, number: str) -> None:
    for command in (("audit", "trace"), ("receipt",)):
        assert shell.error(*command, f"order:{number}")[0] == "not-found"


def test_a_trace_shows_a_redemptions_whole_life(shell: Shell) -> None:
    found = shell.answer("audit", "trace", "redemption:100000000")
    steps = [event["what"] for event in found if event["source"] == "log"]
    assert steps[0] == "redemption.burned"
    assert steps[-1] == "payout.paid"
    assert shell.error("audit", "trace", "order:100000000")[0] == "not-found"
    assert shell.run("audit", "trace", "redemption:5")[2].endswith("See `issuer redemption list`.\n")


@pytest.mark.usefixtures("cycle")
def test_what_holders_cannot_do_is_refused_by_the_contracts_own_error(shell: Shell) -> None:
    stranger = "0x52908400098527886E0F7030069857D2E4169EE7"
    assert shell.error("transfer", "a", stranger, "1.00")[1].startswith("the contract refuses: AccountNotVerified")
    _, _, err = shell.run("transfer", "a", "b", "1000000.00")
    assert "balance 750.000000 CNH, needed 1000000.000000 CNH" in err
    assert "FractionOfFen(value 0.000001 CNH)" in shell.error("redeem", "a", "0.000001")[1]
    assert "two decimals" in shell.run("redeem", "a", "0.000001")[2]
    assert "issuer wallet new nobody" in shell.run("transfer", "a", "nobody", "1.00")[2]


def test_a_holder_s_payment_under_one_key_is_sent_once(cycle: World, shell: Shell) -> None:
    before = cycle.view("balanceOf", _address(cycle, "b"))
    first = shell.answer("transfer", "a", "b", "1.00", "--key", "invoice-8")
    again = shell.answer("transfer", "a", "b", "1.00", "--key", "invoice-8")
    cycle.turn()
    mined = shell.answer("transfer", "a", "b", "1.00", "--key", "invoice-8")
    assert first["transaction"] == again["transaction"] == mined["transaction"]
    assert [found["request"]["replayed"] for found in (first, again, mined)] == [False, True, True]
    assert shell.error("transfer", "a", "b", "2.00", "--key", "invoice-8")[0] == "conflict"
    assert shell.error("redeem", "a", "1.00", "--key", "invoice-8")[0] == "conflict"
    cycle.turn()
    assert cycle.view("balanceOf", _address(cycle, "b")) == before + 1_000_000


def test_a_holder_s_payment_that_was_cut_short_is_sent_by_its_repetition(cycle: World, shell: Shell) -> None:
    _cut_short("redeem", "a", "1.00", "--key", "cut-short")
    before = cycle.view("redeemed")
    assert shell.answer("redeem", "a", "1.00", "--key", "cut-short")["request"]["replayed"]
    cycle.turn()
    assert cycle.view("redeemed") == before + 1_000_000


def test_bytes_whose_nonce_is_used_are_told_from_those_that_were_mined(cycle: World, shell: Shell) -> None:
    _cut_short("redeem", "a", "1.00", "--key", "overtaken")
    before = cycle.view("redeemed")
    shell.answer("redeem", "a", "2.00")
    cycle.turn()
    code, what = shell.error("redeem", "a", "1.00", "--key", "overtaken")
    assert (code, "another transaction in the place" in what) == ("conflict", True)
    assert cycle.view("redeemed") == before + 2_000_000


class PowerCut(BaseException):
    """The process is gone: nothing catches it."""


def _cut_short(*command: str) -> None:
    """A command that dies before anything is sent."""

    def die(name: str) -> None:
        if name == "before chain.broadcast":
            raise PowerCut

    crash.observe(die)
    try:
        with pytest.raises(PowerCut):
            cli.run(command)
    finally:
        crash.observe(None)


def test_unfreezing_is_proposed_against_the_freeze_of_now(cycle: World, shell: Shell) -> None:
    assert shell.error("unfreeze", "a", "--case", "c/1")[0] == "refused"
    shell.answer("freeze", "a", "--case", "c/1")
    _turns(cycle, lambda: cycle.view("accountOf", _address(cycle, "a"))["status"] & 2)
    assert "AccountFrozen" in shell.error("transfer", "a", "b", "1.00")[1]
    asked = shell.answer("unfreeze", "a", "--case", "c/2", "--key", "once")
    _turns(cycle, lambda: any(act["state"] == "accepted" for act in shell.answer("act", "list")))
    assert cycle.view("accountOf", _address(cycle, "a"))["status"] & 2 == 0
    # Repeated long after, the request is answered and nothing is looked up or proposed.
    again = shell.answer("unfreeze", "a", "--case", "c/2", "--key", "once")
    assert again == asked | {"request": {"key": "once", "replayed": True}}


def test_what_is_stopped_is_resumed_by_a_slow_act(cycle: World, shell: Shell) -> None:
    assert shell.error("resume", "mint", "--case", "s/1")[0] == "refused"
    shell.answer("stop", "transfer", "mint", "--case", "s/1")
    _turns(cycle, lambda: cycle.view("rules")["stops"] == 3)
    assert shell.error("resume", "redeem", "--case", "s/1")[0] == "refused"
    shell.answer("resume", "transfer", "mint", "--case", "s/2")
    _turns(cycle, lambda: cycle.view("rules")["stops"] == 0)


def test_a_limit_is_lowered_at_once_and_raised_slowly(cycle: World, shell: Shell) -> None:
    before = {row["key"]: row for row in shell.answer("limit", "show")}
    assert before["sender"]["capacity"] == "10000000.000000"
    higher = ("--capacity", "10000001.00", "--refill", "100.00", "--case", "l/1")
    assert shell.error("limit", "lower", "sender", *higher)[0] == "refused"
    lower = ("--capacity", "5000000.00", "--refill", "50.00", "--case", "l/1")
    assert shell.error("limit", "raise", "sender", *lower)[0] == "refused"
    shell.answer("limit", "lower", "sender", *lower)
    _turns(cycle, lambda: _capacity(shell, "sender") == "5000000.000000")
    shell.answer("limit", "raise", "sender", "--capacity", "6000000.00", "--refill", "50.00", "--case", "l/2")
    _turns(cycle, lambda: _capacity(shell, "sender") == "6000000.000000")
    assert _capacity(shell, "window") == before["window"]["capacity"]


def _capacity(shell: Shell, key: str) -> str:
    found: str = next(row["capacity"] for row in shell.answer("limit", "show") if row["key"] == key)
    return found


def test_a_waiting_act_can_be_cancelled(cycle: World, shell: Shell) -> None:
    shell.answer("limit", "raise", "window", "--capacity", "30000000.00", "--refill", "200.00", "--case", "l/3")
    # Without the issuer's step the delay passes and nothing accepts it.
    _turns(cycle, lambda: any(act["state"] == "proposed" for act in shell.answer("act", "list")))
    act = next(act for act in shell.answer("act", "list") if act["state"] == "proposed")
    assert (act["function"], act["arguments"]["capacity"]) == ("raise", "30000000.000000")
    shell.answer("act", "cancel", act["act_id"], "--case", "l/3")


SAYS_YES = "0x631626ba7e60e01b60005260206000f3"
"""Code that answers every call with the selector of isValidSignature(bytes32,bytes), as ERC-1271 says yes."""


@pytest.mark.parametrize(("code", "proven"), [("0x", False), ("0x60006000fd", False), (SAYS_YES, True)])
def test_a_wallet_that_is_a_contract_proves_itself(cycle: World, shell: Shell, code: str, proven: bool) -> None:
    address = checksum(f"0x{len(code):040x}")
    cycle.chain.ask("anvil_setCode", address, code)
    shell.answer("wallet", "challenge", address, "--customer", "1")
    command = ("wallet", "register", address, "--sign-with", "a")
    if proven:
        assert shell.answer(*command)["state"] == "registered"
    else:
        assert shell.error(*command)[0] == "refused"


def test_a_halted_key_is_resumed_by_a_person(cycle: World, shell: Shell) -> None:
    assert shell.error("key", "resume", "freezer")[0] == "refused"
    halted = update(tables.signer).where(tables.signer.c.role == "freezer")
    with cycle.issuer.store.unit("halt") as unit:
        unit.connection.execute(halted.values(halted="somebody used it"))
    assert "issuer key resume freezer" in str(shell.answer("status")["waits"])
    assert shell.answer("key", "resume", "freezer")["job"] == "freezer"
    assert {row["job"]: row["halted"] for row in shell.answer("key", "list")}["freezer"] is None


def test_a_cancellation_that_was_cut_short_is_ended_by_its_repetition(
    cycle: World, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waits() -> list[dict[str, Any]]:
        return [row for row in shell.answer("transaction", "list") if row["kind"] == "freeze"]

    shell.answer("freeze", "b", "--case", "c/9")
    while not waits():
        assert cycle.issuer.service.step()
    (waiting,) = waits()
    asked = ("transaction", "cancel", str(waiting["id"]), "--key", "cut")
    with monkeypatch.context() as silent:
        silent.setenv("RPC_URL", "http://127.0.0.1:1")
        assert shell.error(*asked)[0] == "unreachable"
    assert waits() == [waiting]
    assert shell.answer(*asked)["hash"] == waiting["hash"]
    (replaced,) = waits()
    assert (replaced["offers"], replaced["hash"] != waiting["hash"]) == (2, True)
    cycle.until(lambda: not waits())
    assert shell.answer(*asked)["hash"] == waiting["hash"], "the first answer stands for ever"
    assert shell.error(*asked[:-1], "anew")[0] == "not-found"


def test_another_chain_behind_the_address_is_refused(
    cycle: World, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    with chains.run(chain_id=1337) as other:
        monkeypatch.setenv("RPC_URL", other.url)
        for command in (("step",), ("reconcile",), ("transfer", "a", "b", "1.00"), ("limit", "show")):
            assert shell.error(*command)[0] == "misconfigured"
        assert shell.answer("status")["token"] == cycle.token


def test_the_daemon_ends_cleanly_when_it_is_asked(cycle: World) -> None:
    with subprocess.Popen([BIN / "issuer", "run"], stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        assert cycle.token in daemon.stdout.readline()
        daemon.send_signal(signal.SIGTERM)
        rest, _ = daemon.communicate(timeout=20)
    assert daemon.returncode == 0
    assert rest.splitlines()[-1].endswith("the service has ended")


def test_the_local_chain_goes_on_where_it_stood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISSUER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ISSUER_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("RPC_URL", f"http://127.0.0.1:{chains.free_port()}")
    _do("init")
    genesis = {_genesis_of_a_running_chain() for _ in range(2)}
    assert len(genesis) == 1


def _genesis_of_a_running_chain() -> str:
    with subprocess.Popen([BIN / "issuer", "chain"], stdout=subprocess.PIPE, text=True) as chain:
        assert chain.stdout is not None
        assert "answers" in chain.stdout.readline()
        node = HttpNode(os.environ["RPC_URL"])
        first = rpc.block(node, 0)
        node.close()
        chain.send_signal(signal.SIGTERM)
        assert chain.wait(timeout=20) == 0
    assert first is not None
    return first.hash


def _turns(world: World, reached: Any) -> None:
    for _ in range(10):
        if reached():
            return
        world.turn()
    raise AssertionError("not reached in 10 turns")
