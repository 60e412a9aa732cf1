"""Runs: the events with their weights, and one run of a seed from its start to its rest."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from issuer.errors import BrokenInvariant
from tests.simulation import faults, people, rest
from tests.simulation.invariants import Violation
from tests.simulation.stage import Stage
from tests.simulation.world import World, failure

Event = Callable[[World], str | None]

WORK: dict[Event, float] = {
    people.register: 2,
    people.wire: 8,
    people.request_mint: 5,
    people.transfer: 3,
    people.redeem: 6,
    people.decide: 2,
    people.hesitate: 2,
    people.back_up: 2,
    people.enter_again: 10,
    people.refund: 1,
    people.release: 2,
    people.clear_lock: 7,
    people.resume_key: 2,
    people.top_up: 2,
    people.unfreeze: 1,
    people.resume: 2,
    faults.mine: 30,
    faults.work: 26,
    faults.draw_statements: 3,
    faults.reopen_accounts: 2,
    faults.give_the_fee_back: 2,
    faults.send_again: 3,
}
"""What is done on any day."""

TROUBLE: dict[Event, float] = {
    faults.reorganise: 4,
    faults.drop: 2,
    faults.change_fees: 2,
    faults.drain: 0.7,
    faults.steal: 0.5,
    faults.mint_for_oneself: 0.1,
    faults.node_trouble: 8,
    faults.folder_trouble: 5,
    faults.repeat_notice: 2,
    faults.sleep: 0.5,
    faults.jump: 1,
    faults.take_over: 1,
    faults.set_clock: 1,
    faults.wire_under_another_name: 1.5,
    faults.wire_from_a_stranger: 1,
    faults.recall: 0.7,
    faults.give_back: 2.5,
    faults.close_account: 1,
    faults.take_a_fee: 0.6,
    people.give_up: 1,
    people.freeze: 1,
    people.stop: 0.5,
    people.post_report: 1,
    people.restore: 0.4,
}
"""What goes wrong; each run has none of it, some, or much."""

_FORGE = 0.2
"""The share of runs in which money comes from nobody, and under ids that are not the sender's to use."""

_OVERDRAW = 0.1
"""The share of runs in which the bank takes more than there is; what it took is missing to the end."""

_BREAK = 0.15
"""The share of runs that end with broken finality, after which nothing is to move any more."""


@dataclass(kw_only=True)
class Report:
    """What came of one run."""

    seed: int
    steps: int
    pairs: set[tuple[str, str]]
    points: set[str]
    failure: str | None
    violation: bool = False  # whether the failure is a promise that was broken, and not a program that does not work
    trace: list[str]


def run(stage: Stage, seed: int, steps: int = 150) -> Report:
    """One run. What is wrong with it is in the report, not raised."""
    world = World(stage, seed)
    told, violation = None, False
    try:
        _live(world, steps)
    except Exception as error:
        told, violation = failure(world, error), isinstance(error, Violation | BrokenInvariant)
    finally:
        world.close()
    return Report(
        seed=seed,
        steps=world.number,
        pairs=world.pairs,
        points=set(world.points),
        failure=told,
        violation=violation,
        trace=world.trace,
    )


def _live(world: World, steps: int) -> None:
    weights = WORK | {event: weight * world.random.choice((0, 0, 1, 1, 3)) for event, weight in TROUBLE.items()}
    rare = Random(world.seed + 2)  # noqa: S311 - chances of their own, so that other seeds stay as they are
    if rare.random() < _OVERDRAW:
        weights[faults.overdraw] = 2
    if rare.random() < _FORGE:
        weights |= {faults.wire_under_an_order: 3, faults.wire_without_a_sender: 0.5}
    world.step(people.register)
    world.step(people.register)
    while world.number < steps:
        world.step(world.random.choices(list(weights), list(weights.values()))[0])
    if world.random.random() < _BREAK and world.step(faults.break_finality):
        rest.stand_still(world)
    else:
        rest.settle(world)
