"""From intents to calls and back: what a call says is exactly what the intent said."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.chain import calls
from issuer.chain.deployment import Deployment
from issuer.errors import InvalidInput
from issuer.messages import contracts
from issuer.messages.abi import checksum, keccak
from issuer.operations import powers
from issuer.store.intents import Intent


def _address(number: int) -> str:
    return checksum(f"0x{number:040x}")


DEPLOYMENT = Deployment(
    chain_id=31337,
    genesis="0x" + "00" * 32,
    block=0,
    token=_address(1),
    minter=_address(2),
    feed=_address(3),
    authority=_address(4),
    bootstrap=_address(5),
    delay=1,
    quorum=2,
    attestors=(),
    keys={"admin": _address(6)},
    code={},
    compiler_input="",
)

addresses = st.integers(0, 2**160 - 1).map(_address)
hashes = st.integers(0, 2**256 - 1).map(lambda number: f"0x{number:064x}")
data = st.binary(max_size=100).map(lambda raw: "0x" + raw.hex())
words = st.integers(0, 2**64 - 1)
small = st.integers(0, 2**32 - 1)
parts = st.sampled_from(["token", "minter", "feed"])
accounts = st.fixed_dictionaries({"accounts": st.lists(addresses, min_size=1, max_size=4)})
acts = st.fixed_dictionaries({"contract": parts, "act": data})
scheduled = st.fixed_dictionaries({"contract": st.just("authority"), "act": data})
cancelled = st.builds(
    lambda told, caller: told | {"act_id": keccak(bytes.fromhex(told["act"][2:])), "caller": caller},
    scheduled,
    addresses,
)
held = st.fixed_dictionaries({"roleId": words, "account": addresses})


def _of_role(**named: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"roleId": words, **named})


reports = st.fixed_dictionaries(
    {
        "token": addresses,
        "number": words,
        "reserve": words,
        "paid": words,
        "credited": words,
        "asOf": words,
        "logRoot": hashes,
        "logSize": words,
    }
)
orders = st.lists(st.tuples(addresses, st.integers(1, 2**96 - 1)).map(list), min_size=1, max_size=4)

PAYLOADS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "report": st.fixed_dictionaries({"report": reports, "signatures": st.lists(data, max_size=3)}),
    "mint": st.fixed_dictionaries({"reference": hashes, "orders": orders}),
    "verify": accounts,
    "unverify": accounts,
    "freeze": accounts,
    "stop": st.fixed_dictionaries({"stops": st.integers(1, 7)}),
    "lower": st.fixed_dictionaries({"key": addresses, "capacity": words, "refill": words}),
    "removeAttestor": st.fixed_dictionaries({"attestor": addresses}),
    "revoke": held,
    "grantRole": _of_role(account=addresses, executionDelay=small),
    "revokeRole": held,
    "labelRole": _of_role(label=st.text(max_size=40)),
    "setRoleAdmin": _of_role(admin=words),
    "setRoleGuardian": _of_role(guardian=words),
    "setGrantDelay": _of_role(newDelay=small),
    "setTargetAdminDelay": st.fixed_dictionaries({"target": addresses, "newDelay": small}),
    "setTargetFunctionRole": st.fixed_dictionaries(
        {"target": addresses, "selectors": st.lists(hashes.map(lambda text: text[:10]), max_size=3), "roleId": words}
    ),
    "cancel": st.fixed_dictionaries({"contract": parts, "act_id": hashes}) | cancelled,
    "propose": acts | scheduled,
    "accept": acts | scheduled,
}


def test_every_kind_has_its_key_and_its_payload() -> None:
    assert set(calls.JOBS) == set(PAYLOADS)
    assert {kind: contract for kind, (contract, _) in calls.DIRECT.items()} == powers.QUICK


@given(st.sampled_from(sorted(PAYLOADS)), st.data(), words)
def test_a_call_says_what_its_intent_said(kind: str, source: st.DataObject, first: int) -> None:
    payload = source.draw(PAYLOADS[kind])
    intent = Intent(id=1, kind=kind, subject="x", payload=payload)
    target, calldata = calls.encode(DEPLOYMENT, intent, first=first)
    assert calls.describe(DEPLOYMENT, target, calldata) == (kind, payload)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("mint", {"orders": []}),
        ("mint", {"reference": "0x00", "orders": []}),
        ("verify", {"accounts": ["0x12"]}),
        ("stop", {"stops": 256}),
        ("propose", {"contract": "bank", "act": "0x"}),
        ("dance", {}),
    ],
)
def test_a_payload_that_makes_no_call_is_refused(kind: str, payload: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        calls.encode(DEPLOYMENT, Intent(id=1, kind=kind, subject="x", payload=payload))


def test_a_call_of_another_contract_is_none_of_ours() -> None:
    with pytest.raises(InvalidInput):
        calls.describe(DEPLOYMENT, _address(9), contracts.TOKEN.call("stop", 1))
