"""A payment client that is not ours, x402 from PyPI, pays with the token: the payer signs, a facilitator settles."""

from dataclasses import dataclass

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from x402 import x402ClientSync, x402FacilitatorSync
from x402.mechanisms.evm import EthAccountSigner, FacilitatorWeb3Signer
from x402.mechanisms.evm.exact import register_exact_evm_client, register_exact_evm_facilitator
from x402.schemas import PaymentPayload, PaymentRequired, PaymentRequirements, ResourceInfo

from tests.anvil import ETHER
from tests.contracts.system import CNH, System, order

PRICE = 1_234_567  # units
NETWORK = "eip155:31337"
# The shared chain's clock runs ahead of the client's.
YEARS = 10 * 365 * 86_400


@dataclass(frozen=True, kw_only=True)
class Shop:
    """What a merchant asks for, who pays, and who settles."""

    system: System
    payer: LocalAccount
    facilitator: x402FacilitatorSync
    requirements: PaymentRequirements

    def pay(self) -> PaymentPayload:
        """The payer's client signs what was asked for."""
        # The client pays no token that it does not know, unless told.
        chosen = x402ClientSync().set_spend_controls(False)
        client = register_exact_evm_client(chosen, EthAccountSigner(self.payer))
        resource = ResourceInfo(url="https://shop.example/report")
        asked = PaymentRequired(x402_version=2, resource=resource, accepts=[self.requirements])
        payload = client.create_payment_payload(asked)
        assert isinstance(payload, PaymentPayload)
        return payload

    def balance(self, address: str) -> int:
        return int(self.system.token.functions.balanceOf(address).call())


@pytest.fixture
def shop(system: System) -> Shop:
    payer, settler = (Account.from_key(bytes([n]) * 32) for n in (0x71, 0x72))
    system.chain.fund(settler.address, 10 * ETHER)
    system.verify("bob")
    system.send(system.token.functions.verify([payer.address]), "registrar")
    system.attest(10 * CNH)
    first = system.token.functions.nextNumber().call()
    system.send(system.minter.functions.mint(first, bytes(32), [order(payer.address, 10 * CNH)]), "sender")
    facilitator = x402FacilitatorSync()
    signer = FacilitatorWeb3Signer(settler.key.hex(), system.chain.url)
    register_exact_evm_facilitator(facilitator, signer, NETWORK)
    # A client signs for the domain that the merchant names: the token tells it (ERC-5267).
    _, name, version, *_ = system.token.functions.eip712Domain().call()
    requirements = PaymentRequirements(
        scheme="exact",
        network=NETWORK,
        asset=system.token.address,
        amount=str(PRICE),
        pay_to=system.keys["bob"],
        max_timeout_seconds=YEARS,
        extra={"name": name, "version": version},
    )
    return Shop(system=system, payer=payer, facilitator=facilitator, requirements=requirements)


def test_a_signed_payment_settles_once(shop: Shop) -> None:
    payload = shop.pay()
    assert shop.facilitator.verify(payload, shop.requirements).is_valid
    assert shop.facilitator.settle(payload, shop.requirements).success
    assert shop.balance(shop.payer.address) == 10 * CNH - PRICE
    assert shop.balance(shop.requirements.pay_to) == PRICE

    assert not shop.facilitator.settle(payload, shop.requirements).success
    assert shop.balance(shop.requirements.pay_to) == PRICE


def test_a_payment_by_a_frozen_payer_does_not_settle(shop: Shop) -> None:
    payload = shop.pay()
    shop.system.send(shop.system.token.functions.freeze([shop.payer.address]), "freezer")
    assert not shop.facilitator.verify(payload, shop.requirements).is_valid
    assert not shop.facilitator.settle(payload, shop.requirements).success
    assert shop.balance(shop.requirements.pay_to) == 0
