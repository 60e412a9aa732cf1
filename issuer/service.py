"""The service: one step brings facts in, moves everything that can move, and sends what is due.

It has no threads of its own. A daemon repeats the step; tests call it by hand. Every part of a step is safe to run
again: a crash between any two of them loses nothing and does nothing twice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from issuer.audit.integrator import Integrator
from issuer.errors import Unreachable
from issuer.operations import agenda, intake
from issuer.operations.policy import Policy
from issuer.recovery import Recovery
from issuer.store.unit import Store


class Source(Protocol):
    """A door that brings facts in."""

    def collect(self) -> int: ...


class Sender(Protocol):
    """A door that takes intents out."""

    def send(self) -> int: ...


class Role(StrEnum):
    """What of a step one process does; the parts meet in rows, and each may be done by several processes at once."""

    ALL = "all"
    OPERATIONS = "operations"  # turns facts into state, and moves what can move
    CHAIN = "chain"  # brings in what the chain says, and sends transactions
    BANK = "bank"  # reads and writes the bank folder


@dataclass(frozen=True, kw_only=True)
class Service:
    store: Store
    policy: Policy
    integrator: Integrator
    sources: tuple[Source, ...]  # the bank's inbox, the chain's watcher, the outcomes of what was sent
    senders: tuple[Sender, ...]  # the bank's outbox, the chain's sender
    decides: bool = True  # whether facts become state here; or else only doors and the log are served
    recovery: Recovery | None = None  # what catches up after a restore; without it nothing leaves a restored database

    def step(self) -> int:
        """Do everything that can be done now; how many things were done, zero when all waits for the world.

        A door that does not answer stops no other: its Unreachable is raised when all else is done.
        """
        if self.recovery is not None and self.recovery.is_on():
            return self.recovery.step() if self.decides else 0
        silent: list[Unreachable] = []
        done = 0
        for source in self.sources:
            brought = _attempt(source.collect, silent)
            done += brought
            # What the chain tells may show that the database is old: then a key that it cannot count is no thief's.
            if (brought or silent) and self.recovery is not None and self.recovery.is_on():
                return done
        if self.decides:
            done += intake.take(self.store, self.policy)
            done += agenda.work(self.store, self.policy)
        done += _attempt(self.integrator.run, silent)
        done += sum(_attempt(sender.send, silent) for sender in self.senders)
        if silent:
            raise silent[0]
        return done


def _attempt(act: Callable[[], int], silent: list[Unreachable]) -> int:
    try:
        return act()
    except Unreachable as error:
        silent.append(error)
        return 0
