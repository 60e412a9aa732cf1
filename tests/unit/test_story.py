"""The stranger's replay of the chain: the gate at each mint and report, and what the events leave out."""

from typing import Any

import pytest

from issuer.verify import ZERO, Event, Feed, Statement, Story, Untrue

TOKEN, FEED, OTHER, WALLET, BANK = ("0x" + digit * 40 for digit in "12345")
AGE = 1000
START = 1_800_000_000


class Chain:
    """Events one after the other, each in a block and a transaction of its own unless it says otherwise."""

    def __init__(self) -> None:
        self.story = Story(TOKEN)
        self.block = 0
        self.set("FeedSet", TOKEN, previous=ZERO, next=FEED)
        self.set("ReportAgeSet", TOKEN, previous=0, next=AGE)

    def set(self, name: str, address: str, *, time: int = 0, position: int = 0, **values: Any) -> None:
        if not position:
            self.block += 1
        at = time or START + self.block
        self.story.play(Event(self.block, position, name, address, f"transaction {self.block}", at, values))

    def report(self, reserve: int, credited: int, paid: int = 0, *, feed: str = FEED, **changed: int) -> None:
        told: dict[str, Any] = {
            "number": self.block,
            "asOf": START + self.block + 1,
            "logRoot": "0x",
            "logSize": self.block,
            **changed,
        }
        self.set("ReportPosted", feed, reserve=reserve, credited=credited, paid=paid, **told)

    def mint(self, *values: int, first: int = 0, time: int = 0) -> None:
        self.block += 1
        for at, value in enumerate(values, start=1):
            self.set("Transfer", TOKEN, position=at, time=time, to=WALLET, value=value)
        first = first or self.story.next
        told: dict[str, Any] = {"first": first, "count": len(values), "batchRoot": "0x"}
        self.set("Minted", TOKEN, position=len(values) + 1, time=time, **told)

    def redeem(self, value: int, ident: int = 0) -> None:
        told: dict[str, Any] = {"account": WALLET, "id": ident or self.story.redeemed + value, "instruction": "0x"}
        self.set("Redeemed", TOKEN, value=value, **told)


@pytest.fixture
def chain() -> Chain:
    return Chain()


def refused(statement: Statement, what: str) -> pytest.RaisesExc[Untrue]:
    return pytest.raises(Untrue, match=what, check=lambda untrue: untrue.statement == statement)


def test_a_life_that_holds(chain: Chain) -> None:
    chain.report(100, 100)
    chain.mint(60, 40)
    chain.redeem(30)
    chain.report(70, 100, 30)
    chain.report(90, 120, 30)
    chain.mint(20)
    chain.story.end(START + chain.block)
    assert (chain.story.supply, chain.story.redeemed, chain.story.next) == (90, 30, 4)


# -- the gate


def test_a_mint_above_the_reserve(chain: Chain) -> None:
    chain.report(99, 100)
    with refused(Statement.BACKED, "at the mint of numbers 1 to 2 .* 0.000100 is owed and 0.000099 is in the reserve"):
        chain.mint(60, 40)


def test_what_is_redeemed_and_not_paid_backs_no_mint(chain: Chain) -> None:
    chain.report(100, 110)
    chain.mint(100)
    chain.redeem(10)
    with refused(Statement.BACKED, "0.000110 is owed and 0.000100 is in the reserve"):
        chain.mint(10)


def test_a_mint_above_all_that_was_credited(chain: Chain) -> None:
    """The money of a paid redemption came back from nowhere: the reserve has it, and no customer brought it."""
    chain.report(100, 100)
    chain.mint(100)
    chain.redeem(10)
    chain.report(100, 100, 10)
    with refused(Statement.BACKED, "0.000110 was ever minted and 0.000100 ever credited"):
        chain.mint(10)


def test_a_mint_after_more_is_paid_than_redeemed(chain: Chain) -> None:
    chain.story.feed = FEED
    with refused(Statement.BACKED, r"at report .* more is paid \(0.000001\) than was redeemed \(0.000000\)"):
        chain.report(100, 100, 1)


def test_a_mint_on_no_report_at_all(chain: Chain) -> None:
    with refused(Statement.BACKED, "rests on no report at all"):
        chain.mint(1)


@pytest.mark.parametrize(
    ("reserve", "credited", "paid", "what"),
    [
        (99, 100, 0, "0.000100 is owed and 0.000099 is in the reserve"),
        (100, 99, 0, "0.000100 was ever minted and 0.000099 ever credited"),
        (100, 100, 1, "more is paid"),
    ],
)
def test_a_report_that_shows_the_gate_broken(chain: Chain, reserve: int, credited: int, paid: int, what: str) -> None:
    chain.report(100, 100)
    chain.mint(100)
    with refused(Statement.BACKED, f"at report .*{what}"):
        chain.report(reserve, credited, paid)


def test_another_feed_s_report_backs_nothing(chain: Chain) -> None:
    chain.report(100, 100, feed=OTHER)
    with refused(Statement.BACKED, "rests on no report at all"):
        chain.mint(1)


# -- freshness


def test_a_mint_may_rest_on_a_report_of_the_last_second_that_it_lives(chain: Chain) -> None:
    chain.report(100, 100)
    as_of = START + chain.block
    chain.mint(1, time=as_of + AGE)
    with refused(Statement.FRESH, r"rests on a report 1,001 seconds old; 1,000 are allowed"):
        chain.mint(1, time=as_of + AGE + 1)
    assert chain.story.oldest == AGE


def test_a_report_may_not_be_of_the_future(chain: Chain) -> None:
    with refused(Statement.FRESH, "is dated after its block"):
        chain.report(100, 100, asOf=START + 10_000)


def test_time_without_a_fresh_report_is_counted(chain: Chain) -> None:
    chain.report(100, 100)
    as_of = START + chain.block
    chain.mint(1)
    chain.report(100, 100, time=as_of + AGE + 50, asOf=as_of + AGE + 40)
    chain.story.end(as_of + AGE + 40 + AGE + 7)
    assert chain.story.uncovered == 50 + 7


# -- the log that reports anchor


def test_an_anchored_log_never_shrinks(chain: Chain) -> None:
    chain.report(100, 100, logSize=10)
    chain.report(100, 100, logSize=10)
    with refused(Statement.ANCHORED, "anchors 9 records, after report [0-9]+ anchored 10"):
        chain.report(100, 100, logSize=9)


# -- who may sign


def test_the_attestors_of_a_report_are_those_of_its_moment(chain: Chain) -> None:
    chain.set("AttestorAdded", FEED, attestor=BANK, version=1)
    chain.set("QuorumSet", FEED, quorum=1, version=2)
    chain.report(100, 100)
    chain.set("AttestorRemoved", FEED, attestor=BANK, version=3)
    chain.set("AttestorAdded", FEED, attestor=OTHER, version=4)
    chain.report(100, 100)
    assert chain.story.signers == [Feed({BANK}, 1), Feed({OTHER}, 1)]


# -- what the node leaves out


def test_money_from_nowhere(chain: Chain) -> None:
    chain.report(100, 100)
    chain.set("Transfer", TOKEN, to=WALLET, value=5)
    with refused(Statement.COMPLETE, "0.000005 appear in transaction .* without a mint"):
        chain.story.end(START)


def test_a_mint_whose_transfers_are_not_shown(chain: Chain) -> None:
    chain.report(100, 100)
    with refused(Statement.COMPLETE, "shows 0 orders from number 1, the mint 1 from 1"):
        chain.set("Minted", TOKEN, first=1, count=1, batchRoot="0x")


def test_a_gap_in_the_numbers(chain: Chain) -> None:
    chain.report(100, 100)
    with refused(Statement.COMPLETE, "from number 1, the mint 1 from 2"):
        chain.mint(1, first=2)


def test_a_redemption_that_does_not_follow(chain: Chain) -> None:
    chain.report(100, 100)
    chain.mint(100)
    with refused(Statement.COMPLETE, "redemption 99 does not follow from 0"):
        chain.redeem(10, 99)


def test_more_is_redeemed_than_there_is(chain: Chain) -> None:
    with refused(Statement.COMPLETE, "redemption 1 does not follow"):
        chain.redeem(1)
