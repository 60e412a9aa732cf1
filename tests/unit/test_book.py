"""The stranger's reading of the records: money that is minted, paid or taken twice, whatever name it is given."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from issuer.verify import Book, Statement, Untrue
from tests import stranger

HASH = "0x" + "11" * 32
A, B = ("0x" + digit * 64 for digit in "ab")
REDEMPTION = "redemption:100000000"


def deposit(name: str, credit: str = "", customer: int | None = 1) -> bytes:
    state = "suspense" if customer is None else "credited"
    told = {"amount": "100.00", "state": state, "customer": customer, "sender": HASH}
    return stranger.record("deposit.taken", f"deposit:{name}", told, [credit or name])


def bound(order: str) -> list[bytes]:
    """Asked for, and the customer's money bound to it."""
    asked = {"customer": 1, "wallet": "0x" + "aa" * 20, "value": "100.000000", "state": "approved"}
    return [
        stranger.record("mint.requested", f"order:{order}", asked),
        stranger.record("mint.reserved", f"order:{order}", {"value": "100.000000"}),
    ]


def withdrawn(order: str, state: str = "batched") -> bytes:
    record = json.loads(stranger.record("mint.cancelled", f"order:{order}", {"state": "cancelled"}))
    return json.dumps({**record, "before": {"state": state}}, sort_keys=True, separators=(",", ":")).encode()


def failed(order: str) -> bytes:
    return stranger.record("mint.failed", f"order:{order}", {"error": "AccountFrozen"})


def minted(order: str, first: int = 1) -> bytes:
    return stranger.record("mint.final", f"batch:{order}", {"first": first, "orders": [order]}, [HASH])


def burned(subject: str = REDEMPTION) -> bytes:
    told = {"holder": "0x" + "aa" * 20, "value": "100.000000", "reference": HASH, "state": "payable", "reason": None}
    return stranger.record("redemption.burned", subject, told, [HASH])


def instructed(subject: str, message: str, kind: str = "REDEEM", par: str = "100.000000") -> bytes:
    told = {"message_id": message, "kind": kind, "amount": "100.00", "fee": "0.00", "par": par, "creditor": HASH}
    return stranger.record("payout.instructed", subject, told)


def told(what: str, subject: str, message: str, amount: str = "100.00") -> bytes:
    after: dict[str, Any] = {"message_id": message}
    after |= {"reason": "AC04"} if what == "rejected" else {"amount": amount}
    return stranger.record(f"payout.{what}", subject, after, ["x|1|0"])


def paid(subject: str, message: str, kind: str = "REDEEM") -> list[bytes]:
    return [instructed(subject, message, kind), told("paid", subject, message)]


def read(records: Sequence[bytes]) -> Book:
    book = Book()
    for place, body in enumerate(records):
        book.take(place, body)
    return book


def recalled(name: str) -> bytes:
    return stranger.record("deposit.recalled", f"deposit:{name}", {"amount": "100.00", "state": "returned"}, ["y|1|0"])


ASKED = stranger.record("report.requested", "report:1", {"log_size": 1, "log_root": HASH, "withheld": "0.000000"})


def reported(credited: str = "0.000000", paid: str = "0.000000") -> bytes:
    told = {"signer": "0x" + "aa" * 20, "as_of": 1, "reserve": "0.000000", "paid": paid, "credited": credited}
    return stranger.record("report.signed", "report:1", told)


ONCE = [burned(), *paid(REDEMPTION, "m1")]
REFUSED = [*ONCE[:2], told("rejected", REDEMPTION, "m1")]
ACCEPTED_LATE = stranger.record("payout.accepted-late", REDEMPTION, {"message_id": "m1"})
UNFUNDED = [deposit("x"), *bound(A), failed(A), *paid(f"order:{A}", "u1", "UNFUND")]


@pytest.mark.parametrize(
    ("records", "what"),
    [
        ([*ONCE, instructed(REDEMPTION, "m2")], "pays redemption:100000000 again"),
        ([*ONCE, instructed("redemption:0100000000", "m2")], "'redemption:0100000000' is not redemption:100000000"),
        ([burned("redemption:0100000000")], "'redemption:0100000000' is not redemption:100000000"),
        (
            [*ONCE, instructed(REDEMPTION, "m2", "RETURN")],
            "pays redemption:100000000 as RETURN, which is for a deposit",
        ),
        ([*ONCE, told("rejected", REDEMPTION, "m1")], "was refused after it was paid"),
        ([*ONCE, told("paid", "redemption:7", "m1")], "m1 was ordered for redemption:100000000"),
        ([*ONCE[:2], told("returned", REDEMPTION, "m1")], "takes redemption:100000000 back, which is not paid"),
        ([*ONCE, told("returned", REDEMPTION, "m1", "40.00")], "another amount of redemption:100000000 came back"),
        ([*ONCE, told("partly-returned", REDEMPTION, "m1")], "only a part of redemption:100000000 came back"),
        (
            [*ONCE, told("partly-returned", REDEMPTION, "m1", "40.00"), instructed(REDEMPTION, "m2")],
            "pays redemption:100000000 again",
        ),
        ([deposit("x"), deposit("y", "x")], "takes the bank's credit x as deposit:y"),
        (
            [deposit("x", customer=None), *paid("deposit:x", "r1", "RETURN"), recalled("x")],
            "gives deposit:x back to the bank again",
        ),
        ([deposit("x"), *bound(A), minted(A), minted(A, 2)], f"mints the order {A} again"),
        ([*REFUSED, *paid(REDEMPTION, "m2"), told("paid", REDEMPTION, "m1")], "was paid by two orders"),
        ([*REFUSED, told("paid", REDEMPTION, "m1"), instructed(REDEMPTION, "m2")], "pays redemption:100000000 again"),
        ([deposit("x"), *bound(A), withdrawn(A), minted(A)], f"mints the order {A}, which is withdrawn"),
        ([deposit("x"), *bound(A), minted(A), withdrawn(A)], f"withdraws the order {A} again"),
        ([deposit("x"), *bound(A), withdrawn(A), withdrawn(A)], f"withdraws the order {A}, which is withdrawn"),
        ([deposit("x"), *bound(A), withdrawn(A, "approved")], f"withdraws the order {A} as one without money"),
        ([deposit("x"), *bound(A), withdrawn(A), recalled("x"), *bound(B)], f"binds money to the order {B}"),
        ([*ONCE[:2], ACCEPTED_LATE], "accepts redemption:100000000 late, which was not refused"),
    ],
)
def test_no_redemption_is_paid_and_no_credit_taken_twice(records: list[bytes], what: str) -> None:
    with pytest.raises(Untrue, match=what):
        read(records)


@pytest.mark.parametrize(
    ("records", "what"),
    [
        ([deposit("x"), *bound(A), instructed(f"order:{A}", "u1", "UNFUND")], "what no failed order holds"),
        ([deposit("x"), *bound(A), minted(A), instructed(f"order:{A}", "u1", "UNFUND")], "what no failed order holds"),
        ([*UNFUNDED, instructed(f"order:{A}", "u2", "UNFUND")], "again"),
        ([*UNFUNDED, *bound(B), told("returned", f"order:{A}", "u1")], "whose money is bound again"),
        ([*UNFUNDED, told("returned", f"order:{A}", "u1"), *bound(B)], f"binds money to the order {B}"),
        ([*UNFUNDED, *bound(B), minted(A)], f"mints the order {A}, which is unfunded"),
        ([deposit("x"), *bound(A), failed(A), minted(A)], f"mints the order {A}, which is failed"),
        ([deposit("x"), *bound(A), minted(A), failed(A)], f"gives up the order {A} again"),
        (
            [deposit("x"), *bound(A), failed(A), instructed(f"order:{A}", "u1", "UNFUND", "200.000000")],
            "what no failed order holds",
        ),
        ([deposit("x"), instructed("deposit:x", "r1", "RETURN")], "which is a customer's or not there"),
        ([deposit("x", customer=None), instructed("deposit:x", "r1", "REFUND")], "not there any more"),
        ([deposit("x", customer=None), *bound(A)], "that is not there"),
        ([instructed(f"batch:{A}", "m1", "MINT", par="1000000.000000")], "moves 100.000000 for batch"),
    ],
)
def test_no_money_is_minted_that_went_elsewhere(records: list[bytes], what: str) -> None:
    with pytest.raises(Untrue, match=what) as found:
        read(records)
    assert found.value.statement == Statement.ONCE


def test_what_failed_or_came_back_is_owed_once_more() -> None:
    again = [*UNFUNDED, *bound(B), minted(B)]
    assert read(again).free[1] == 0
    parts = [told("partly-returned", REDEMPTION, "m1", "40.00"), told("returned", REDEMPTION, "m1", "60.00")]
    read([*ONCE, *parts, *paid(REDEMPTION, "m2")])
    read([*REFUSED, *paid(REDEMPTION, "m2")])
    unfunded = read([*UNFUNDED, told("returned", f"order:{A}", "u1"), *paid(f"order:{A}", "u2", "UNFUND"), *bound(B)])
    assert unfunded.free[1] == 0
    nobodys = [deposit("x", customer=None), *paid("deposit:x", "r1", "RETURN")]
    read([*nobodys, told("returned", "deposit:x", "r1"), *paid("deposit:x", "r2", "RETURN")])
    refunded = read([deposit("x"), *paid("deposit:x", "f1", "REFUND"), told("returned", "deposit:x", "f1"), *bound(A)])
    assert refunded.free[1] == 0


def test_what_was_refused_may_be_booked_after_all_and_is_counted_once() -> None:
    booked = told("paid", REDEMPTION, "m1")
    read([*REFUSED, booked, ASKED, reported(paid="100.000000")])
    read([*REFUSED, ACCEPTED_LATE, ASKED, reported(paid="100.000000"), ACCEPTED_LATE, booked])
    with pytest.raises(Untrue, match="report 1 counts"):
        read([*REFUSED, ACCEPTED_LATE, booked, ASKED, reported(paid="200.000000")])


def test_no_report_counts_a_transfer_that_came_back() -> None:
    moved = [ASKED, *paid(f"batch:{A}", "m1", "MINT")]
    read([*moved, reported("100.000000")])
    back = [*moved, told("returned", f"batch:{A}", "m1")]
    with pytest.raises(Untrue, match="report 1 counts"):
        read([*back, reported("100.000000")])
    read([*back, *paid(f"batch:{A}", "m2", "MINT"), reported("100.000000")])


def test_no_report_counts_a_payment_that_came_back_before_it_was_asked_for() -> None:
    """Of two burns one is paid in a second try: to count both would let the other one's money out of the reserve."""
    back = told("returned", REDEMPTION, "m1")
    burns = [burned(), burned("redemption:200000000"), *paid(REDEMPTION, "m1")]
    with pytest.raises(Untrue, match="report 1 counts"):
        read([*burns, back, *paid(REDEMPTION, "m2"), ASKED, reported(paid="200.000000")])
    with pytest.raises(Untrue, match="report 1 counts"):
        read([*burns, back, ASKED, reported(paid="100.000000")])
    read([*burns, ASKED, back, reported(paid="100.000000")])
    read([*burns, back, *paid(REDEMPTION, "m2"), ASKED, reported(paid="100.000000")])
