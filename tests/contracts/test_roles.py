"""contracts/roles.toml is complete, and the chain does what it says."""

import tomllib
from typing import Any

import pytest
from web3 import Web3
from web3.contract import Contract

from issuer.chain.compiler import CHECKOUT, Compilation
from issuer.chain.node import NodeError
from tests.contracts.system import TABLE, System

ROLES: dict[str, Any] = tomllib.loads((CHECKOUT / "contracts" / "roles.toml").read_text())
NAMES = {"OffshoreYuan": "token", "Minter": "minter", "ReserveFeed": "feed", "Authority": "authority"}

# Who may stand in a line of `functions` besides a role.
WORDS = {
    "anyone",
    "holder",
    "signed",
    "party",
    "minter",
    "key",
    "proposer",
    "self",
    "role admin",
    "target",
    "deployer",
    "ADMIN once",
}

# How an AccessManager knows its own administration: these are fixed in its code and never in the table on chain.
FIXED = {
    "grantRole(uint64,address,uint32)": "role admin",
    "revokeRole(uint64,address)": "role admin",
    "labelRole(uint64,string)": "ADMIN",
    "setRoleAdmin(uint64,uint64)": "ADMIN",
    "setRoleGuardian(uint64,uint64)": "ADMIN",
    "setGrantDelay(uint64,uint32)": "ADMIN",
    "setTargetAdminDelay(address,uint32)": "ADMIN",
    "setTargetFunctionRole(address,bytes4[],uint64)": "ADMIN",
    "updateAuthority(address,address)": "ADMIN",
}


def selector(signature: str) -> bytes:
    return bytes(Web3.keccak(text=signature)[:4])


def changing(compilation: Compilation, name: str) -> set[str]:
    """The contract's functions that may change state."""
    contract = compilation.contracts[name]
    by_name = {item["name"]: item for item in contract.abi if item["type"] == "function"}
    changing = {n for n, item in by_name.items() if item["stateMutability"] not in ("view", "pure")}
    return {signature for signature in contract.method_identifiers if signature.partition("(")[0] in changing}


@pytest.mark.parametrize("name", [*NAMES, "Bootstrap"])
def test_every_function_that_changes_state_is_in_the_table_once(compilation: Compilation, name: str) -> None:
    functions, slow = ROLES["contracts"][name]["functions"], ROLES["contracts"][name]["slow"]
    assert not set(functions) & set(slow)
    assert set(functions) | set(slow) == changing(compilation, name)


def test_the_table_names_roles_and_known_words_only(compilation: Compilation) -> None:
    assert set(ROLES["contracts"]) == set(compilation.contracts)
    for tables in ROLES["contracts"].values():
        for who in tables["functions"].values():
            assert set([who] if isinstance(who, str) else who) <= set(TABLE.roles) | WORDS
        assert set(tables["slow"].values()) <= set(TABLE.roles)
    for pair in ROLES["conflicts"]:
        assert set(pair) <= set(TABLE.roles)
        assert len(set(pair)) == 2


def test_ids_are_in_order_and_names_unique() -> None:
    assert [role["id"] for role in ROLES["roles"]] == list(range(len(ROLES["roles"])))
    assert len(TABLE.roles) == len(ROLES["roles"])


@pytest.mark.parametrize("name", NAMES)
def test_the_chain_holds_the_table(system: System, name: str) -> None:
    tables = ROLES["contracts"][name]
    target = system.parts[NAMES[name]].address
    for signature, who in [*tables["functions"].items(), *tables["slow"].items()]:
        role = TABLE.roles.get(who if isinstance(who, str) else who[0], 0)
        on_chain = system.authority.functions.getTargetFunctionRole(target, selector(signature)).call()
        assert on_chain == role, signature


def test_roles_on_chain_are_those_of_the_table(system: System) -> None:
    holders = {**system.keys, **{name: system.parts[key].address for name, key in NAMES.items()}}
    for role in ROLES["roles"]:
        functions = system.authority.functions
        assert functions.getRoleAdmin(role["id"]).call() == TABLE.roles[role["admin"]]
        assert functions.getRoleGuardian(role["id"]).call() == TABLE.roles[role["guardian"]]
        assert functions.getRoleGrantDelay(role["id"]).call() == (3600 if role["grant_delay"] == "delay" else 0)
        for holder in set(role["holders"]) & set(holders):
            assert functions.hasRole(role["id"], holders[holder]).call() == [True, 0]
            assert functions.rolesOf(holders[holder]).call() == 1 << role["id"]


def test_conflicts_on_chain_are_those_of_the_table_in_both_directions(system: System) -> None:
    pairs = {frozenset(TABLE.roles[name] for name in pair) for pair in ROLES["conflicts"]}
    for left in TABLE.roles.values():
        conflicts = system.authority.functions.conflictsOf(left).call()
        for right in TABLE.roles.values():
            assert bool(conflicts >> right & 1) == (frozenset((left, right)) in pairs)


def test_the_managers_own_administration_is_what_the_table_says() -> None:
    functions = ROLES["contracts"]["Authority"]["functions"]
    assert {signature: functions[signature] for signature in FIXED} == FIXED


@pytest.mark.parametrize("name", ["OffshoreYuan", "Minter", "ReserveFeed"])
def test_nobody_but_those_named_gets_through(system: System, name: str) -> None:
    """Each function of a role, called with nothing behind it, refuses every other key by its own error."""
    part = system.parts[NAMES[name]]
    for signature, who in ROLES["contracts"][name]["functions"].items():
        allowed = {word.removesuffix(" once") for word in ([who] if isinstance(who, str) else who)}
        if not allowed <= set(TABLE.roles):
            continue
        holders = {holder for role in ROLES["roles"] if role["name"] in allowed for holder in role["holders"]}
        for key, address in system.keys.items():
            assert refused(system, part, signature, address) == (key not in holders), (signature, key)


@pytest.mark.parametrize("name", ["OffshoreYuan", "Minter", "ReserveFeed"])
def test_no_slow_act_is_done_in_one_step(system: System, name: str) -> None:
    part = system.parts[NAMES[name]]
    for signature in ROLES["contracts"][name]["slow"]:
        for address in system.keys.values():
            assert error_of(system, part, signature, address) == selector("OnlyBySlowAct()"), signature


def refused(system: System, part: Contract, signature: str, by: str) -> bool:
    return error_of(system, part, signature, by) == selector("NotAllowed(address,bytes4)")


def error_of(system: System, part: Contract, signature: str, by: str) -> bytes | None:
    """The selector of the error a call ends with; arguments of nothing but zeros, which every type can be read from."""
    data = "0x" + selector(signature).hex() + "00" * 512
    try:
        system.chain.ask("eth_call", {"to": part.address, "from": by, "data": data}, "latest")
    except NodeError as error:
        return bytes.fromhex((error.data or "0x")[2:10])
    return None
