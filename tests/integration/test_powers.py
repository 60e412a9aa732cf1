"""Every power over the contracts, from its command to the chain and back into log and books, held by the verifier.

Real chain, real bank and auditor; the world is older with each test, as an issuer's is.
"""

import shutil
import tomllib
from collections.abc import Callable
from typing import Any

import click
import pytest
from sqlalchemy import select, update

from issuer import cli
from issuer.audit import schema
from issuer.audit.record import decode
from issuer.chain import create2
from issuer.chain.compiler import compile_contracts
from issuer.chain.create2 import FACTORY
from issuer.chain.wiring import CONTRACT_FILES, Table
from issuer.messages.abi import ZERO_HASH, checksum, encode_values, keccak
from issuer.messages.contracts import AUTHORITY, CONSTRUCTORS, CONTRACTS, MINTER, TOKEN, WINDOW
from issuer.mockbank.auditor import Auditor
from issuer.money import format_units, parse_units
from issuer.operations import binding, powers
from issuer.store import tables
from issuer.verify import Verdict
from tests import stranger
from tests.anvil import ROOT
from tests.shell import Shell
from tests.stranger import A, B
from tests.world import A_BANK, PASSPHRASE, Holder, World

COURT = "012879000000001"
ANSWERS_ONE = "0x600160005260206000f3"
"""Code that answers every call with 1, as a token's transfer says that it succeeded."""

ROLES = Table(ROOT / "contracts" / "roles.toml").roles
CNH = 10**6


@pytest.fixture(scope="module", autouse=True)
def _life(world: World) -> None:
    stranger.live(world)


@pytest.fixture(scope="module")
def others(world: World) -> dict[str, str]:
    """Accounts outside this home that hold roles too, as a multisig does; nobody else uses the home's own keys."""
    held = {"ADMIN": Holder(0xAD).address, "FREEZER": Holder(0xF2).address}
    for role, account in held.items():
        arguments = {"roleId": ROLES[role], "account": account, "executionDelay": 0}
        with world.issuer.store.unit("grant", "operator:ann") as unit:
            powers.use(unit, "grantRole", arguments, case=f"multisig/{role}")
        world.until(lambda role=role, account=account: _holds(world, role, account))  # type: ignore[misc]
    return held


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


def acts(shell: Shell, case: str) -> list[str]:
    """How far each act under a case is."""
    return [row["state"] for row in shell.answer("act", "list") if row["case"] == case]


def done(world: World, shell: Shell, case: str, *arguments: str) -> None:
    """Order an act, and turn until the list of acts says that it is done."""
    asked = shell.answer(*arguments, "--case", case)
    assert "issuer act list" in asked["done_when"]
    assert "ordered" in acts(shell, case)
    assert shell.error("act", "wait", case, "--seconds", "0")[0] == "refused"
    world.until(lambda: set(acts(shell, case)) <= {"final", "accepted"}, turns=10)
    shell.answer("act", "wait", case)


def verified(world: World) -> Verdict:
    """The stranger's verdict, once the log has what the chain has: every statement holds."""
    world.turn()
    verdict = stranger.check(world)
    assert verdict.failure == ""
    return verdict


# -- seize


def test_what_is_seized_is_burned_owed_and_paid_as_its_case_orders(world: World, shell: Shell) -> None:
    held = world.view("balanceOf", B.address)
    assert shell.error("seize", B.address, "all", "--case", "HCMP/12")[1].endswith("is not frozen")
    done(world, shell, "HCMP/12", "freeze", B.address)
    assert shell.error("seize", B.address, "150000.01", "--case", "HCMP/12")[0] == "refused"
    done(world, shell, "HCMP/12", "seize", B.address, "all")
    assert (world.view("balanceOf", B.address), held) == (0, parse_units("150000"))
    act = next(row for row in shell.answer("act", "list") if row["function"] == "seize")
    assert act["arguments"]["value"] == "150000.000000"
    assert act["arguments"]["caseId"] == powers.case_id("HCMP/12")

    redemption = shell.answer("redemption", "list")[-1]
    number = str(redemption["id"])
    assert (redemption["state"], redemption["value"]) == ("held", "150000.000000")
    assert number in str(shell.answer("status")["waits"])
    payee = ("--account", COURT, "--name", "High Court")
    assert shell.error("redemption", "release", number)[1].endswith("was seized")
    assert shell.error("redemption", "approve", number)[1].endswith("has no payee to approve")
    assert shell.error("redemption", "direct", number, *payee, "--case", "HCMP/13")[1].endswith("under another case")
    shell.answer("redemption", "direct", number, *payee, "--case", "HCMP/12")
    assert "by the person who named it" in shell.error("redemption", "approve", number)[1]
    shell.answer("redemption", "approve", number, "--operator", "ben")
    world.until(lambda: shell.answer("redemption", "show", number)["state"] == "paid")

    paid = shell.answer("payout", "list")[-1]
    assert (paid["creditor_account"], paid["amount"], paid["fee"]) == (COURT, "150000.00", "0.00")
    stranger.report(world)
    world.bank.statement(None)
    world.turn()
    assert {line["difference"] for line in shell.answer("reconcile")["lines"]} == {"0.000000"}
    assert shell.answer("status")["redemptions_unpaid"] == "0.000000"
    assert verified(world).outside == 0


def test_a_payee_that_is_not_the_logs_is_not_paid(world: World, shell: Shell) -> None:
    """Whoever can change the database cannot send the seized money elsewhere."""
    world.call(A, "transfer", Holder(0xD).address, 0)
    done(world, shell, "HCMP/14", "freeze", A.address)
    done(world, shell, "HCMP/14", "seize", A.address, "10.00")
    number = str(shell.answer("redemption", "list")[-1]["id"])
    shell.answer("redemption", "direct", number, "--account", COURT, "--name", "High Court", "--case", "HCMP/14")
    payee_of = update(tables.redemption).where(tables.redemption.c.id == int(number))
    with world.issuer.store.unit("change the payee") as unit:
        unit.connection.execute(payee_of.values(payee_account="666666666666"))
    shell.answer("redemption", "approve", number, "--operator", "ben")
    world.turn()
    (lock,) = shell.answer("lock", "list")
    assert (lock["scope"], lock["code"]) == ("payouts", "altered-customer")
    with world.issuer.store.unit("put it back") as unit:
        unit.connection.execute(payee_of.values(payee_account=COURT))
    shell.answer("lock", "clear", str(lock["id"]))
    world.until(lambda: shell.answer("redemption", "show", number)["state"] == "paid")
    done(world, shell, "HCMP/15", "unfreeze", A.address)


# -- attestors


def test_an_attestors_key_is_rotated_without_a_gap(world: World, shell: Shell) -> None:
    old = world.auditor.attestor
    fresh = Auditor.create(world.path / "next", world.path / "elsewhere", world.clock, PASSPHRASE)
    new = fresh.attestor
    fresh.close()
    assert "none can be spared" in shell.error("attestor", "remove", old, "--case", "key/1")[1]
    done(world, shell, "key/1", "attestor", "add", new)
    assert shell.answer("attestor", "list")["of"] == 3

    world.auditor.close()
    (world.settings.bank_folder / "keys" / "auditor.json").unlink()
    shutil.copy(world.path / "next" / "attestor.json", world.path / "auditor" / "attestor.json")
    world.auditor = Auditor.open(world.path / "auditor", world.clock, PASSPHRASE)
    world.turn()
    assert shell.error("attestor", "add", "auditor", "--case", "key/1")[1].startswith(new)
    stranger.report(world)
    done(world, shell, "key/2", "attestor", "remove", old)
    stranger.report(world)
    found = shell.answer("attestor", "list")
    assert (set(found["attestors"]), found["quorum"]) == ({world.bank.attestor, new}, 2)
    verdict = verified(world)
    assert (verdict.quorum, verdict.outside) == ("2 of 2", 0)


def test_the_verifier_follows_a_quorum(world: World, shell: Shell) -> None:
    third = Holder(0xE).address
    assert "a quorum is 2 to 2" in shell.error("attestor", "quorum", "3", "--case", "q/1")[1]
    done(world, shell, "q/1", "attestor", "add", third)
    done(world, shell, "q/2", "attestor", "quorum", "3")
    assert verified(world).quorum == "3 of 3"
    with world.issuer.store.read() as connection:
        assert binding.get(connection).quorum == 3
    done(world, shell, "q/3", "attestor", "quorum", "2")
    done(world, shell, "q/4", "attestor", "replace", third, Holder(0xF).address)
    done(world, shell, "q/5", "attestor", "remove", Holder(0xF).address)
    stranger.report(world)
    assert verified(world).quorum == "2 of 2"


# -- limits and the minter


def test_a_minting_key_is_revoked_at_once(world: World, shell: Shell) -> None:
    done(world, shell, "stolen/1", "limit", "lower", "sender", "--capacity", "0", "--refill", "0")
    sender = world.issuer.deployment.keys["sender"]
    assert not _holds(world, "MINTING_KEY", sender)
    assert "zero already" in shell.error("limit", "lower", "sender", *ZERO, "--case", "stolen/1")[1]
    world.wire(A_BANK, "Platform A", "500.00")
    order = world.request_mint(1, A, "500.00")
    for _ in range(8):
        world.turn()
    assert shell.answer("mint", "show", str(order))["state"] == "batched"
    assert verified(world).outside == 0


ZERO = ("--capacity", "0", "--refill", "0")


def test_another_minter_takes_the_place_of_the_first(world: World, shell: Shell, others: dict[str, str]) -> None:
    """Its events before it was the token's are recorded too; the order that waited is minted through it."""
    old, new = world.issuer.deployment.minter, _deploy_minter(world)
    done(world, shell, "minter/1", "role", "grant", "MINTER", new)
    done(world, shell, "minter/2", "role", "allow", "GUARDIAN", new, "lower(address,uint64,uint64)", "cancel(bytes32)")
    done(world, shell, "minter/3", "role", "delay", new, "60")
    stranger.send_as(
        world, others["ADMIN"], new, MINTER.call("propose", MINTER.call("raise", WINDOW, 0, 7 * CNH, 7 * CNH))
    )
    done(world, shell, "minter/4", "token", "set", "minter", new)
    assert world.issuer.speaking.minter == new
    assert shell.answer("token", "show")["minter"] == new
    for key in ("window", "sender"):
        done(world, shell, "minter/5", "limit", "raise", key, "--capacity", "1000000.00", "--refill", "1000.00")
    world.until(lambda: shell.answer("mint", "list")[-1]["state"] == "final")
    done(world, shell, "minter/6", "role", "revoke", "MINTER", old)
    assert not _holds(world, "MINTER", old)
    assert verified(world).outside == 1  # the proposal


def _deploy_minter(world: World) -> str:
    """Anybody may: it has no right until the token names it."""
    deployment = world.issuer.deployment
    arguments = (deployment.authority, deployment.token, ROLES["MINTING_KEY"], deployment.delay)
    code = compile_contracts().contracts["Minter"].creation_code
    code += encode_values(CONSTRUCTORS["Minter"].inputs, arguments)
    salt = "0x" + "5a" * 32
    stranger.send_as(world, deployment.keys["deployer"], FACTORY, create2.calldata(salt, code))
    return create2.address(salt, code)


def _holds(world: World, role: str, account: str) -> bool:
    held: bool = world.issuer.view("authority", "hasRole", ROLES[role], account)["isMember"]
    return held


# -- the authority's table


def test_the_authoritys_table_changes_slowly_for_what_is_wired(world: World, shell: Shell) -> None:
    done(world, shell, "role/1", "role", "allow", "ADMIN", "token", "stop(uint8)")
    found = world.issuer.view("authority", "getTargetFunctionRole", world.token, TOKEN.functions["stop"].selector)
    assert found["0"] == 0
    shell.answer("role", "allow", "GUARDIAN", "token", "stop(uint8)", "--case", "role/2")
    world.until(lambda: acts(shell, "role/2") == ["proposed"], turns=6)
    waiting = next(row for row in shell.answer("act", "list") if row["case"] == "role/2")
    shell.answer("act", "cancel", waiting["act_id"], "--case", "role/3")
    world.until(lambda: acts(shell, "role/2") == ["cancelled"], turns=6)
    done(world, shell, "role/4", "role", "allow", "GUARDIAN", "token", "stop(uint8)")
    assert verified(world).outside == 1


def test_roles_are_given_and_taken(world: World, shell: Shell) -> None:
    keeper = Holder(0x77).address
    done(world, shell, "role/5", "role", "grant", "FREEZER", keeper)
    assert {"role": "FREEZER", "account": keeper}.items() <= _row(shell, keeper).items()
    done(world, shell, "role/6", "role", "revoke", "FREEZER", keeper)
    assert shell.error("role", "revoke", "FREEZER", keeper, "--case", "role/7")[0] == "refused"
    assert shell.error("role", "revoke", "ADMIN", keeper, "--case", "role/7")[0] == "invalid-input"
    done(world, shell, "role/8", "role", "set", "FREEZER", "label", "FREEZER")
    done(world, shell, "role/9", "role", "set", "REGISTRAR", "grant-delay", "60")
    assert verified(world).outside == 1


def _row(shell: Shell, account: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in shell.answer("role", "list") if row["account"] == account)
    return found


def test_a_role_that_conflicts_is_refused_by_the_contract_and_the_list_says_so(world: World, shell: Shell) -> None:
    freezer = world.issuer.deployment.keys["freezer"]
    shell.answer("role", "grant", "GUARDIAN", freezer, "--case", "role/10")
    world.until(lambda: acts(shell, "role/10") == ["refused"], turns=6)
    act = next(row for row in shell.answer("act", "list") if row["case"] == "role/10")
    assert act["reason"].startswith(f"RolesConflict(account {freezer}")
    assert shell.error("act", "wait", "role/10")[1].startswith("grantRole is refused: RolesConflict")
    assert shell.error("act", "wait", "role/11")[0] == "not-found"
    # Ordered anew as the refusal says, it is done.
    done(world, shell, "role/12", "role", "revoke", "FREEZER", freezer)
    shell.answer("role", "grant", "GUARDIAN", freezer, "--case", "role/10")
    world.until(lambda: acts(shell, "role/10") == ["refused", "final"], turns=6)
    shell.answer("act", "wait", "role/10")
    done(world, shell, "role/13", "role", "revoke", "GUARDIAN", freezer)
    done(world, shell, "role/14", "role", "grant", "FREEZER", freezer)


# -- the token's parameters


@pytest.mark.parametrize(
    ("name", "value", "view", "reached"),
    [
        ("policy", "open", "rules", lambda found: found["required"] == 0),
        ("policy", "verified", "rules", lambda found: found["required"] == 1),
        ("report-age", "43200", "reportAge", lambda found: found["0"] == 43_200),
        (
            "contract-uri",
            "https://example.org/terms.json",
            "contractURI",
            lambda found: found["0"].endswith("terms.json"),
        ),
    ],
)
def test_a_parameter_is_set(
    world: World, shell: Shell, name: str, value: str, view: str, reached: Callable[[dict[str, Any]], bool]
) -> None:
    done(world, shell, f"set/{value[:8].rstrip(':/')}", "token", "set", name, value)
    assert reached(world.issuer.view("token", view))
    assert verified(world).outside == 1


# -- used by others


def test_what_is_done_outside_the_service_is_recorded_and_counted(
    world: World, shell: Shell, others: dict[str, str]
) -> None:
    """The admin's multisig calls the contracts itself, by what --prepare and `act show` print; a thief freezes."""
    foreign = checksum("0x" + "77" * 20)
    world.chain.ask("anvil_setCode", foreign, ANSWERS_ONE)
    before = verified(world).outside
    rescue = ("token", "rescue", foreign, A.address, "5", "--case", "o/1")
    prepared = shell.answer(*rescue, "--prepare")
    assert acts(shell, "o/1") == []
    stranger.send_as(world, others["ADMIN"], prepared["to"], prepared["data"])
    world.until(lambda: acts(shell, None)[-1] == "proposed", turns=6)  # type: ignore[arg-type]
    world.turn()
    act = shell.answer("act", "show", prepared["act_id"])
    assert (act["state"], act["case"], act["arguments"]["value"]) == ("proposed", None, "5")
    assert "somebody else" in str(shell.answer("status")["waits"])
    stranger.send_as(world, others["ADMIN"], act["to"], act["accept"])
    stranger.send_as(world, others["FREEZER"], world.token, TOKEN.call("freeze", [foreign]))
    world.until(lambda: shell.answer("act", "show", prepared["act_id"])["state"] == "accepted", turns=6)
    assert verified(world).outside == before + 4  # Proposed, Accepted, Rescued, Frozen
    actions = [row["record"] for row in shell.answer("audit", "show", "--limit", "30")]
    rescued = next(record for record in actions if record["action"] == "chain.rescued")
    assert (rescued["after"]["foreign"], rescued["after"]["value"]) == (foreign, "5")


def test_an_act_of_others_is_accepted_when_a_person_asks(world: World, shell: Shell, others: dict[str, str]) -> None:
    act = TOKEN.call("setReportAge", 43_200, 86_400)
    stranger.send_as(world, others["ADMIN"], world.token, TOKEN.call("propose", act))
    world.until(lambda: acts(shell, None)[-1] == "proposed", turns=6)  # type: ignore[arg-type]
    world.turn()
    world.turn()
    assert world.view("reportAge") == 43_200
    waiting = [row for row in shell.answer("act", "list") if row["case"] is None][-1]
    shell.answer("act", "accept", waiting["act_id"], "--case", "o/2")
    world.until(lambda: acts(shell, "o/2") == ["accepted"], turns=6)
    assert world.view("reportAge") == 86_400


def test_a_long_act_of_others_is_in_the_log_by_its_hash(world: World, shell: Shell, others: dict[str, str]) -> None:
    """The contracts take any bytes behind an act; the verifier finds it recorded, and accepted as a person asked."""
    age = world.view("reportAge")
    act = TOKEN.call("setReportAge", age, 86_400 + 43_200 - age) + "00" * 10_000
    stranger.send_as(world, others["ADMIN"], world.token, TOKEN.call("propose", act))
    act_id = keccak(bytes.fromhex(act[2:]))
    world.until(lambda: act_id in [row["act_id"] for row in shell.answer("act", "list")], turns=6)
    shell.answer("act", "accept", act_id, "--case", "o/3")
    world.until(lambda: acts(shell, "o/3") == ["accepted"], turns=6)
    assert world.view("reportAge") != age
    before = verified(world).outside
    world.turn()
    shown = [row["record"]["after"] for row in shell.answer("audit", "show", "--limit", "30")]
    assert {"keccak256": act_id, "length": 10_068} in [after["act"] for after in shown if after and "act" in after]
    assert verified(world).outside == before


def test_what_another_admin_has_scheduled_is_cancelled(world: World, shell: Shell, others: dict[str, str]) -> None:
    """The authority names an act by who has scheduled it: what a thief of an admin's key has must be stopped too."""
    prepared = shell.answer("role", "allow", "FREEZER", "token", "stop(uint8)", "--case", "o/4", "--prepare")
    stranger.send_as(world, others["ADMIN"], prepared["to"], prepared["data"])
    act_id = prepared["act_id"]
    world.until(lambda: act_id in [row["act_id"] for row in shell.answer("act", "list")], turns=6)
    shown = shell.answer("act", "show", act_id)
    assert (shown["state"], shown["caller"]) == ("proposed", others["ADMIN"])
    assert AUTHORITY.decode_call(shown["cancel"])[1]["caller"] == others["ADMIN"]
    shell.answer("act", "cancel", act_id, "--case", "o/5")
    world.until(lambda: acts(shell, "o/5") == ["final"], turns=6)
    assert shell.answer("act", "show", act_id)["state"] == "cancelled"
    verified(world)


# -- wallets


def test_a_wallet_loses_its_mark_and_gets_it_back(world: World, shell: Shell) -> None:
    done(world, shell, "w/1", "wallet", "unverify", A.address)
    assert world.view("accountOf", A.address)["status"] & 1 == 0
    done(world, shell, "w/2", "wallet", "verify", A.address)
    assert shell.error("wallet", "verify", Holder(0x99).address, "--case", "w/3")[0] == "not-found"
    verified(world)


# -- all of them


def test_every_privileged_function_has_its_command_and_its_record(world: World, shell: Shell) -> None:
    """What this world has used by now, and the rest: each is called by its command, and is in the log as documented."""
    _use_the_rest(world, shell)
    table = _documented()
    assert set(table) == _privileged()
    assert all(_exists(command) for command, _ in table.values())
    assert {record for _, record in table.values()} <= set(schema.ACTIONS)
    called, recorded = _called(world), _recorded(world)
    # The deployment binds and opens; mints are orders of their own.
    other = {name for name, (command, _) in table.items() if command in ("issuer deploy", "issuer mint request")}
    assert set(table) - other <= called
    assert {record for _, record in table.values()} <= recorded


def _use_the_rest(world: World, shell: Shell) -> None:
    done(world, shell, "rest/1", "stop", "transfer")
    done(world, shell, "rest/2", "resume", "transfer")
    nobody, foreign = Holder(0x55).address, checksum("0x" + "77" * 20)
    shell.answer("token", "set", "hook", "none", "--case", "rest/3")
    shell.answer("token", "set", "feed", world.issuer.speaking.feed, "--case", "rest/3")
    done(world, shell, "rest/3", "token", "rescue", foreign, A.address, "1")
    shell.answer("token", "retire", world.issuer.deployment.minter, "--case", "rest/4")
    shell.answer("limit", "raise", "window", "--capacity", "2000000.00", "--refill", "1000.00", "--case", "rest/4")
    shell.answer("attestor", "add", nobody, "--case", "rest/4")
    world.until(lambda: set(acts(shell, "rest/4")) == {"proposed"}, turns=3)
    for row in [row for row in shell.answer("act", "list") if row["case"] == "rest/4"]:
        shell.answer("act", "cancel", row["act_id"], "--case", "rest/4")
    world.until(lambda: set(acts(shell, "rest/4")) == {"cancelled", "final"}, turns=6)
    done(world, shell, "rest/5", "role", "grant", "FREEZER", nobody)
    done(world, shell, "rest/6", "role", "revoke", "FREEZER", nobody, "--by", "admin")
    done(world, shell, "rest/7", "role", "set", "FREEZER", "admin", "ADMIN")
    done(world, shell, "rest/8", "role", "set", "FREEZER", "guardian", "GUARDIAN")
    verified(world)


def _privileged() -> set[str]:
    """Every function of the table that needs a right, but for what only the contracts and the deployment call."""
    open_to = {"anyone", "holder", "signed", "party", "target", "self", "deployer"}
    found = set()
    for contract, tables_ in tomllib.loads((ROOT / "contracts" / "roles.toml").read_text())["contracts"].items():
        for signature, who in [*tables_["functions"].items(), *tables_["slow"].items()]:
            if str(who) not in open_to and signature != "updateAuthority(address,address)":
                found.add(f"{contract}.{signature}")
    return found


def _documented() -> dict[str, tuple[str, str]]:
    """The command and the record of each function, as docs/powers.md has them."""
    text = (ROOT / "docs" / "powers.md").read_text().split("<!-- functions -->")[1]
    rows = [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in text.strip().splitlines()[2:]]
    return {row[0]: (row[2], row[3]) for row in rows}


def _exists(command: str) -> bool:
    """Whether the command line has it: `issuer NOUN VERB`; a slow act is proposed by many."""
    if command == "any slow act":
        return True
    context, found = click.Context(cli._root), cli._root
    for word in command.removeprefix("issuer ").split():
        following = found.get_command(context, word) if isinstance(found, click.Group) else None
        if following is None:
            return False
        found = following  # type: ignore[assignment]
    return True


def _called(world: World) -> set[str]:
    """Every function that an order of this world's life calls, by its contract; also those inside of slow acts."""
    sources = {short: name for name, short in CONTRACT_FILES.items()}
    found = set()
    with world.issuer.store.read() as connection:
        orders = connection.execute(select(tables.intent).where(tables.intent.c.door == "chain")).all()
    for row in orders:
        told = row.payload
        if row.kind in powers.QUICK:
            contract = powers.QUICK[row.kind]
            found.add(f"{sources[contract]}.{CONTRACTS[contract].functions[row.kind].signature}")
        elif row.kind in ("propose", "accept", "cancel"):
            contract = told["contract"]
            found.add(f"{sources[contract]}.{CONTRACTS['token'].functions[row.kind].signature}")
            if row.kind == "propose":
                function, _ = CONTRACTS[contract].decode_call(told["act"])
                found.add(f"{sources[contract]}.{CONTRACTS[contract].functions[function].signature}")
    return found


def _recorded(world: World) -> set[str]:
    return {decode(body).action for body in stranger.bodies(world)}


# -- and the end


def test_a_retired_token_mints_no_more_and_redeems(world: World, shell: Shell) -> None:
    successor = checksum("0x" + "88" * 20)
    world.chain.ask("anvil_setCode", successor, ANSWERS_ONE)
    done(world, shell, "end/1", "token", "retire", successor)
    assert "retired already" in shell.error("token", "retire", successor, "--case", "end/1")[1]
    assert [lock["code"] for lock in shell.answer("lock", "list")] == ["retired"]
    world.wire(A_BANK, "Platform A", "5.00")
    order = world.request_mint(1, A, "5.00")
    world.call(A, "redeem", 100 * CNH, ZERO_HASH)
    world.until(lambda: shell.answer("redemption", "list")[-1]["value"] == format_units(100 * CNH))
    world.until(lambda: shell.answer("redemption", "list")[-1]["state"] == "paid")
    assert shell.answer("mint", "show", str(order))["state"] == "approved"
    verified(world)
