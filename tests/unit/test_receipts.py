"""What a receipt may join, and what its records say: over a log and a block made by hand, of the real forms."""

from collections.abc import Sequence
from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]

from issuer import verify
from issuer.messages import trie
from issuer.messages.abi import keccak
from issuer.reports import receipt as receipts
from issuer.tlog import checkpoint, merkle
from issuer.verify import FORMS, Key, Untrue
from tests import stranger
from tests.bank_folder import signer

TOKEN, FEED, OTHER = ("0x" + digit * 40 for digit in "12c")
HASH, A, B = ("0x" + digit * 64 for digit in "1ab")
TOPICS = {form.name: topic for topic, form in FORMS.items()}
REDEMPTION = "redemption:100000000"


def burned(subject: str = REDEMPTION) -> bytes:
    told = {"holder": OTHER, "value": "100.000000", "reference": HASH, "state": "payable", "reason": None}
    return stranger.record("redemption.burned", subject, told, [HASH])


def payout(what: str, amount: str, message: str = "m1", subject: str = REDEMPTION) -> bytes:
    return stranger.record(f"payout.{what}", subject, {"message_id": message, "amount": amount}, ["x|1|0"])


def requested(order: str) -> bytes:
    asked = {"customer": 1, "wallet": OTHER, "value": "100.000000", "state": "approved"}
    return stranger.record("mint.requested", f"order:{order}", asked)


def minted(*orders: str) -> bytes:
    root = merkle.root([bytes.fromhex(order[2:]) for order in orders]).hex()
    return stranger.record("mint.final", f"batch:0x{root}", {"first": 1, "orders": list(orders)}, [HASH])


def receipt(records: Sequence[bytes]) -> dict[str, Any]:
    """A log of these records, anchored by the one event of the one transaction of a block."""
    root = merkle.root(records)
    topics = [TOPICS["ReportPosted"], "0x" + (7).to_bytes(32).hex(), "0x" + root.hex()]
    event = [verify.unhex(FEED), [verify.unhex(topic) for topic in topics], bytes(128) + len(records).to_bytes(32)]
    body = b"\x02" + rlp.encode([b"\x01", b"", bytes(256), [event]])
    header = rlp.encode(
        [b"", b"", b"", b"", b"", verify.unhex(trie.root([body])), b"", b"", b"\x05", b"", b"", b"\x01"]
    )
    told = {
        "block_hash": keccak(header),
        "transaction_index": 0,
        "log_index": 0,
        "header": "0x" + header.hex(),
        "proof": ["0x" + part.hex() for part in trie.path([body], 0)],
    }

    def nodes(level: int, index: int) -> bytes:
        return merkle.root(records[index << level : (index + 1) << level])

    shown = [
        {
            "index": at,
            "record": body.decode(),
            "proof": ["0x" + part.hex() for part in merkle.inclusion_proof(nodes, at, len(records))],
        }
        for at, body in enumerate(records)
    ]
    note = checkpoint.sign(len(records), root, signer())
    return {"v": 1, "token": TOKEN, "feed": FEED, "records": shown, "checkpoint": note, "anchor": told}


def proven(records: Sequence[bytes]) -> list[str]:
    given = receipt(records)
    key = Key.parse(signer().verifier.vkey)
    return verify.verify_receipt(given, TOKEN, key, given["anchor"]["block_hash"], FEED)


@pytest.mark.parametrize(
    ("payouts", "outcome"),
    [
        ([], "is not paid, by these records"),
        ([payout("paid", "100.00")], "is paid, by these records: 100.000000"),
        (
            [payout("paid", "100.00"), payout("partly-returned", "40.00")],
            "is not paid, by these records: of 100.000000 that were paid, 40.000000 came back",
        ),
        (
            [payout("paid", "100.00"), payout("partly-returned", "40.00"), payout("returned", "60.00")],
            "is not paid, by these records: of 100.000000 that were paid, 100.000000 came back",
        ),
        (
            [payout("paid", "100.00"), payout("returned", "100.00"), payout("paid", "100.00", "m2")],
            "is paid, by these records: 100.000000",
        ),
    ],
)
def test_a_redemption_is_paid_only_by_money_that_did_not_come_back(payouts: list[bytes], outcome: str) -> None:
    found = [line for line in proven([burned(), *payouts]) if line.startswith(REDEMPTION)]
    assert found == [f"{REDEMPTION} {outcome}"]


@pytest.mark.parametrize(
    ("records", "what"),
    [
        ([burned(), payout("paid", "100.00", subject="redemption:200000000")], "joins records of redemption:200000000"),
        ([burned(), burned("redemption:200000000")], "does not show one mint or one redemption"),
        ([payout("paid", "100.00")], "does not show one mint or one redemption"),
        ([requested(A)], "does not show one mint or one redemption"),
        ([], "does not show one mint or one redemption"),
        ([burned(), requested(A)], f"joins records of order:{A}"),
        ([requested(B), minted(A)], f"order:{B} is not in the batch"),
        ([minted(A), payout("paid", "100.00")], f"{REDEMPTION} is not in the batch"),
        ([burned().replace(b'"v":1', b'"v": 1')], "is not a canonical record"),
        ([burned()[:-1] + b',"w":1}'], "is not a canonical record"),
    ],
)
def test_a_receipt_joins_only_what_belongs_together(records: list[bytes], what: str) -> None:
    with pytest.raises(Untrue, match=what):
        proven(records)


def test_orders_that_were_minted_together_share_a_receipt() -> None:
    assert len(proven([requested(A), requested(B), minted(A, B)])) == 5


def test_a_receipt_does_not_show_a_record_twice() -> None:
    """A payment that came back, and the same payment again."""
    given = receipt([burned(), payout("paid", "100.00"), payout("returned", "100.00")])
    given["records"].append(given["records"][1])
    with pytest.raises(Untrue, match="not in the log's order"):
        verify.verify_receipt(given, TOKEN, Key.parse(signer().verifier.vkey), None, None)


def test_an_orders_receipt_leaves_out_the_failed_order_whose_money_it_was_paid_with() -> None:
    subjects = ["deposit:x", f"order:{A}", f"order:{B}", "batch:0x1", "batch:0x2", "report:3"]
    assert receipts.own(subjects) == [f"order:{B}", "batch:0x1", "batch:0x2"]
    assert receipts.own([REDEMPTION]) == [REDEMPTION]


class Told(verify.Node):
    """A node that gives these events for every transaction."""

    def __init__(self, *logs: dict[str, Any]) -> None:
        super().__init__("http://nowhere.invalid")
        self._logs = logs

    def ask(self, method: str, *_: Any) -> Any:
        return {"logs": list(self._logs)} if method == "eth_getTransactionReceipt" else None


def event(address: str, *topics: str, data: str = "0x") -> dict[str, Any]:
    place = {"blockNumber": "0x1", "logIndex": "0x0", "transactionHash": HASH}
    return {"address": address, "topics": list(topics), "data": data, **place}


def word(value: int) -> str:
    return "0x" + value.to_bytes(32).hex()


REDEEMED = event(TOKEN, TOPICS["Redeemed"], word(5), word(100_000_000), word(0), data=word(100_000_000))
FOREIGN = [
    event(OTHER, TOPICS["Transfer"], word(1), word(2), data=word(7)),
    event(OTHER, TOPICS["Transfer"], word(1), word(2), word(3)),
    event(OTHER),
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=["another token", "a collectible", "an anonymous event"])
def test_what_other_contracts_do_in_a_redemptions_transaction_says_nothing(foreign: dict[str, Any]) -> None:
    burned = {"holder": "0x" + word(5)[-40:], "value": "100.000000", "reference": word(0)}
    redemption = {"subject": REDEMPTION, "evidence": [HASH], "after": burned}
    verify._require_event(Told(foreign, REDEEMED), redemption, TOKEN)
    with pytest.raises(Untrue, match="the chain shows no redemption:100000000"):
        verify._require_event(Told(foreign, {**REDEEMED, "address": OTHER}), redemption, TOKEN)
