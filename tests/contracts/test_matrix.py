"""The table in docs/contracts.md of what a frozen, unverified or stopped part changes, cell by cell on a chain."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from eth_account import Account

from issuer.chain.compiler import CHECKOUT
from issuer.chain.node import NodeError
from tests.contracts.system import CNH, System, order

HOLDER = Account.from_key(bytes(31) + bytes([77]))
STOPS = {"TRANSFER stopped": 1, "MINT stopped": 2, "REDEEM stopped": 4}
PARTS = ("sender", "recipient", "spender", "relayer", "minter")
STATES = ("frozen", "unverified")
FOREVER = 2**64
NONCE = bytes(32)
AUTHORIZATION = (
    ("from", "address"),
    ("to", "address"),
    ("value", "uint256"),
    ("validAfter", "uint256"),
    ("validBefore", "uint256"),
    ("nonce", "bytes32"),
)


def table() -> dict[str, dict[str, str]]:
    """Entry point to column to cell."""
    text = (CHECKOUT / "docs" / "contracts.md").read_text(encoding="utf-8")
    block = text.split("<!-- matrix -->")[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.strip().splitlines()]
    heads = rows[0][1:]
    return {re.sub("`", "", row[0]): dict(zip(heads, row[1:], strict=True)) for row in rows[2:]}


TABLE = table()
CELLS = [(entry, column) for entry, row in TABLE.items() for column in row]


@dataclass(frozen=True)
class Entry:
    """A call that goes through when nobody is frozen, unverified or stopped."""

    parts: Mapping[str, str]
    """Who plays which part, by address."""
    by: str
    data: str
    to: str


def sign(system: System, kind: str, fields: tuple[tuple[str, str], ...], message: Mapping[str, Any]) -> bytes:
    domain = {
        "name": "Offshore Yuan Sandbox",
        "version": "1",
        "chainId": system.web3.eth.chain_id,
        "verifyingContract": system.token.address,
    }
    types = {kind: [{"name": name, "type": type_} for name, type_ in fields]}
    return bytes(HOLDER.sign_typed_data(domain, types, dict(message)).signature)


def entries(system: System) -> dict[str, Callable[[], Entry]]:
    keys, token = system.keys, system.token
    bob, carol, relayer = keys["bob"], keys["carol"], keys["deployer"]
    sender = HOLDER.address

    def plain(name: str, arguments: list[Any], by: str, **parts: str) -> Entry:
        return Entry(parts=parts, by=by, data=token.encode_abi(name, arguments), to=token.address)

    def moved(name: str, kind: str, by: str, **parts: str) -> Entry:
        values = (sender, bob, CNH, 0, FOREVER, NONCE)
        names = [field for field, _ in AUTHORIZATION]
        signature = sign(system, kind, AUTHORIZATION, dict(zip(names, values, strict=True)))
        signature_of = f"{name}(address,address,uint256,uint256,uint256,bytes32,bytes)"
        return plain(signature_of, [*values, signature], by, **parts)

    def permit() -> Entry:
        fields = (
            ("owner", "address"),
            ("spender", "address"),
            ("value", "uint256"),
            ("nonce", "uint256"),
            ("deadline", "uint256"),
        )
        message = {"owner": sender, "spender": carol, "value": CNH, "nonce": 0, "deadline": FOREVER}
        signature = sign(system, "Permit", fields, message)
        name = "permit(address,address,uint256,uint256,bytes)"
        return plain(
            name, [sender, carol, CNH, FOREVER, signature], relayer, sender=sender, spender=carol, relayer=relayer
        )

    def cancel() -> Entry:
        fields = (("authorizer", "address"), ("nonce", "bytes32"))
        signature = sign(system, "CancelAuthorization", fields, {"authorizer": sender, "nonce": NONCE})
        name = "cancelAuthorization(address,bytes32,bytes)"
        return plain(name, [sender, NONCE, signature], relayer, sender=sender, relayer=relayer)

    def redeem() -> Entry:
        fields = (
            ("from", "address"),
            ("value", "uint256"),
            ("instruction", "bytes32"),
            ("validBefore", "uint256"),
            ("nonce", "bytes32"),
        )
        values = (sender, CNH, NONCE, FOREVER, NONCE)
        message = dict(zip([name for name, _ in fields], values, strict=True))
        signature = sign(system, "RedeemWithAuthorization", fields, message)
        return plain("redeemWithAuthorization", [*values, signature], relayer, sender=sender, relayer=relayer)

    def mint() -> Entry:
        first = token.functions.nextNumber().call()
        data = system.minter.encode_abi("mint", [first, NONCE, [order(bob, CNH)]])
        parts = {"recipient": bob, "relayer": keys["sender"], "minter": system.minter.address}
        return Entry(parts=parts, by=keys["sender"], data=data, to=system.minter.address)

    both = {"sender": sender, "recipient": bob}
    return {
        "transfer": lambda: plain("transfer", [bob, CNH], sender, **both),
        "transferWithMemo": lambda: plain("transferWithMemo", [bob, CNH, NONCE], sender, **both),
        "transferFrom": lambda: plain("transferFrom", [sender, bob, CNH], carol, **both, spender=carol),
        "transferFromWithMemo": lambda: plain(
            "transferFromWithMemo", [sender, bob, CNH, NONCE], carol, **both, spender=carol
        ),
        "approve": lambda: plain("approve", [carol, CNH], sender, sender=sender, spender=carol),
        "permit": permit,
        "transferWithAuthorization": lambda: moved(
            "transferWithAuthorization", "TransferWithAuthorization", relayer, **both, relayer=relayer
        ),
        "receiveWithAuthorization": lambda: moved("receiveWithAuthorization", "ReceiveWithAuthorization", bob, **both),
        "cancelAuthorization": cancel,
        "redeem": lambda: plain("redeem", [CNH, NONCE], sender, sender=sender),
        "redeemWithAuthorization": redeem,
        "mint": mint,
    }


@pytest.fixture(scope="module")
def ready(deployed: System) -> Any:
    """Everybody verified, the holder with tokens and an allowance to carol; undone at the end."""
    snapshot = deployed.chain.ask("evm_snapshot")
    accounts = [HOLDER.address, deployed.minter.address, *(deployed.keys[name] for name in deployed.keys)]
    deployed.send(deployed.token.functions.verify(accounts), "registrar")
    deployed.attest(1_000_000 * CNH)
    deployed.mint(("alice", 1000 * CNH))
    deployed.send(deployed.token.functions.transfer(HOLDER.address, 100 * CNH), "alice")
    deployed.chain.fund(HOLDER.address)
    deployed.chain.ask("anvil_impersonateAccount", HOLDER.address)
    deployed.send(deployed.token.functions.approve(deployed.keys["carol"], 10 * CNH), HOLDER.address)
    yield deployed
    deployed.chain.ask("evm_revert", snapshot)


def change(system: System, entry: Entry, column: str) -> None:
    token = system.token.functions
    if column in STOPS:
        system.send(token.stop(STOPS[column]), "guardian")
        return
    part, state = column.split()
    account = entry.parts[part]
    if state == "frozen":
        system.send(token.freeze([account]), "freezer")
    else:
        system.send(token.unverify([account]), "registrar")


def goes_through(system: System, entry: Entry) -> bool:
    """Raises NodeError when it fails for anything but the part's status or a stop."""
    refusals = ("ActStopped(uint8)", "AccountFrozen(address)", "AccountNotVerified(address)")
    try:
        system.chain.ask("eth_call", {"from": entry.by, "to": entry.to, "data": entry.data}, "latest")
    except NodeError as error:
        if (error.data or "")[:10] not in {"0x" + system.web3.keccak(text=text)[:4].hex() for text in refusals}:
            raise
        return False
    return True


def open_policy(system: System) -> None:
    system.slowly(system.token, system.token.functions.setPolicy(1, 2, 0, 2))
    system.attest(1_000_000 * CNH)


def test_the_table_names_every_entry_and_every_part(ready: System) -> None:
    assert set(TABLE) == set(entries(ready))
    columns = [f"{part} {state}" for part in PARTS for state in STATES] + list(STOPS)
    assert all(list(row) == columns for row in TABLE.values())


@pytest.mark.parametrize("policy", ["verified", "open"])
@pytest.mark.parametrize("name", list(TABLE))
def test_every_cell_is_what_the_chain_does(ready: System, name: str, policy: str) -> None:
    """refused; allowed; policy: refused under the policy `verified` and allowed under `open`; nothing: no such part."""
    start = ready.chain.ask("evm_snapshot")
    if policy == "open":
        open_policy(ready)
    entry = entries(ready)[name]()
    assert goes_through(ready, entry)
    wrong = {}
    for column, cell in TABLE[name].items():
        if column not in STOPS and column.split()[0] not in entry.parts:
            assert cell == "", column
            continue
        snapshot = ready.chain.ask("evm_snapshot")
        change(ready, entry, column)
        expected = {"refused": False, "allowed": True, "policy": policy == "open"}[cell]
        if goes_through(ready, entry) != expected:
            wrong[column] = cell
        ready.chain.ask("evm_revert", snapshot)
    ready.chain.ask("evm_revert", start)
    assert wrong == {}
