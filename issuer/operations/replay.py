"""Replay: what the log says was decided, and a restored database has lost, is decided again, record by record.

Each record is brought about by the same operation that wrote it then, from the same cause: a fact that bank or chain
tell again, or the record itself. The operation's own records are not written anew but found in the log, and a unit of
work is kept only if all of them are there, alike but for what was drawn at random. So books and log agree, the log goes
on where it was published to, and what was decided once is not decided a second time.

- Facts are applied in the order of the log, not in that in which they come in again.
- Records that need no fact are applied many in a unit: one that was cut short is begun anew, and goes on from there.
- What no operation can bring about again waits for a person; `leave_out` replaces its effect by a lock.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from issuer.audit import restoration
from issuer.audit.record import Record
from issuer.audit.restoration import Lost
from issuer.errors import Conflict, IssuerError, Refused, Unreachable
from issuer.operations import intake, locks, payouts
from issuer.operations.causes import ACTS, ENTERED, SILENT, Act, alone, kinds, policy_then
from issuer.operations.policy import Policy
from issuer.operations.recall import Recall, Unmatched, rename
from issuer.store import facts, turn
from issuer.store.facts import Fact
from issuer.store.states import Scope
from issuer.store.unit import Store, Unit

WINDOW = 2000
"""Records looked at together."""

_NEAR = 256
"""Those of one unit of work lie no further from each other."""

_FACTS = 100_000
"""Facts that are looked through at once."""


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """The record that cannot be applied yet, and why."""

    lost: Lost
    why: str


class Replay:
    """Applies the records that were taken back, in the order of the log, as far as their causes are known."""

    def __init__(self, store: Store, policy: Policy) -> None:
        self._store = store
        self._policy = policy
        self._window: list[Lost] = []
        self._told: list[Fact] = []
        self._why = ""
        self._most = WINDOW  # records tried together

    def run(self) -> int:
        """Apply all that can be applied; the number of records applied."""
        self._window = []
        with self._store.read() as connection:
            self._told = facts.new(connection, limit=_FACTS)
        done = 0
        while self._look():
            applied = self._advance()
            if not applied:
                break
            done += applied
        return done

    def obstacle(self) -> Obstacle | None:
        """What the first record that waits is waiting for."""
        with self._store.read() as connection:
            found = restoration.waiting(connection, 1)
        if not found:
            return None
        (lost,) = found
        return Obstacle(lost=lost, why=self._why or "what brought it about has not been told again yet")

    def enter(self, *, name: str, account: str, actor: str) -> dict[str, Any]:
        """Enter a name and a bank account again that were lost: the log has only commitments to them.

        A record of its own commits to them anew. Raises Refused if it is not they that the log waits for.
        """
        if not self._look() or self._window[0].record.action not in ENTERED:
            raise Refused("no name and account are what recovery waits for", "See `issuer status`.")
        head = self._window[0].record
        act, then = ENTERED[head.action](head, name, account)
        if not self._try(act, actor=actor, then=then):
            raise Refused(f"{head.subject} cannot be entered like this: {self._why}", "Compare with your papers.")
        return {"entered": head.subject, "name": name, "account": account}

    def leave_out(self, place: int, *, case: str, actor: str) -> dict[str, Any]:
        """Go on without the effect of the record that waits; minting and payouts stay locked until it is settled.

        Raises Refused if another record waits, Conflict if another process has applied it meanwhile.
        """
        if not self._look() or self._window[0].place != place:
            raise Refused(f"record {place} is not the one that waits", "See `issuer status`.")
        head = self._window[0].record
        reason = f"the effect of record {place} ({head.action} of {head.subject}) was left out under case {case}"

        def then(unit: Unit) -> None:
            for scope in (Scope.MINTING, Scope.PAYOUTS):
                remedy = "Bring books and orders to what the record says, by hand, then clear the lock."
                locks.engage(unit, scope, f"left-out-{place}", reason, remedy)

        if not self._try(lambda _unit, _policy, recall: recall.use_head(), actor=actor, then=then):
            raise Conflict(
                f"record {place} was not left out: {self._why}", "See `issuer recovery show` before you repeat it."
            )
        return {"place": place, "action": head.action, "subject": head.subject, "case": case}

    # -- one record

    def _look(self) -> bool:
        """Have the next records at hand; False if there is none."""
        if len(self._window) < WINDOW // 2:
            last = self._window[-1].place if self._window else -1
            with self._store.read() as connection:
                self._window += restoration.waiting(connection, WINDOW - len(self._window), after=last)
        return bool(self._window)

    def _advance(self) -> int:
        """Apply the first records; how many."""
        left = len(self._window)
        head = self._window[0].record
        self._why = ""
        done = self._together() or self._by_fact(head) or self._by_record(head)
        if not done and not kinds(head) and self._take_silent():
            done = self._by_record(head)
        return left - len(self._window) if done else 0

    def _together(self) -> bool:
        """Apply the first records in one unit, if they are several that no fact brings about.

        False, and nothing is applied, if that cannot be done with all of them; fewer are tried next time.
        """
        near = self._window[: min(self._most, len(self._window) - _NEAR)]
        stretch = [*takewhile(lambda item: alone(item.record) is not None, near)]
        if len(stretch) < 2:
            return False
        applied = self._kept(lambda unit: self._live_through(unit, stretch[-1].place))
        self._most = min(2 * self._most, WINDOW) if applied else max(self._most // 2, 2)
        return applied

    def _live_through(self, unit: Unit, last: int) -> list[int]:
        """Do again what brought about the first records up to a place; the places of all that it recorded."""
        rest = self._window
        while rest and rest[0].place <= last:
            act = alone(rest[0].record)
            if act is None:
                break
            rest = self._act(unit, act, Recall(rest, last)).rest
        left = {item.place for item in rest}
        return [item.place for item in self._window if item.place not in left]

    def _by_fact(self, head: Record) -> bool:
        """Find the fact that brings the record about; what comes before it without a record is taken on the way."""
        wanted, sweeps = kinds(head), head.action != "lock.engaged"
        for fact in [fact for fact in self._told if fact.kind in wanted]:
            self._take(fact, silent=sweeps and fact.kind in SILENT)
            if not self._window or self._window[0].record is not head:
                return True
        return False

    def _by_record(self, head: Record) -> bool:
        act = ACTS.get(head.action)
        if head.action in ENTERED:
            self._why = "the name and the account were lost; the log has only commitments to them"
        return act is not None and self._try(act)

    def _take_silent(self) -> int:
        """Take the facts that change something without a record; how many."""
        why = self._why
        taken = sum(self._take(fact, silent=True) for fact in list(self._told) if fact.kind in SILENT)
        self._why = why
        return taken

    def _take(self, fact: Fact, *, silent: bool) -> bool:
        taken = self._try(self._taking(fact), silent=silent)
        if taken:
            self._told.remove(fact)
        return taken

    def _taking(self, fact: Fact) -> Act:
        def act(unit: Unit, policy: Policy, recall: Recall) -> None:
            if not facts.apply(unit, fact.id):
                raise Unmatched("another process has taken it")
            intake.apply(unit, policy, fact)
            is_answer = fact.kind == "status" and not recall.used
            if is_answer and payouts.find(unit.connection, fact.payload["message_id"]) is None:
                # Under a lock of its kind it leaves no record, whether the order comes later or never.
                raise Unmatched("the order that it answers is not known yet")

        return act

    def _try(
        self,
        act: Act,
        *,
        silent: bool = False,
        actor: str | None = None,
        then: Callable[[Unit], None] | None = None,
    ) -> bool:
        """Do something as it was done then. Kept if it records the head, or nothing at all if it may be silent."""

        def do(unit: Unit) -> list[int]:
            recall = self._act(unit, act, Recall(self._window, self._window[0].place), silent=silent)
            if then is not None:
                then(unit)
            return recall.used

        return self._kept(do, actor=actor)

    def _act(self, unit: Unit, act: Act, recall: Recall, *, silent: bool = False) -> Recall:
        """Act as it was done then. Raises Unmatched unless it records the head, or nothing if it may be silent."""
        then = replace(unit, actor=recall.head.actor, now=recall.head.at, recall=recall)
        act(then, policy_then(self._policy, recall), recall)
        if not recall.holds and (recall.used or not silent):
            raise Unmatched("what brings it about has not been told again yet")
        rename(unit, recall.renamed)
        return recall

    def _kept(self, do: Callable[[Unit], list[int]], *, actor: str | None = None) -> bool:
        """Do it in one unit, and note as applied the records at the places that it returns; False if it cannot be."""
        try:
            with self._store.unit("apply records again", *([actor] if actor else [])) as unit:
                # A step of the service comes again, a person does not know that it must.
                if actor is not None:
                    turn.wait(unit)
                elif not turn.take(unit):
                    raise Unmatched("another process decides")
                places = do(unit)
                if not restoration.applied(unit, places):
                    raise Unmatched("another process has applied it")
        except Unreachable:
            raise
        except (Unmatched, IssuerError, SQLAlchemyError, LookupError) as error:
            self._why = str(error).partition("\n")[0] or type(error).__name__
            return False
        used = set(places)
        self._window = [item for item in self._window if item.place not in used]
        return True
