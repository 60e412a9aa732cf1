"""The rows of what was signed: one transaction for one nonce of one key, with every signed form of it.

The nonce is taken in the database transaction that stores the signed bytes; only then are they sent, and they are sent
again until that nonce is final.

One process at a time does the duty of a key, in its own term. A process with an old term cannot write: every write of
the sender names its term (a fencing token), and so it does not matter how long a process believes that it holds the
duty. The lease says only when another one takes over from a process that is silent. Two keys may have one duty: the
standby's process does the sender's with a key of its own.
"""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    bindparam,
    case,
    cast,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from issuer.chain.keystore import Job
from issuer.errors import Conflict
from issuer.messages.transactions import Transaction
from issuer.store import intents
from issuer.store.inserts import insert_new
from issuer.store.intents import Intent
from issuer.store.states import IntentState, TransactionState
from issuer.store.tables import attempt, cursor, duty, intent, signer, transaction
from issuer.store.unit import Unit

LEASE = 10
"""Seconds for which a silent process keeps a duty."""

_NOW = cast(func.extract("epoch", func.clock_timestamp()), BigInteger)
"""PostgreSQL's own clock: those of its clients may differ."""

_TERM = select(duty.c.term).where(duty.c.name == bindparam("duty"), duty.c.holder == bindparam("holder"))
_TERM_LEASED = _TERM.where(duty.c.lease > _NOW + LEASE // 2)
_SAME_TERM = (
    update(duty)
    .where(duty.c.name == bindparam("duty"), duty.c.term == bindparam("held"))
    .values(term=bindparam("held"))
)
_KEYS = select(signer).order_by(signer.c.role)
_FINAL = select(cursor.c.number, cursor.c.hash)
_LIVE = (
    select(transaction, intent.c.kind, intent.c.subject, signer.c.role)
    .join(intent, intent.c.id == transaction.c.intent_id)
    .join(signer, signer.c.address == transaction.c.signer)
    .where(transaction.c.state == TransactionState.SIGNED)
    .order_by(transaction.c.signer, transaction.c.nonce)
)
_ATTEMPTS = (
    select(attempt)
    .join(transaction, transaction.c.id == attempt.c.transaction_id)
    .where(transaction.c.state == TransactionState.SIGNED)
    # Each form has a higher fee than the one before.
    .order_by(attempt.c.max_fee, attempt.c.hash)
)

_NEWEST = (
    select(attempt.c.hash)
    .join(transaction, transaction.c.id == attempt.c.transaction_id)
    .where(transaction.c.id == bindparam("sent"), transaction.c.state == TransactionState.SIGNED)
    .order_by(attempt.c.max_fee.desc(), attempt.c.hash.desc())
    .limit(1)
)


@dataclass(frozen=True, kw_only=True)
class Key:
    """One signing key as the database knows it."""

    address: str
    role: Job
    next_nonce: int
    halted: str | None


@dataclass(frozen=True, kw_only=True)
class Final:
    """The last block whose events are facts."""

    number: int
    hash: str


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One signed form of a transaction."""

    hash: str
    raw: str
    max_fee: int
    priority_fee: int
    cancels: bool
    at: int


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A transaction whose nonce is not final yet."""

    id: int
    signer: str
    role: Job
    nonce: int
    intent_id: int
    kind: str
    subject: str
    target: str
    data: str
    gas: int
    after_block: int
    mined_block: int | None
    attempts: tuple[Attempt, ...]  # oldest first

    @property
    def newest(self) -> Attempt:
        return self.attempts[-1]


def keys(connection: Connection) -> list[Key]:
    return [
        Key(address=row.address, role=Job(row.role), next_nonce=row.next_nonce, halted=row.halted)
        for row in connection.execute(_KEYS)
    ]


def key(connection: Connection, role: Job) -> Key | None:
    return next((item for item in keys(connection) if item.role == role), None)


def register(unit: Unit, *, address: str, role: Job, nonce: int) -> None:
    """Begin counting a key's nonces, and the terms of its duty, unless they are counted already."""
    values = {"address": address, "role": role, "next_nonce": nonce}
    unit.connection.execute(insert_new(unit.connection, signer).values(**values))
    first = {"name": role.duty, "term": 0, "holder": "", "lease": 0}
    unit.connection.execute(insert_new(unit.connection, duty).values(**first))


def holders(connection: Connection) -> dict[str, str]:
    """Which process does each duty; empty text if none has yet."""
    return {row.name: row.holder for row in connection.execute(select(duty))}


def term(connection: Connection, job: Job, holder: str) -> int | None:
    """The term in which a process does a key's duty, if it has half of its lease left at least."""
    mine = _TERM_LEASED if connection.dialect.name == "postgresql" else _TERM
    return connection.execute(mine, {"duty": job.duty, "holder": holder}).scalar()


def hold(unit: Unit, job: Job, holder: str) -> int | None:
    """Take a key's duty over, or keep it for another lease; the term, or None while another process does it.

    SQLite serves one machine, and every process there takes over from the one before it at once.
    """
    shared = unit.connection.dialect.name == "postgresql"
    free = or_(duty.c.holder == holder, duty.c.lease < _NOW) if shared else true()
    return _take_over(unit, job, holder, free, _NOW + LEASE if shared else 0)


def seize(unit: Unit, job: Job, holder: str) -> int:
    """Take a key's duty over from whoever does it, for this one write: who did it takes it back."""
    taken = _take_over(unit, job, holder, true(), 0)
    assert taken is not None  # noqa: S101 - whatever waits was signed with a registered key
    return taken


def require(unit: Unit, job: Job, term: int) -> None:
    """Hold on to a key's duty until the unit ends. Raises Conflict, which must undo the unit, in an old term."""
    if unit.connection.execute(_SAME_TERM, {"duty": job.duty, "held": term}).rowcount != 1:
        raise Conflict(f"another process does the {job.duty}'s work now")


def halt(unit: Unit, address: str, reason: str) -> None:
    """Stop a key from signing until an operator resumes it; the first reason is kept."""
    statement = update(signer).where(signer.c.address == address, signer.c.halted.is_(None)).values(halted=reason)
    unit.connection.execute(statement)


def resume(unit: Unit, *, address: str, nonce: int) -> None:
    """Let a halted key sign again, from the chain's next nonce if that is further."""
    row = unit.connection.execute(select(signer.c.next_nonce).where(signer.c.address == address)).scalar_one()
    values = {"halted": None, "next_nonce": max(row, nonce)}
    unit.connection.execute(update(signer).where(signer.c.address == address).values(**values))


def store(unit: Unit, found: Intent, signed: Transaction, raw: str, job: Job, term: int) -> None:
    """Bind the intent, take the nonce and keep the signed bytes.

    Raises Conflict, which must undo the unit, in an old term, if another process has bound the intent or taken the
    nonce, or if the key was halted meanwhile.
    """
    require(unit, job, term)
    if not intents.move(unit, found.id, IntentState.OPEN, IntentState.BOUND):
        raise Conflict(f"intent {found.id} is bound already")
    free = (signer.c.address == signed.sender, signer.c.next_nonce == signed.nonce, signer.c.halted.is_(None))
    taken = update(signer).where(*free).values(next_nonce=signed.nonce + 1)
    if unit.connection.execute(taken).rowcount != 1:
        raise Conflict(f"nonce {signed.nonce} of {signed.sender} is taken already")
    values = {
        "signer": signed.sender,
        "nonce": signed.nonce,
        "intent_id": found.id,
        "target": signed.target,
        "data": signed.data,
        "gas": signed.gas,
        "state": TransactionState.SIGNED,
        "after_block": final(unit.connection).number,
        "at": unit.now,
    }
    row_id = unit.connection.execute(insert(transaction).values(**values).returning(transaction.c.id)).scalar_one()
    add(unit, row_id, signed, raw, cancels=False)


def outbid(unit: Unit, sent: Sent, signed: Transaction, raw: str, *, cancels: bool) -> None:
    """Keep a form of a waiting transaction that offers more than its newest one; in a unit that holds the key's duty.

    Raises Conflict, which must undo the unit, if another process has stored a newer form or an outcome meanwhile: this
    one may offer as much as that, and then neither takes the place of the other.
    """
    if unit.connection.execute(_NEWEST, {"sent": sent.id}).scalar() != sent.newest.hash:
        raise Conflict(f"transaction {sent.id} was signed again by another process, or has ended")
    add(unit, sent.id, signed, raw, cancels=cancels)


def add(unit: Unit, transaction_id: int, signed: Transaction, raw: str, *, cancels: bool) -> None:
    """Keep another signed form of a transaction."""
    values = {
        "hash": signed.hash,
        "transaction_id": transaction_id,
        "raw": raw,
        "max_fee": signed.max_fee,
        "priority_fee": signed.priority_fee,
        "cancels": cancels,
        "at": unit.now,
    }
    unit.connection.execute(insert(attempt).values(**values))


def final(connection: Connection) -> Final:
    """The last block whose events are facts; number zero before the first."""
    row = connection.execute(_FINAL).one_or_none()
    return Final(number=0, hash="") if row is None else Final(number=row.number, hash=row.hash)


def live(connection: Connection) -> list[Sent]:
    """Every transaction whose nonce is not final, by key and nonce."""
    rows = connection.execute(_LIVE).all()
    forms = _attempts(connection) if rows else {}
    return [
        Sent(
            id=row.id,
            signer=row.signer,
            role=Job(row.role),
            nonce=row.nonce,
            intent_id=row.intent_id,
            kind=row.kind,
            subject=row.subject,
            target=row.target,
            data=row.data,
            gas=row.gas,
            after_block=row.after_block,
            mined_block=row.mined_block,
            attempts=tuple(forms[row.id]),
        )
        for row in rows
        if row.id in forms  # or it has ended between the two questions
    ]


def _take_over(
    unit: Unit, job: Job, holder: str, free: ColumnElement[bool], lease: ColumnElement[int] | int
) -> int | None:
    following = case((duty.c.holder == holder, duty.c.term), else_=duty.c.term + 1)
    statement = update(duty).where(duty.c.name == job.duty, free)
    taken = statement.values(term=following, holder=holder, lease=lease).returning(duty.c.term)
    return unit.connection.execute(taken).scalar()


def _attempts(connection: Connection) -> dict[int, list[Attempt]]:
    """Every signed form of live transactions."""
    found = defaultdict[int, list[Attempt]](list)
    for row in connection.execute(_ATTEMPTS):
        found[row.transaction_id].append(
            Attempt(
                hash=row.hash,
                raw=row.raw,
                max_fee=row.max_fee,
                priority_fee=row.priority_fee,
                cancels=row.cancels,
                at=row.at,
            )
        )
    return found
