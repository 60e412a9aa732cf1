"""The agenda: what the service does by itself, in order, each act in its own unit of work.

What may be waiting is asked first, in one question: an idle service opens no unit of work, and takes nobody's turn.
An act looks again at all it needs; the question only spares those that have nothing to look at.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, select

from issuer.operations import batches, deposits, mints, powers, redemptions, reserve
from issuer.operations.policy import Policy
from issuer.store import turn
from issuer.store.states import BatchState, OrderState, ProposalState, RedemptionState, ReportState
from issuer.store.tables import batch, mint_order, proposal, redemption, report
from issuer.store.unit import Store, Unit


@dataclass(frozen=True, kw_only=True)
class Item:
    name: str
    waiting: ColumnElement[bool]  # whether there may be something to do
    act: Callable[[Unit, Policy], int]  # returns how many things were done


ITEMS = (
    Item(
        name="return deposits",
        waiting=exists().where(deposits.RETURNABLE),
        act=deposits.return_to_senders,
    ),
    Item(
        name="reserve orders",
        waiting=exists().where(mint_order.c.state == OrderState.APPROVED),
        act=lambda unit, _: mints.reserve(unit),
    ),
    Item(
        name="fund batches",
        waiting=exists().where(mint_order.c.state == OrderState.RESERVED)
        | exists().where(batch.c.state == BatchState.FUNDING),
        act=lambda unit, policy: batches.gather(unit, policy) + batches.fund(unit, policy),
    ),
    Item(
        name="send batches",
        waiting=exists().where(batch.c.state.in_((BatchState.FUNDED, BatchState.ATTESTED))),
        act=lambda unit, _: batches.attest(unit) + batches.send(unit),
    ),
    Item(
        name="unfund orders",
        waiting=exists().where(mint_order.c.state == OrderState.FAILED),
        act=batches.unfund,
    ),
    Item(
        name="instruct redemptions",
        waiting=exists().where(redemption.c.state == RedemptionState.PAYABLE),
        act=redemptions.instruct,
    ),
    Item(
        name="request a report",
        waiting=~exists().where(report.c.state == ReportState.REQUESTED),
        act=reserve.request_if_due,
    ),
    Item(
        name="accept slow acts",
        waiting=exists().where(proposal.c.state == ProposalState.PROPOSED),
        act=lambda unit, _: powers.accept_ready(unit),
    ),
)

_QUESTION = select(*(item.waiting.label(f"item_{place}") for place, item in enumerate(ITEMS)))


def work(store: Store, policy: Policy) -> int:
    """Do everything on the agenda that can be done now; how many things were done."""
    done = 0
    waiting = _waiting(store)
    for item in ITEMS:
        if item.name not in waiting:
            continue
        with store.unit(item.name) as unit:
            moved = item.act(unit, policy) if turn.take(unit) else 0
        if moved:
            waiting = _waiting(store)  # one act makes work for the next
        done += moved
    return done


def _waiting(store: Store) -> frozenset[str]:
    with store.read() as connection:
        answers = connection.execute(_QUESTION).one()
    return frozenset(item.name for item, answer in zip(ITEMS, answers, strict=True) if answer)
