"""How a run ends: all is mended and everybody works until nothing moves; after broken finality, all stands still.

At rest nothing may be lost, the books say what the worlds say, and nothing waits without a reason.
"""

from tests.simulation import faults, people
from tests.simulation.chain import FINALITY
from tests.simulation.invariants import require
from tests.simulation.node import Trouble
from tests.simulation.world import BLOCK_TIME, World

_PATIENCE = 60
"""Turns within which everything must have come to rest."""


def settle(world: World) -> None:
    """Mend everything, let everybody work until nothing moves, and look closely."""
    world.say("       everything is mended")
    _mend(world)
    for _ in range(_PATIENCE):
        if not _turn(world) or world.records.recovering():
            if not _waiting(world):
                break
            world.advance(3600)  # what waits may wait for the clock
            world.bank.statement()  # or, after a restore, for the end of the bank's day
    waiting = _waiting(world)
    require(not waiting, f"{len(waiting)} things wait for ever: {waiting[:10]}; locks: {world.records.locks()}")
    with world.stage.store.read() as connection:
        world.watch.look_closely(connection, world.stage.open_log())


def stand_still(world: World) -> None:
    """Finality is broken: minting and payouts stop until a person decides, and nobody does."""
    _mend(world)
    world.serve()
    locked = {scope for _, scope, code in world.records.locks() if code == "broken-finality"}
    require(locked == {"minting", "payouts"}, f"finality is broken, and {locked} are locked")
    before = world.watch.left
    for _ in range(FINALITY + 2):
        _pass(world)
        world.serve()
        world.watch.look()
    world.tell_news()
    require(world.watch.left == before, f"{world.watch.left - before} leave though finality is broken")


def _mend(world: World) -> None:
    world.crashes = world.delayed = world.damaged = world.folder.silent = 0
    world.node.trouble = Trouble()
    world.skew = 0
    world.post.mend()
    for act in (faults.reopen_accounts, faults.give_the_fee_back):
        act(world)
    world.chain.next_base_fee = world.chain.tip = 10**9


def _turn(world: World) -> int:
    """Time passes and everybody works once; how much was done."""
    world.number += 1
    world.say(f"{world.number:4} {world.time} everybody works")
    done = people.tidy(world) + _pass(world) + world.serve()
    world.watch.look()
    world.tell_news()
    return done


def _pass(world: World) -> int:
    """What was sent becomes final, and bank and auditor work; how much they did."""
    for _ in range(FINALITY + 1):
        world.advance(BLOCK_TIME)
        world.chain.mine(max(world.time, world.chain.head.timestamp + 1))
    return world.bank.step() + world.auditor.step()


def _waiting(world: World) -> list[str]:
    """What has not come to its end, and could."""
    waiting = world.records.waiting(world.policy.redemption_fee_fen)
    if world.watch.short:
        # The collection account may be empty, and a person must find the money.
        waiting = [item for item in waiting if not item.startswith(("order", "batch", "deposit", "payout"))]
    if "unknown-mint" in {code for _, _, code in world.records.locks()}:
        # What backed our own mints is taken, or was paid out for it, and a person must decide.
        ours = ("order", "batch", "intent mint", "report", "payout UNFUND")
        waiting = [item for item in waiting if not item.startswith(ours)]
    return waiting
