"""A real Safe (npm @safe-global/safe-smart-account) holds ADMIN: one owner alone does nothing, two of three may."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import ContractLogicError

from issuer.chain.compiler import CHECKOUT
from tests.contracts.system import DELAY, System

ARTIFACTS = CHECKOUT / "node_modules" / "@safe-global" / "safe-smart-account" / "build" / "artifacts" / "contracts"
NOBODY = f"0x{0:040x}"
OWNERS: tuple[LocalAccount, ...] = tuple(
    sorted((Account.from_key(bytes([n]) * 32) for n in (0x51, 0x52, 0x53)), key=lambda owner: int(owner.address, 16))
)


@dataclass(frozen=True, kw_only=True)
class Safe:
    system: System
    contract: Contract

    @property
    def address(self) -> str:
        return str(self.contract.address)

    def order(self, owners: Sequence[LocalAccount], target: Contract, call: Any) -> Any:
        """The Safe's transaction that makes a call, signed by some owners."""
        body = (target.address, 0, call._encode_transaction_data(), 0, 0, 0, 0, NOBODY, NOBODY)
        nonce = self.contract.functions.nonce().call()
        digest = self.contract.functions.getTransactionHash(*body, nonce).call()
        signatures = b"".join(bytes(owner.unsafe_sign_hash(digest).signature) for owner in owners)
        return self.contract.functions.execTransaction(*body, signatures)

    def execute(self, owners: Sequence[LocalAccount], target: Contract, call: Any) -> None:
        receipt = self.system.send(self.order(owners, target, call), "mallory")
        assert receipt["status"] == 1


def factory(system: System, name: str, folder: str = "") -> Any:
    artifact = json.loads((ARTIFACTS / folder / f"{name}.sol" / f"{name}.json").read_text())
    return system.web3.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])


def create(system: System, name: str, folder: str = "") -> Contract:
    made = factory(system, name, folder)
    found: Contract = made(system.send(made.constructor(), "deployer")["contractAddress"])
    return found


@pytest.fixture
def safe(system: System) -> Safe:
    """Two of three, and ADMIN handed over to it by the admin of the deployment."""
    singleton, proxies = create(system, "Safe"), create(system, "SafeProxyFactory", "proxies")
    owners = [owner.address for owner in OWNERS]
    setup = singleton.encode_abi("setup", [owners, 2, NOBODY, b"", NOBODY, NOBODY, 0, NOBODY])
    call = proxies.functions.createProxyWithNonce(singleton.address, setup, 1)
    address = call.call()
    system.send(call, "deployer")
    made = Safe(system=system, contract=factory(system, "Safe")(address))

    authority = system.authority.functions
    system.send(authority.grantRole(0, made.address, 0), "admin")
    assert authority.hasRole(0, made.address).call() == [False, 0]
    system.pass_time(DELAY)
    system.send(authority.renounceRole(0, system.keys["admin"]), "admin")
    assert authority.hasRole(0, made.address).call() == [True, 0]
    return made


@pytest.fixture
def unfreeze(system: System) -> bytes:
    """The act that undoes a freeze of alice."""
    system.verify("alice")
    system.send(system.token.functions.freeze([system.keys["alice"]]), "freezer")
    return bytes.fromhex(system.token.functions.unfreeze(system.keys["alice"], 1)._encode_transaction_data()[2:])


@pytest.mark.parametrize(
    ("signers", "refusal"), [(OWNERS[:1], "GS020"), (OWNERS[:1] * 2, "GS026")], ids=["one", "one, twice"]
)
def test_one_owner_proposes_nothing(safe: Safe, unfreeze: bytes, signers: Sequence[LocalAccount], refusal: str) -> None:
    """GS020: signatures data too short; GS026: invalid owner, which a repeated one is. Source: Safe's error codes."""
    token = safe.system.token
    with pytest.raises(ContractLogicError, match=refusal):
        safe.order(signers, token, token.functions.propose(unfreeze)).call({"from": safe.system.keys["mallory"]})
    assert token.functions.readyAt(Web3.keccak(unfreeze)).call() == 0


def test_two_of_three_owners_propose_wait_and_accept(safe: Safe, unfreeze: bytes) -> None:
    system, token = safe.system, safe.system.token
    safe.execute(OWNERS[:2], token, token.functions.propose(unfreeze))
    assert token.functions.readyAt(Web3.keccak(unfreeze)).call() == system.now() + DELAY
    assert not may_receive(system)

    accept = token.functions.accept(unfreeze)
    with pytest.raises(ContractLogicError):
        safe.order(OWNERS[1:], token, accept).call({"from": system.keys["mallory"]})

    system.pass_time(DELAY)
    with pytest.raises(ContractLogicError, match="GS020"):
        safe.order(OWNERS[2:], token, accept).call({"from": system.keys["mallory"]})
    safe.execute(OWNERS[1:], token, accept)
    assert may_receive(system)


def test_the_guardian_still_cancels_what_the_owners_proposed(safe: Safe, unfreeze: bytes) -> None:
    system, token = safe.system, safe.system.token
    safe.execute(OWNERS[:2], token, token.functions.propose(unfreeze))
    system.send(token.functions.cancel(Web3.keccak(unfreeze)), "guardian")
    system.pass_time(DELAY)
    with pytest.raises(ContractLogicError):
        safe.order(OWNERS[:2], token, token.functions.accept(unfreeze)).call({"from": system.keys["mallory"]})


def test_the_key_that_handed_over_is_nobody(safe: Safe, unfreeze: bytes) -> None:
    system = safe.system
    with pytest.raises(ContractLogicError):
        system.token.functions.propose(unfreeze).call({"from": system.keys["admin"]})


def may_receive(system: System) -> bool:
    """Whether alice is not frozen."""
    status = system.token.functions.accountOf(system.keys["alice"]).call()[1]
    return not status & 2
