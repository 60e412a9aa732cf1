"""Report, mint, transfer, redeem and refusals on a real chain, as a client sees them."""

from typing import Any

import pytest
from web3.exceptions import ContractCustomError
from web3.logs import DISCARD
from web3.types import TxParams

from tests.contracts.system import ATTESTORS, CNH, FEN, System, order

BATCH_ROOT = bytes(range(32))
INSTRUCTION = bytes(range(32, 64))


@pytest.fixture
def ready(system: System) -> System:
    """Alice and bob verified, a million in the reserve."""
    system.verify("alice", "bob")
    system.attest(1_000_000 * CNH)
    return system


def error(system: System, name: str, *values: Any) -> str:
    """An error's bytes as a client receives them."""
    part = next(p for p in system.parts.values() if any(item.get("name") == name for item in p.abi))
    entry = next(item for item in part.abi if item["type"] == "error" and item["name"] == name)
    types = [item["type"] for item in entry["inputs"]]
    head = system.web3.keccak(text=f"{name}({','.join(types)})")[:4]
    return "0x" + (head + system.web3.codec.encode(types, values)).hex()


def test_the_cycle(ready: System) -> None:
    token = ready.token
    alice, bob = ready.keys["alice"], ready.keys["bob"]

    receipt = ready.mint(("alice", 1_000_000 * CNH), reference=BATCH_ROOT)
    (minted,) = token.events.Minted().process_receipt(receipt, errors=DISCARD)
    assert minted["args"] == {"first": 1, "count": 1, "batchRoot": BATCH_ROOT}

    ready.send(token.functions.transferWithMemo(bob, 250_000 * CNH, BATCH_ROOT), "alice")
    receipt = ready.send(token.functions.redeem(100_000 * CNH, INSTRUCTION), "bob")
    (redeemed,) = token.events.Redeemed().process_receipt(receipt, errors=DISCARD)
    assert redeemed["args"] == {
        "account": bob,
        "id": 100_000 * CNH,
        "value": 100_000 * CNH,
        "instruction": INSTRUCTION,
    }
    assert token.functions.liabilities().call() == 1_000_000 * CNH

    ready.attest(900_000 * CNH, 1_000_000 * CNH, 100_000 * CNH)
    assert token.functions.liabilities().call() == token.functions.totalSupply().call() == 900_000 * CNH
    assert token.functions.balanceOf(alice).call() == 750_000 * CNH
    assert token.functions.accountOf(bob).call() == [150_000 * CNH, 1, 0]


def test_a_report_signed_by_a_standard_library_is_stored_bit_for_bit(system: System) -> None:
    message = system.report(7 * CNH, 8 * CNH, 3, logRoot=BATCH_ROOT, logSize=5)
    system.send(system.feed.functions.post(tuple(message.values()), system.sign(message)), "mallory")
    assert system.feed.functions.latestReport().call() == tuple(message.values())
    word = system.feed.functions.backing().call()
    assert word == 7 * CNH | 3 << 72 | 8 * CNH << 144 | message["asOf"] << 216


@pytest.mark.parametrize("changed", ["chainId", "verifyingContract", "name", "version"])
def test_a_report_for_another_domain_is_refused(system: System, changed: str) -> None:
    message = system.report(CNH)
    domain = {**system.domain, changed: {"chainId": 1, "verifyingContract": system.token.address}.get(changed, "2")}
    signatures = system.sign(message, domain=domain)
    with pytest.raises(ContractCustomError):
        system.feed.functions.post(tuple(message.values()), signatures).call({"from": system.keys["mallory"]})


def test_a_report_by_one_key_twice_is_refused(system: System) -> None:
    message = system.report(CNH)
    signatures = system.sign(message, [ATTESTORS[0], ATTESTORS[0]])
    with pytest.raises(ContractCustomError) as caught:
        system.feed.functions.post(tuple(message.values()), signatures).call()
    key = ATTESTORS[0].address
    assert caught.value.data == error(system, "SignersNotAscending", key, key)


def test_four_refusals_each_by_its_own_error(ready: System) -> None:
    token, minter = ready.token.functions, ready.minter.functions
    alice = ready.keys["alice"]
    sender: TxParams = {"from": ready.web3.to_checksum_address(ready.keys["sender"])}
    ready.mint(("alice", 600_000 * CNH), reference=BATCH_ROOT)

    with pytest.raises(ContractCustomError) as caught:
        minter.mint(2, BATCH_ROOT, [order(alice, 400_000 * CNH + 1)]).call(sender)
    assert caught.value.data == error(ready, "Unbacked", 1_000_000 * CNH + 1, 1_000_000 * CNH)

    with pytest.raises(ContractCustomError) as caught:
        minter.mint(1, BATCH_ROOT, [order(alice, 600_000 * CNH)]).call(sender)
    assert caught.value.data == error(ready, "WrongNumber", 1, 2)

    with pytest.raises(ContractCustomError) as caught:
        token.transfer(ready.keys["mallory"], CNH).call({"from": alice})
    assert caught.value.data == error(ready, "AccountNotVerified", ready.keys["mallory"])
    told = token.canTransfer(alice, alice, ready.keys["mallory"], CNH).call()
    assert told == [False, bytes.fromhex(caught.value.data[2:])]

    with pytest.raises(ContractCustomError) as caught:
        minter.mint(2, BATCH_ROOT, [order(alice, CNH)]).call({"from": ready.keys["mallory"]})
    assert caught.value.data == error(ready, "OverLimit", ready.keys["mallory"], 0, CNH)


def test_dust_is_redeemed_with_the_whole_balance(ready: System) -> None:
    ready.mint(("alice", FEN + 7))
    with pytest.raises(ContractCustomError):
        ready.token.functions.redeem(FEN + 6, INSTRUCTION).call({"from": ready.keys["alice"]})
    ready.send(ready.token.functions.redeem(FEN + 7, INSTRUCTION), "alice")
    assert ready.token.functions.totalSupply().call() == 0
