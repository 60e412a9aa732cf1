"""What the verifier says of reports, feeds and parts: a dishonest issuer's tries, and what an honest one may do."""

import json
from typing import Any

import pytest

from issuer import verify
from issuer.verify import Event, Late, Statement, Story, Untrue
from tests import stranger
from tests.unit.test_book import ASKED, HASH, REDEMPTION, burned, instructed, paid, read, told

TOKEN, FEED, NEXT, MINTER = ("0x" + digit * 40 for digit in "1234")
OTHER = "redemption:200000000"


def event(block: int, position: int, name: str, address: str, **values: Any) -> Event:
    return Event(block, position, name, address, "0x" + f"{block:064x}", block, values)


def use(of: Event) -> bytes:
    """The record of an event that is a use of a power."""
    values = {name: str(value) for name, value in of.values.items()}
    after = {"contract": "x", "event": of.name, "transaction": of.transaction, **values}
    return stranger.record("chain.any", f"event:{of.block}:{of.position}", after, [of.transaction])


def posted(block: int, feed: str, number: int = 1, paid: int = 0, credited: int = 0) -> Event:
    figures = {"number": number, "reserve": 10**12, "paid": paid, "credited": credited, "asOf": block - 1}
    return event(block, 0, "ReportPosted", feed, **figures, logRoot=HASH, logSize=1)


def final(of: Event) -> bytes:
    return stranger.record("report.final", f"report:{of.values['number']}", None, [of.transaction])


def play(*events: Event) -> Story:
    story = Story(TOKEN)
    for item in sorted(events):
        story.play(item)
    return story


FEED_SET = event(1, 0, "FeedSet", TOKEN, previous=verify.ZERO, next=FEED)


def test_a_report_whose_signatures_are_not_recorded_is_weighed_too() -> None:
    """Two burns of 100. One is paid twice, the other never; the bank counts 200. No record says who signed that."""
    report = posted(50, FEED, paid=200_000_000)
    attested = stranger.record("report.attested", "report:1", {"signatures": []})
    burns = [burned(), burned(OTHER), *paid(REDEMPTION, "m1")]
    book = read([use(FEED_SET), *burns, ASKED, attested, final(report)])
    with pytest.raises(Untrue, match=r"200\.000000 paid") as found:
        verify._compare_report(report, book, Late(-1, 0))
    assert found.value.statement == Statement.ONCE


def test_what_was_paid_in_part_is_not_refused_and_paid_again() -> None:
    part = told("partly-paid", REDEMPTION, "m1", "99.99")
    with pytest.raises(Untrue, match="refused after it was paid"):
        read([burned(), instructed(REDEMPTION, "m1"), part, told("rejected", REDEMPTION, "m1")])


def test_what_was_paid_in_part_and_taken_back_may_be_refused() -> None:
    part = [told(what, REDEMPTION, "m1", "99.99") for what in ("partly-paid", "taken-back")]
    read([burned(), instructed(REDEMPTION, "m1"), *part, told("rejected", REDEMPTION, "m1"), *paid(REDEMPTION, "m2")])


def test_a_report_may_land_on_the_feed_that_has_just_been_replaced() -> None:
    """It was attested and sent before; the issuer reads the former feed too, and records it as final."""
    replaced = event(60, 0, "FeedSet", TOKEN, previous=FEED, next=NEXT)
    report = posted(61, FEED)
    book = read([use(FEED_SET), ASKED, use(replaced), final(report)])
    verify.compare(play(FEED_SET, replaced, report), book, Late(-1, 0))


def test_a_new_feed_s_own_past_needs_no_record_before_it_is_the_token_s() -> None:
    """The issuer reads it once its FeedSet is final: until then its deployment, days old, has no record."""
    bound = event(40, 0, "Bound", NEXT, token=TOKEN)
    replaced = event(60, 0, "FeedSet", TOKEN, previous=FEED, next=NEXT)
    late = Late(final=59, until=59)
    verify.compare(play(FEED_SET, bound, replaced), read([use(FEED_SET)]), late)
    assert late.pending == 2


def test_only_the_token_says_what_its_feed_is() -> None:
    """A minter that a slow act has set could emit the token's events, and hide the real feed's reports by them."""
    with pytest.raises(Untrue, match="as if it were the token"):
        play(FEED_SET, event(60, 0, "FeedSet", MINTER, previous=FEED, next=NEXT))


class Told(verify.Node):
    """A node that knows one receipt."""

    def __init__(self, logs: list[Any]) -> None:
        self._logs = logs

    def ask(self, method: str, *params: Any) -> Any:  # noqa: ARG002 - whatever is asked for
        return {"logs": self._logs}


def test_a_receipt_s_burn_is_the_chain_s() -> None:
    """The chain burned 1.000000 of somebody else's; the record says 100.000000 of this holder."""
    topic = next(topic for topic, form in verify.FORMS.items() if form.name == "Redeemed")
    topics = [topic, f"0x{0xBB:064x}", f"0x{100_000_000:064x}", HASH]
    log = {"address": TOKEN, "topics": topics, "data": f"0x{1_000_000:064x}"}
    log |= {"blockNumber": "0x1", "logIndex": "0x0", "transactionHash": HASH}
    with pytest.raises(Untrue, match="not what the receipt's record says"):
        verify._require_event(Told([log]), json.loads(burned()), TOKEN)


@pytest.mark.parametrize("first_accepted", [True, False])
def test_of_two_orders_for_one_burn_one_may_be_counted(*, first_accepted: bool) -> None:
    """The bank refuses the first and accepts it late: whether before or after the second one, only one pays."""
    late = stranger.record("payout.accepted-late", REDEMPTION, {"message_id": "m1"})
    second = paid(REDEMPTION, "m2")
    orders = [late, *second] if first_accepted else [*second, late]
    first = [instructed(REDEMPTION, "m1"), told("rejected", REDEMPTION, "m1")]
    report = posted(50, FEED, paid=200_000_000)
    book = read([use(FEED_SET), burned(), burned(OTHER), *first, *orders, ASKED, final(report)])
    with pytest.raises(Untrue, match=r"200\.000000 paid"):
        verify._compare_report(report, book, Late(-1, 0))
