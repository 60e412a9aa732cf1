"""What the issuer writes down of the contracts, against the compiler's own ABI."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from eth_abi.abi import encode
from hexbytes import HexBytes
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3
from web3._utils.events import get_event_data

from issuer.chain.compiler import CHECKOUT, Compilation, compile_contracts
from issuer.chain.wiring import CONTRACT_FILES, Table
from issuer.messages import contracts
from issuer.messages.abi import Item, Parameter

NAMES = {short: name for name, short in CONTRACT_FILES.items()} | {"bootstrap": "Bootstrap"}
SPOKEN = [*contracts.CONTRACTS.values(), contracts.BOOTSTRAP]

Entry = Mapping[str, Any]


@pytest.fixture(scope="module")
def compilation() -> Compilation:
    return compile_contracts()


@pytest.fixture(scope="module")
def table() -> Table:
    return Table(CHECKOUT / "contracts" / "roles.toml")


def entries(compilation: Compilation, name: str, kind: str) -> list[Entry]:
    return [entry for entry in compilation.contracts[name].abi if entry["type"] == kind]


def shape(parameters: Iterable[Entry]) -> list[Any]:
    return [
        # An underscore at the end is Solidity's way around a name that is taken.
        (
            entry["type"],
            entry["name"].removesuffix("_"),
            entry.get("indexed", False),
            shape(entry.get("components", ())),
        )
        for entry in parameters
    ]


def ours(parameters: Iterable[Parameter]) -> list[Any]:
    return [(_tuple(item), item.name, item.indexed, ours(item.components)) for item in parameters]


def _tuple(item: Parameter) -> str:
    return "tuple" + item.type[item.type.rindex(")") + 1 :] if item.components else item.type


@pytest.mark.parametrize("contract", SPOKEN, ids=lambda contract: contract.name)
def test_every_function_is_the_compilers(compilation: Compilation, contract: contracts.Contract) -> None:
    known = {entry["name"]: entry for entry in entries(compilation, NAMES[contract.name], "function")}
    for name, item in contract.functions.items():
        assert ours(item.inputs) == shape(known[name]["inputs"]), name
        # What a returned value is called is for its reader; a tuple's parts are read by name.
        returned = [(type_, parts) for type_, _, _, parts in shape(known[name]["outputs"])]
        assert [(type_, parts) for type_, _, _, parts in ours(item.outputs)] == returned, name


@pytest.mark.parametrize("contract", SPOKEN, ids=lambda contract: contract.name)
def test_every_event_is_the_compilers(compilation: Compilation, contract: contracts.Contract) -> None:
    known = {entry["name"]: entry for entry in entries(compilation, NAMES[contract.name], "event")}
    for item in contract.events.values():
        assert ours(item.inputs) == shape(known[item.name]["inputs"]), item.name


def test_every_error_of_the_contracts_has_its_name(compilation: Compilation) -> None:
    for name in NAMES.values():
        for entry in entries(compilation, name, "error"):
            declared = f"{entry['name']}({','.join(one['type'] for one in entry['inputs'])})"
            assert declared in {item.signature for item in contracts.ERRORS.values()}, f"{name}: {declared}"


def test_every_constructor_is_the_compilers(compilation: Compilation) -> None:
    for name, item in contracts.CONSTRUCTORS.items():
        (entry,) = entries(compilation, name, "constructor")
        assert ours(item.inputs) == shape(entry["inputs"]), name


def test_every_permission_names_a_function_of_its_contract(compilation: Compilation, table: Table) -> None:
    assert table.permissions()
    for item in table.permissions():
        known = compilation.contracts[NAMES[item.contract]].method_identifiers
        assert {f"0x{known[signature]}" for signature in item.signatures} == set(item.selectors)


def test_conflicts_hold_in_both_directions(table: Table) -> None:
    sets = table.conflicts()
    assert any(sets)
    assert all(bool(sets[i] >> j & 1) == bool(sets[j] >> i & 1) for i in range(len(sets)) for j in range(len(sets)))


def test_no_marker_role_is_granted_by_the_bootstrap(table: Table) -> None:
    holders = dict.fromkeys((*CONTRACT_FILES, "admin", "guardian", "registrar", "freezer"), "0x" + "11" * 20)
    granted = {role for role, _ in table.grants(holders)}
    assert granted == {table.roles[name] for name in ("GUARDIAN", "REGISTRAR", "FREEZER", "MINTER", "FEED")}


def test_a_declaration_parses_to_its_signature() -> None:
    item = Item.parse("f((address a, (uint8 b)[] c)[] d, bytes4[] e) returns (bool)")
    assert item.signature == "f((address,(uint8)[])[],bytes4[])"


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_logs_decode_as_web3_decodes_them(compilation: Compilation, source: st.DataObject) -> None:
    contract = source.draw(st.sampled_from(list(contracts.CONTRACTS.values())))
    item = source.draw(st.sampled_from(list(contract.events.values())))
    values = {parameter.name: source.draw(_value(parameter.type)) for parameter in item.inputs}
    topics = [item.topic] + ["0x" + encode([one.type], [values[one.name]]).hex() for one in item.inputs if one.indexed]
    plain = [one for one in item.inputs if not one.indexed]
    data = "0x" + encode([one.type for one in plain], [values[one.name] for one in plain]).hex()
    (entry,) = (one for one in entries(compilation, NAMES[contract.name], "event") if one["name"] == item.name)
    log: Any = {"address": "0x" + "11" * 20, "topics": [HexBytes(topic) for topic in topics], "data": HexBytes(data)}
    log |= {"blockHash": HexBytes(bytes(32)), "transactionHash": HexBytes(bytes(32))}
    log |= {"blockNumber": 0, "logIndex": 0, "transactionIndex": 0}
    theirs = get_event_data(Web3().codec, entry, log)["args"]
    ours_ = item.decode_log(topics, data)
    assert ours_ == {name.removesuffix("_"): _plain(value) for name, value in theirs.items()}


def _value(type_: str) -> st.SearchStrategy[Any]:
    if type_ == "address":
        return st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
    if type_ == "bool":
        return st.booleans()
    if type_ == "string":
        return st.text(max_size=40)
    if type_ == "bytes":
        return st.binary(max_size=100)
    if type_.startswith("bytes"):
        return st.binary(min_size=int(type_[5:]), max_size=int(type_[5:]))
    return st.integers(0, 2 ** int(type_.removeprefix("uint")) - 1)


def _plain(value: Any) -> Any:
    return "0x" + value.hex() if isinstance(value, bytes) else value
