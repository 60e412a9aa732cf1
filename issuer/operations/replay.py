"""Replay: what the log says was decided, and a restored database has lost, is decided again, record by record.

Each record is brought about by the same operation that wrote it then, from the same cause: a fact that bank or chain
tell again, or the record itself. The operation's own records are not written anew but found in the log, and a unit of
work is kept only if all of them are there, alike but for what was drawn at random. So books and log agree, the log goes
on where it was published to, and what was decided once is not decided a second time.

- Facts are applied in the order of the log, not in that in which they come in again.
- What no operation can bring about again waits for a person; `leave_out` replaces its effect by a lock.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Column, Row, Table, delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from issuer import audit
from issuer.audit import restoration, schema
from issuer.audit.record import Record
from issuer.audit.restoration import Lost
from issuer.errors import Conflict, IssuerError, NotFound, Refused, Unreachable
from issuer.money import parse_units
from issuer.operations import (
    batches,
    binding,
    customers,
    deposits,
    intake,
    locks,
    mints,
    powers,
    redemptions,
    requests,
    reserve,
    wallets,
)
from issuer.operations.binding import Binding
from issuer.operations.policy import Policy
from issuer.operations.transitions import move
from issuer.store import facts, intents, recovery, tables, turn
from issuer.store.facts import Fact
from issuer.store.states import BatchState, IntentState, PayoutKind, Scope, TransactionState
from issuer.store.unit import Store, Unit

WINDOW = 256
"""Records looked at together: those of one unit of work lie close to each other."""

_FACTS = 100_000
"""Facts that are looked through at once."""

LOST_DETAILS = frozenset(("customer.added", "redemption.directed"))
"""Records whose effect needs what only a person can give again."""

_RENAMED: dict[str, Column[Any]] = {
    "customer.added": tables.customer.c.id,
    "lock.engaged": tables.lock.c.id,
    "mint.requested": tables.mint_order.c.commitment,
}
"""Records whose subject was drawn or counted then: the row gets the name that the log has for it."""

_TOLD_BY: dict[str, tuple[str, ...]] = {
    "deposit.taken": ("entry",),
    "deposit.recalled": ("entry",),
    "entry.suspended": ("entry",),
    "payout.paid": ("entry",),
    "payout.returned": ("entry",),
    "payout.accepted": ("status",),
    "payout.rejected": ("status",),
    "statement.taken": ("statement",),
    "report.signed": ("report",),
    "report.refused": ("refusal",),
    "report.final": ("reported",),
    "redemption.burned": ("redeemed",),
    "mint.final": ("minted",),
    "mint.unknown": ("minted",),
    "mint.refused": ("refused",),
    "transaction.refused": ("refused",),
    "transaction.failed": ("sent",),
    "wallet.verified": ("verified",),
    "wallet.unverified": ("unverified",),
    "lock.engaged": tuple(intake.KINDS),
}
"""Kinds of facts that bring a record about; ``chain.KIND`` is brought about by KIND."""

_SILENT = frozenset(("entry", "status", "moved", "sent"))
"""Kinds of facts that may change something without a record of it, whenever they are taken."""


class Unmatched(Conflict):
    """An operation would record something else than the log has."""


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """The record that cannot be applied yet, and why."""

    lost: Lost
    why: str


class Recall:
    """Finds what an operation records among the next records of the log."""

    def __init__(self, window: Sequence[Lost]) -> None:
        self.head = window[0].record
        self.after = [item.record for item in window[1:]]
        self.used: list[int] = []  # places
        self.renamed: list[tuple[str, str, str]] = []  # action, the subject made now, that of the log
        self._window = window

    def __call__(self, made: Record) -> int:
        """The id of the record. Raises Unmatched."""
        fields = json.loads(made.encode())
        for item in self._window:
            if item.place not in self.used and _alike(item.record, fields):
                if fields["subject"] != item.record.subject:
                    self.renamed.append((made.action, fields["subject"], item.record.subject))
                return self._use(item)
        raise Unmatched(f"it would record {made.action} of {made.subject}")

    def use_head(self) -> int:
        """Take the head as it is; its id."""
        return self._use(self._window[0])

    @property
    def holds(self) -> bool:
        """Whether the head was among what was recorded."""
        return self._window[0].place in self.used

    def _use(self, item: Lost) -> int:
        self.used.append(item.place)
        return item.id


Act = Callable[[Unit, Policy, Recall], object]


class Replay:
    """Applies the records that were taken back, in the order of the log, as far as their causes are known."""

    def __init__(self, store: Store, policy: Policy) -> None:
        self._store = store
        self._policy = policy
        self._window: list[Lost] = []
        self._told: list[Fact] = []
        self._why = ""

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
        if not self._look():
            return None
        lost = self._window[0]
        return Obstacle(lost=lost, why=self._why or "what brought it about has not been told again yet")

    def enter(self, *, name: str, account: str, actor: str) -> dict[str, Any]:
        """Enter a name and a bank account again that were lost: the log has only commitments to them.

        A record of its own commits to them anew. Raises Refused if it is not they that the log waits for.
        """
        if not self._look() or self._window[0].record.action not in LOST_DETAILS:
            raise Refused("no name and account are what recovery waits for", "See `issuer status`.")
        head = self._window[0].record
        acts = {"customer.added": _add_customer, "redemption.directed": _direct}
        act, then = acts[head.action](head, name, account)
        if not self._try(act, actor=actor, then=then):
            raise Refused(f"{head.subject} cannot be entered like this: {self._why}", "Compare with your papers.")
        return {"entered": head.subject, "name": name, "account": account}

    def leave_out(self, place: int, *, case: str, actor: str) -> dict[str, Any]:
        """Go on without the effect of the record that waits; minting and payouts stay locked until it is settled.

        Raises Refused if another record waits.
        """
        if not self._look() or self._window[0].place != place:
            raise Refused(f"record {place} is not the one that waits", "See `issuer status`.")
        head = self._window[0].record
        reason = f"the effect of record {place} ({head.action} of {head.subject}) was left out under case {case}"

        def then(unit: Unit) -> None:
            for scope in (Scope.MINTING, Scope.PAYOUTS):
                remedy = "Bring books and orders to what the record says, by hand, then clear the lock."
                locks.engage(unit, scope, f"left-out-{place}", reason, remedy)

        self._try(_nothing, actor=actor, then=then)
        return {"place": place, "action": head.action, "subject": head.subject, "case": case}

    # -- one record

    def _look(self) -> bool:
        """Have the next records at hand; False if there is none."""
        if len(self._window) < WINDOW // 2:
            with self._store.read() as connection:
                self._window = restoration.waiting(connection, WINDOW)
        return bool(self._window)

    def _advance(self) -> int:
        """Apply the first record, with those of the same unit of work; the number of records applied."""
        left = len(self._window)
        head = self._window[0].record
        self._why = ""
        done = self._by_fact(head) or self._by_record(head)
        if not done and not _kinds(head) and self._take_silent():
            done = self._by_record(head)
        return left - len(self._window) if done else 0

    def _by_fact(self, head: Record) -> bool:
        """Find the fact that brings the record about; what comes before it without a record is taken on the way."""
        kinds, sweeps = _kinds(head), head.action != "lock.engaged"
        for fact in [fact for fact in self._told if fact.kind in kinds]:
            self._take(fact, silent=sweeps and fact.kind in _SILENT)
            if not self._window or self._window[0].record is not head:
                return True
        return False

    def _by_record(self, head: Record) -> bool:
        act = _ACTS.get(head.action)
        if head.action in LOST_DETAILS:
            self._why = "the name and the account were lost; the log has only commitments to them"
        return act is not None and self._try(act)

    def _take_silent(self) -> int:
        """Take the facts that change something without a record; how many."""
        why = self._why
        taken = sum(self._take(fact, silent=True) for fact in list(self._told) if fact.kind in _SILENT)
        self._why = why
        return taken

    def _take(self, fact: Fact, *, silent: bool) -> bool:
        taken = self._try(self._taking(fact), silent=silent)
        if taken:
            self._told.remove(fact)
        return taken

    def _taking(self, fact: Fact) -> Act:
        def act(unit: Unit, policy: Policy, _recall: Recall) -> None:
            if not facts.apply(unit, fact.id):
                raise Unmatched("another process has taken it")
            intake.apply(unit, policy, fact)

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
        recall = Recall(self._window)
        try:
            with self._store.unit("apply a record again", *([actor] if actor else [])) as unit:
                if not turn.take(unit):
                    raise Unmatched("another process decides")
                again = replace(unit, actor=recall.head.actor, now=recall.head.at, recall=recall)
                act(again, self._policy, recall)
                if not recall.holds and (recall.used or not silent):
                    raise Unmatched("what brings it about has not been told again yet")
                _rename(unit, recall)
                if not restoration.applied(unit, recall.used):
                    raise Unmatched("another process has applied it")
                if then is not None:
                    then(unit)
        except Unreachable:
            raise
        except (Unmatched, IssuerError, SQLAlchemyError, LookupError) as error:
            self._why = str(error).partition("\n")[0] or type(error).__name__
            return False
        self._window = [item for item in self._window if item.place not in recall.used]
        return True


def _kinds(head: Record) -> tuple[str, ...]:
    """The kinds of facts that bring such a record about; none if no fact does."""
    chain = (head.action.removeprefix("chain."),) if head.action.startswith("chain.") else ()
    return _TOLD_BY.get(head.action, chain)


def _alike(known: Record, made: dict[str, Any]) -> bool:
    """Whether the log's record is this one, but for what was drawn at random."""
    if (known.action, known.actor, known.at) != (made["action"], made["actor"], made["at"]):
        return False
    if known.subject != made["subject"] and known.action not in _RENAMED:
        return False
    if (known.before, list(known.evidence)) != (made["before"], made["evidence"]):
        return False
    return _certain(known.action, known.after) == _certain(known.action, made["after"])


def _certain(action: str, fields: Any) -> dict[str, Any] | None:
    """A record's fields without commitments, each of which has its own salt."""
    kinds = schema.ACTIONS[action].after or {}
    if fields is None:
        return None
    return {name: value for name, value in fields.items() if kinds.get(name) != "commitment"}


def _rename(unit: Unit, recall: Recall) -> None:
    for action, made, known in recall.renamed:
        column = _RENAMED[action]
        old, new = (subject.partition(":")[2] for subject in (made, known))
        values = (old, new) if column.type.python_type is str else (int(old), int(new))
        unit.connection.execute(update(column.table).where(column == values[0]).values({column.name: values[1]}))
    if recall.renamed:
        recovery.continue_numbers(unit)


def _name(record: Record) -> str:
    """What the subject names, without its kind."""
    return record.subject.partition(":")[2]


# -- what a person enters again

Entry = tuple[Act, Callable[[Unit], None]]
"""What is done again, and what is recorded anew."""


def _add_customer(head: Record, name: str, account: str) -> Entry:
    jurisdiction = (head.after or {})["jurisdiction"]

    def act(unit: Unit, policy: Policy, _recall: Recall) -> None:
        customers.add(unit, policy, name=name, bank_account=account, jurisdiction=jurisdiction)

    def then(unit: Unit) -> None:
        commitments = {"name": audit.commit_personal(unit, name)}
        commitments |= {"bank_account": audit.commit_personal(unit, account)}
        audit.append(unit, "customer.restored", head.subject, after={**commitments, "jurisdiction": jurisdiction})

    return act, then


def _direct(head: Record, name: str, account: str) -> Entry:
    case = (head.after or {})["case"]

    def act(unit: Unit, _policy: Policy, _recall: Recall) -> None:
        redemptions.direct(unit, redemption_id=int(_name(head)), account=account, name=name, case=case)

    def then(unit: Unit) -> None:
        after = {"case": case, "creditor": audit.commit_personal(unit, f"{account} {name}")}
        audit.append(unit, "redemption.directed", head.subject, after=after)

    return act, then


# -- how each record that no fact brings about came to be


def _nothing(_unit: Unit, _policy: Policy, recall: Recall) -> None:
    """It tells of something whose effect lay outside, or that people see to."""
    recall.use_head()


def _bind(unit: Unit, _policy: Policy, recall: Recall) -> None:
    told = dict(recall.head.after or {})
    binding.bind(unit, Binding(**{**told, "attestors": tuple(told["attestors"])}))


def _challenge(unit: Unit, policy: Policy, recall: Recall) -> None:
    """With another text: the one that was given is void."""
    told = recall.head.after or {}
    address = _name(recall.head)
    wallets.challenge(unit, policy, customer_id=told["customer"], address=address, standing=told["standing"])


def _register(unit: Unit, _policy: Policy, recall: Recall) -> None:
    row = wallets.get(unit.connection, _name(recall.head))
    # That the signature was good is what the record says.
    wallets.register(unit, address=row["address"], text=row["challenge"], controlled=True)


def _request_mint(unit: Unit, policy: Policy, recall: Recall) -> None:
    told = recall.head.after or {}
    value = parse_units(told["value"])
    mints.request(unit, policy, customer_id=told["customer"], wallet=told["wallet"], value=value)


def _decide(decide: Callable[..., object]) -> Act:
    def act(unit: Unit, _policy: Policy, recall: Recall) -> None:
        decide(unit, order_id=_order(unit, _name(recall.head)).id)

    return act


def _reserve(unit: Unit, _policy: Policy, recall: Recall) -> None:
    mints.bind_money(unit, [_order(unit, _name(recall.head))])


def _batch(unit: Unit, _policy: Policy, recall: Recall) -> None:
    batches.form(unit, [_order(unit, commitment) for commitment in (recall.head.after or {})["orders"]])


def _release(unit: Unit, _policy: Policy, recall: Recall) -> None:
    row = _batch_row(unit, _name(recall.head))
    if row.state == BatchState.FUNDED:
        move(unit, tables.batch, row.id, BatchState.FUNDED, BatchState.ATTESTED)
    elif row.state != BatchState.ATTESTED:
        raise Unmatched(f"the batch is {row.state}")
    batches.send_one(unit, row)


def _refuse_mint(unit: Unit, _policy: Policy, recall: Recall) -> None:
    """The orders that failed by it are in the records after it."""
    told = {"subject": recall.head.subject, "error": (recall.head.after or {})["error"], "arguments": []}
    failed = [record for record in recall.after if record.action == "mint.failed" and record.at == recall.head.at]
    if told["error"] in batches.RECIPIENT_FAULTS:
        told["arguments"] = [_order(unit, _name(failed[0])).wallet]
    _refuse(unit, "mint", recall.head.subject, told)


def _refuse_transaction(unit: Unit, _policy: Policy, recall: Recall) -> None:
    told = recall.head.after or {}
    _refuse(unit, told["kind"], recall.head.subject, {"subject": recall.head.subject, "arguments": [], **told})


def _refuse(unit: Unit, kind: str, subject: str, told: dict[str, Any]) -> None:
    intent_id = _waiting_intent(unit, kind, subject)
    intents.move(unit, intent_id, IntentState.OPEN, IntentState.BOUND)
    payload = {"intent_id": intent_id, "kind": kind, **told}
    intake.refused(unit, Fact(id=0, door="chain", key="", kind="refused", payload=payload))


def _fail(unit: Unit, _policy: Policy, recall: Recall) -> None:
    """A transaction came to nothing, finally; the log knows it whether or not the database knows the transaction."""
    told = recall.head.after or {}
    try:
        intent_id = _waiting_intent(unit, told["kind"], recall.head.subject)
    except NotFound:
        if told["kind"] != "fence":
            raise
        # An earlier recovery's, of which this database knows nothing: its effect lay on the chain alone.
        recall.use_head()
        return
    live = (tables.transaction.c.intent_id == intent_id, tables.transaction.c.state == TransactionState.SIGNED)
    ended = {"state": TransactionState.FINAL, "outcome": told["outcome"]}
    unit.connection.execute(update(tables.transaction).where(*live).values(ended))
    for carried in (IntentState.OPEN, IntentState.BOUND):
        intents.move(unit, intent_id, carried, IntentState.VOID)
    # The lock that a foreign nonce sets has a record of its own.
    payload = {"intent_id": intent_id, "subject": recall.head.subject, **told}
    intake.not_done(unit, payload)


def _refuse_report(unit: Unit, _policy: Policy, recall: Recall) -> None:
    told = recall.head.after or {}
    if told["by"] != "feed":
        raise Unmatched("its refusal has not been told again yet")
    intent_id = _waiting_intent(unit, "report", recall.head.subject)
    intents.move(unit, intent_id, IntentState.OPEN, IntentState.VOID)
    reserve.not_posted(unit, recall.head.subject, told["code"])


def _ask_for_report(unit: Unit, _policy: Policy, recall: Recall) -> None:
    size = (recall.head.after or {})["log_size"]
    anchor = unit.connection.execute(select(tables.checkpoint).where(tables.checkpoint.c.size == size)).one()
    reserve.ask(unit, anchor)


def _pay(unit: Unit, policy: Policy, recall: Recall) -> None:
    _PAYMENTS[(recall.head.after or {})["kind"]](unit, policy, recall)


def _pay_mint(unit: Unit, policy: Policy, recall: Recall) -> None:
    batches.fund_one(unit, policy, _batch_row(unit, _name(recall.head)))


def _pay_unfund(unit: Unit, policy: Policy, recall: Recall) -> None:
    batches.unfund_one(unit, policy, _order(unit, _name(recall.head)))


def _pay_redemption(unit: Unit, policy: Policy, recall: Recall) -> None:
    statement = select(tables.redemption).where(tables.redemption.c.id == int(_name(recall.head)))
    row = unit.connection.execute(statement).one()
    redemptions.pay(unit, policy, row, redemptions.payable(unit.connection, row))


def _pay_back(unit: Unit, policy: Policy, recall: Recall) -> None:
    statement = select(tables.deposit).where(tables.deposit.c.reference == _name(recall.head))
    row = dict(unit.connection.execute(statement).mappings().one())
    kind = PayoutKind((recall.head.after or {})["kind"])
    deposits.send_back(unit, policy, row, kind, deposits.owner_of(row, kind))


def _release_redemption(unit: Unit, policy: Policy, recall: Recall) -> None:
    redemption_id = int(_name(recall.head))
    if redemptions.get(unit.connection, redemption_id)["seized_under"]:
        redemptions.approve(unit, redemption_id=redemption_id)
    else:
        redemptions.release(unit, policy, redemption_id=redemption_id)


def _accept(unit: Unit, _policy: Policy, recall: Recall) -> None:
    told, case = recall.head.after or {}, _name(recall.head)
    statement = select(tables.proposal).where(
        tables.proposal.c.contract == told["contract"], tables.proposal.c.act == told["act"]
    )
    row = unit.connection.execute(statement).one()
    if case == f"act:{row.act_id}":
        powers.accept(unit, row)
    else:
        powers.take_up(unit, act_id=row.act_id, case=case)


def _bind_key(unit: Unit, _policy: Policy, recall: Recall) -> None:
    operation = (recall.head.after or {})["operation"]
    requests.bind(unit, key=_name(recall.head), operation=operation, body_hash=requests.LOST, answer={})


def _use_power(unit: Unit, _policy: Policy, recall: Recall) -> None:
    kind = recall.head.action.removeprefix("power.")
    powers.order(unit, kind, _payload(recall.head), case=_name(recall.head))


def _payload(record: Record) -> dict[str, Any]:
    """What a power was told to do, from the text of its record."""
    kinds = schema.ACTIONS[record.action].after or {}
    read: dict[str, Callable[[Any], Any]] = {"CNH": parse_units, "digits": int}
    return {name: read.get(kinds[name].removesuffix("-"), _same)(value) for name, value in (record.after or {}).items()}


def _same(value: Any) -> Any:
    return value


def _lock(unit: Unit, _policy: Policy, recall: Recall) -> None:
    """What set it cannot be told again, such as a file that has been replaced."""
    told = recall.head.after or {}
    remedy = "It was set before the database was restored: settle what it says, then clear the lock."
    locks.engage(unit, Scope(told["scope"]), told["code"], told["reason"], remedy)


def _unlock(unit: Unit, _policy: Policy, recall: Recall) -> None:
    locks.clear(unit, int(_name(recall.head)))


def _erase(unit: Unit, _policy: Policy, recall: Recall) -> None:
    """A backup must not bring back what was erased after it."""
    commitment = _name(recall.head)
    unit.connection.execute(delete(tables.salt).where(tables.salt.c.commitment == commitment))
    recall.use_head()


def _waiting_intent(unit: Unit, kind: str, subject: str) -> int:
    """The oldest intent that has not come to an end. Raises NotFound."""
    statement = (
        select(tables.intent.c.id)
        .where(tables.intent.c.kind == kind, tables.intent.c.subject == subject)
        .where(tables.intent.c.state.in_((IntentState.OPEN, IntentState.BOUND)))
        .order_by(tables.intent.c.id)
        .limit(1)
    )
    found = unit.connection.execute(statement).scalar()
    if found is None:
        raise NotFound(f"no {kind} of {subject} waits")
    return int(found)


def _order(unit: Unit, commitment: str) -> Row[Any]:
    return _one(unit, tables.mint_order, tables.mint_order.c.commitment, commitment)


def _batch_row(unit: Unit, reference: str) -> Row[Any]:
    return _one(unit, tables.batch, tables.batch.c.reference, reference)


def _one(unit: Unit, table: Table, column: Column[Any], value: str) -> Row[Any]:
    row = unit.connection.execute(select(table).where(column == value)).one_or_none()
    if row is None:
        raise NotFound(f"there is no {table.name} {value}")
    return row


_PAYMENTS: dict[str, Act] = {
    PayoutKind.MINT: _pay_mint,
    PayoutKind.UNFUND: _pay_unfund,
    PayoutKind.REDEEM: _pay_redemption,
    PayoutKind.REFUND: _pay_back,
    PayoutKind.RETURN: _pay_back,
}

_POWERS = [action for action in schema.ACTIONS if action.startswith("power.") and action != "power.accept"]

_ACTS: dict[str, Act] = {
    "issuer.bound": _bind,
    "wallet.challenged": _challenge,
    "wallet.registered": _register,
    "mint.requested": _request_mint,
    "mint.approved": _decide(mints.approve),
    "mint.rejected": _decide(mints.reject),
    "mint.cancelled": _decide(mints.cancel),
    "mint.reserved": _reserve,
    "mint.batched": _batch,
    "mint.released": _release,
    "mint.refused": _refuse_mint,
    "transaction.refused": _refuse_transaction,
    "transaction.failed": _fail,
    "report.requested": _ask_for_report,
    "report.refused": _refuse_report,
    "payout.instructed": _pay,
    "redemption.released": _release_redemption,
    **dict.fromkeys(_POWERS, _use_power),
    "power.accept": _accept,
    "lock.engaged": _lock,
    "lock.cleared": _unlock,
    "personal.erased": _erase,
    "request.accepted": _bind_key,
    **dict.fromkeys(
        (
            "request.refused",
            "transaction.given-up",
            "key.resumed",
            "key.fenced",
            "customer.restored",
            "recovery.begun",
            "recovery.ended",
        ),
        _nothing,
    ),
}
