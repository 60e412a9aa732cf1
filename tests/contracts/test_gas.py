"""What the acts of every day cost on the system as it is deployed: never more than the ceilings."""

from collections.abc import Iterator

import pytest
from web3 import Web3

from tests.contracts.system import CNH, FEN, System, order

VALUE = 1_234_567
REFERENCE = bytes(range(1, 33))
BATCH = 100

# Gas of a whole transaction; "transfer, new recipient" is under the open policy, since under the verified one a
# recipient's word is never new.
CEILINGS = {
    "transfer, existing recipient": 36_800,
    "transfer, new recipient": 53_900,
    "transferFrom finite, existing recipient": 44_500,
    "approve 0->x": 46_200,
    "redeem": 39_500,
    "freeze": 40_100,
    "mint one order": 63_500,
    "mint per order, batch of 100": 8_300,
}


@pytest.fixture
def endowed(system: System) -> System:
    system.verify("alice", "bob", "carol")
    system.attest(1_000_000 * CNH)
    system.mint(("alice", 1000 * CNH), ("bob", 10 * CNH), ("carol", CNH))
    return system


def measure(system: System) -> Iterator[tuple[str, int]]:
    token, bob, carol = system.token.functions, system.keys["bob"], system.keys["carol"]
    yield "mint one order", system.mint(("bob", VALUE), reference=REFERENCE)["gasUsed"]
    yield "mint per order, batch of 100", per_order(system)
    yield "transfer, existing recipient", system.send(token.transfer(bob, VALUE), "alice")["gasUsed"]
    yield "approve 0->x", system.send(token.approve(carol, 10 * VALUE), "alice")["gasUsed"]
    spent = system.send(token.transferFrom(system.keys["alice"], bob, VALUE), "carol")
    yield "transferFrom finite, existing recipient", spent["gasUsed"]
    system.send(token.redeem(FEN, REFERENCE), "alice")
    yield "redeem", system.send(token.redeem(100 * FEN, REFERENCE), "alice")["gasUsed"]
    yield "freeze", system.send(token.freeze([carol]), "freezer")["gasUsed"]
    system.slowly(system.token, token.setPolicy(1, 2, 0, 2))
    yield "transfer, new recipient", system.send(token.transfer(system.keys["mallory"], VALUE), "alice")["gasUsed"]


def per_order(system: System) -> int:
    """To recipients that hold tokens already."""
    digests = (Web3.keccak(text=f"recipient {n}") for n in range(BATCH))
    recipients = [Web3.to_checksum_address("0x" + digest[:20].hex()) for digest in digests]
    system.send(system.token.functions.verify(recipients), "registrar")
    orders = [order(recipient, VALUE) for recipient in recipients]
    for _ in range(2):
        first = system.token.functions.nextNumber().call()
        receipt = system.send(system.minter.functions.mint(first, REFERENCE, orders), "sender")
    return -(-receipt["gasUsed"] // BATCH)


def test_nothing_costs_more_than_its_ceiling(endowed: System) -> None:
    measured = dict(measure(endowed))
    assert measured.keys() == CEILINGS.keys()
    assert {name: gas for name, gas in measured.items() if gas > CEILINGS[name]} == {}
