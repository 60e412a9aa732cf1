"""Recovery: how a database that is older than the world catches up before anything leaves it.

It is on after a restore, and turns itself on when the log folder or the log that the chain anchors is ahead of the
database. While it is on, nothing goes to the chain or the bank but bare transfers that use up the nonces of
transactions which may have been lost. It ends by itself once

- the log's tail is taken back from the log folder, and every record's effect is in the database again;
- the bank's notices are read without a gap, and a statement of each account is later than the backup;
- every order that lies in the bank's folder has its answer (pain.002);
- every transaction of our keys since the backup is known, and none that was lost can be mined any more;
- chain, books and statements agree to the unit.

Every part may be run again: a crash in the middle is resumed by the next step.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, func, select

from issuer import audit
from issuer.audit import restoration, trail
from issuer.audit.folder import LogFolder
from issuer.audit.integrator import Integrator
from issuer.bank.inbox import Inbox
from issuer.bank.outbox import Outbox
from issuer.chain.lost import LostTransactions
from issuer.chain.outcomes import Outcomes
from issuer.chain.sender import Sender
from issuer.chain.watcher import Watcher
from issuer.clock import utc
from issuer.errors import Conflict, Unreachable
from issuer.messages import folder as documents
from issuer.money import format_units
from issuer.operations import intake, payouts
from issuer.operations.causes import ENTERED
from issuer.operations.policy import Policy
from issuer.operations.replay import Replay
from issuer.reports.reconciliation import Line
from issuer.store import recovery
from issuer.store.states import Door, IntentState, PayoutState
from issuer.store.tables import fact, intent, statement
from issuer.store.unit import Store, Unit
from issuer.tlog.checkpoint import Checkpoint


@dataclass(frozen=True, kw_only=True)
class Wait:
    """What recovery waits for, and what a person can do about it."""

    why: str
    do: str


def begin(unit: Unit, cause: str, known_until: int) -> bool:
    """Turn recovery on; False if it is on already, and then it begins anew from what the database knows now.

    `known_until` is the last moment that the database knows.
    """
    if not recovery.begin(unit, cause, known_until):
        recovery.note(unit, cause=cause, known_until=known_until, fenced=False, waits=[])
        return False
    after = {"cause": cause, "known_until": known_until}
    audit.append(unit, "recovery.begun", f"recovery:{unit.now}", after=after)
    return True


@dataclass(frozen=True, kw_only=True)
class Recovery:
    store: Store
    policy: Policy
    folder: LogFolder
    integrator: Integrator
    inbox: Inbox
    watcher: Watcher
    outcomes: Outcomes
    lost: LostTransactions
    outbox: Outbox
    sender: Sender
    compare: Callable[[], Sequence[Line]]  # chain, books and statements; raises Conflict or Unreachable
    replay: Replay = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "replay", Replay(self.store, self.policy))

    def is_on(self) -> bool:
        """Whether nothing may leave now; turns recovery on if the log folder or the chain is ahead of the database."""
        # The folder is read first: another process may publish what this view of the database does not have yet.
        published = self.folder.end()
        with self.store.read() as connection:
            now = recovery.standing(connection)
            if now.is_on:
                return True
            cause = _cause(now, published)
            if cause is None:
                return False
            known_until = max((entry.record.at for entry in trail.latest(connection, 1)), default=0)
        with self.store.unit("begin recovery") as unit:
            begin(unit, cause, known_until)
            # The watcher may have read on meanwhile: any block may hold what this database has lost.
            recovery.note(unit, scanned=self.lost.first)
        return True

    def step(self) -> int:
        """Catch up as far as bank, chain and log folder allow now; how many things were done.

        A door that does not answer stops no other: its Unreachable is raised when all else is done. Raises
        BrokenInvariant if the log folder holds another history than the database.
        """
        silent: list[Unreachable] = []
        done = restoration.take_back(self.store, self.folder)
        self.lost.begin()
        done += sum(_attempt(act, silent) for act in (self.inbox.collect, self.watcher.collect))
        with self.store.read() as connection:
            whole = recovery.has_whole_log(connection)
        # What was not read may anchor more.
        if whole and self.watcher.is_current:
            done += self._catch_up(silent)
        done += self._end_or_wait(silent)
        if silent:
            raise silent[0]
        return done

    def _catch_up(self, silent: list[Unreachable]) -> int:
        done = self.replay.run()
        if self.replay.obstacle() is None:
            done += intake.take(self.store, self.policy)
            acts = (self.lost.collect, self.outcomes.tell, self.outbox.adopt, self._fence)
            done += sum(_attempt(act, silent) for act in acts)
            done += intake.take(self.store, self.policy)
        done += self.integrator.run()
        return done + _attempt(self.sender.send, silent)

    def _fence(self) -> int:
        return self.lost.fence(self.sender.in_flight)

    def _end_or_wait(self, silent: Sequence[Unreachable]) -> int:
        """End recovery if nothing is left to wait for, or note what is; 1 if it ended."""
        waits = [Wait(why=error.what, do=error.do) for error in silent] or self._waits()
        with self.store.unit("end recovery" if not waits else "note what recovery waits for") as unit:
            if waits:
                shown = [vars(item) for item in waits]
                if (found := recovery.find(unit.connection)) is not None and found.waits != shown:
                    recovery.note(unit, waits=shown)
                return 0
            recovery.continue_numbers(unit)
            if recovery.end(unit):
                audit.append(unit, "recovery.ended", f"recovery:{unit.now}")
            return 1

    def _waits(self) -> list[Wait]:
        """What is missing, in the order in which it can come."""
        try:
            return list(self._missing())
        except (Conflict, Unreachable) as error:
            return [Wait(why=error.what, do=error.do)]

    def _missing(self) -> Iterator[Wait]:
        if not self.watcher.is_current:
            yield Wait(why="the chain to be read up to its final block", do="See whether both nodes are in order.")
            return
        obstacle = self.replay.obstacle()
        if obstacle is not None:
            place, record = obstacle.lost.place, obstacle.lost.record
            do = f"If it never comes: issuer recovery leave-out {place} --case CASE"
            if record.action in ENTERED:
                do = "Enter them again from your papers: issuer recovery enter NAME ACCOUNT"
            yield Wait(why=f"record {place} ({record.action} of {record.subject}) to be applied: {obstacle.why}", do=do)
            return
        yield from self._missing_at_the_bank()
        unsure = self.lost.waits()
        if unsure is not None:
            do = "The chain's next blocks bring it, unless a key is halted: find out why, then issuer key resume."
            yield Wait(why=unsure, do=do)
            return
        for line in self.compare():
            if line.difference:
                why = f"{line.what} to agree: off by {format_units(line.difference)} CNH"
                yield Wait(why=why, do="See `issuer reconcile`.")

    def _missing_at_the_bank(self) -> Iterator[Wait]:
        with self.store.read() as connection:
            found = recovery.find(connection)
            now = recovery.standing(connection)
            unanswered = [item.message_id for item in _unanswered(connection, self.outbox.orders())]
            stated = _stated(connection)
        if now.anchored > now.size:
            why = f"the log folder to have the {now.anchored} records that the chain anchors; it has {now.size}"
            yield Wait(why=why, do="Put the whole log folder back.")
        gap = self.inbox.gap()
        if gap is not None:
            yield Wait(why=f"a notice before {gap}, or {gap} itself to be whole", do="Ask the bank for it again.")
        for account in (self.policy.collection_account, self.policy.reserve_account):
            if found is not None and stated.get(account, 0) <= found.known_until:
                why = f"a statement of account {account} that ends after {utc(found.known_until)}"
                yield Wait(why=why, do="Ask the bank for one, or wait for the end of its day.")
        for message_id in unanswered:
            yield Wait(why=f"the bank's answer to the order {message_id}", do="Ask the bank for its pain.002.")


def _attempt(act: Callable[[], int], silent: list[Unreachable]) -> int:
    try:
        return act()
    except Unreachable as error:
        silent.append(error)
        return 0


def _cause(now: recovery.Standing, published: Checkpoint) -> str | None:
    """Why this database must catch up before anything leaves it, if it must."""
    if published.size > now.size:
        return "the log folder has records that this database does not know"
    if now.behind:
        return "records of the log wait to be applied again"
    if now.anchored > now.size:
        return "the chain anchors a longer log than this database has"
    return None


_ANSWER = select(fact.c.id).where(fact.c.door == Door.BANK, fact.c.key == bindparam("answer"))


def _stated(connection: Connection) -> dict[str, int]:
    """Until when each account is stated, in seconds since 1970 UTC."""
    query = select(statement.c.account, func.max(statement.c.until)).group_by(statement.c.account)
    return {account: until for account, until in connection.execute(query)}


def _unanswered(connection: Connection, lying: Collection[str]) -> list[payouts.Payout]:
    """Orders that were put into the bank's folder and that it has neither taken nor refused."""
    query = select(intent.c.payload, intent.c.state).where(
        intent.c.door == Door.BANK,
        intent.c.kind == "payment",
        intent.c.state.in_((IntentState.BOUND, IntentState.DONE)),
    )
    states = {row.payload["payout_id"]: row.state for row in connection.execute(query)}
    return [
        item
        for item in payouts.every(connection)
        if item.id in states
        and item.state is PayoutState.INSTRUCTED
        # One whose bytes were stored, and that a lock has held since, has not left.
        and (states[item.id] == IntentState.DONE or documents.order_name(item.message_id) in lying)
        # An answer may leave an order as it is: the bank knew its id before, or has booked a part of it.
        and connection.scalar(_ANSWER, {"answer": f"status:{item.message_id}"}) is None
    ]
