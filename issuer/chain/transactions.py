"""The rows of what was signed: one transaction for one nonce of one key, with every signed form of it.

The nonce is taken in the database transaction that stores the signed bytes; only then are they sent, and they are sent
again until that nonce is final.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from issuer.errors import Conflict
from issuer.messages.transactions import Transaction
from issuer.store import intents
from issuer.store.inserts import insert_new
from issuer.store.intents import Intent
from issuer.store.states import IntentState, TransactionState
from issuer.store.tables import attempt, cursor, intent, signer, transaction
from issuer.store.unit import Unit


@dataclass(frozen=True, kw_only=True)
class Key:
    """One signing key as the database knows it."""

    address: str
    role: str
    next_nonce: int
    halted: str | None


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
    role: str
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
    rows = connection.execute(select(signer).order_by(signer.c.role)).all()
    return [Key(address=row.address, role=row.role, next_nonce=row.next_nonce, halted=row.halted) for row in rows]


def key(connection: Connection, role: str) -> Key | None:
    return next((item for item in keys(connection) if item.role == role), None)


def register(unit: Unit, *, address: str, role: str, nonce: int) -> None:
    """Begin counting a key's nonces, unless it is counted already."""
    values = {"address": address, "role": role, "next_nonce": nonce, "halted": None}
    unit.connection.execute(insert_new(unit.connection, signer).values(**values))


def halt(unit: Unit, address: str, reason: str) -> None:
    """Stop a key from signing until an operator resumes it; the first reason is kept."""
    statement = update(signer).where(signer.c.address == address, signer.c.halted.is_(None)).values(halted=reason)
    unit.connection.execute(statement)


def resume(unit: Unit, *, address: str, nonce: int) -> None:
    """Let a halted key sign again, from the chain's next nonce if that is further."""
    row = unit.connection.execute(select(signer.c.next_nonce).where(signer.c.address == address)).scalar_one()
    values = {"halted": None, "next_nonce": max(row, nonce)}
    unit.connection.execute(update(signer).where(signer.c.address == address).values(**values))


def store(unit: Unit, found: Intent, signed: Transaction, raw: str) -> None:
    """Bind the intent, take the nonce and keep the signed bytes.

    Raises Conflict, which must undo the unit, if another process has bound the intent or taken the nonce, or the key
    was halted meanwhile.
    """
    if not intents.move(unit, found.id, IntentState.OPEN, IntentState.BOUND):
        raise Conflict(f"intent {found.id} is bound already")
    free = (signer.c.address == signed.sender, signer.c.next_nonce == signed.nonce, signer.c.halted.is_(None))
    taken = update(signer).where(*free).values(next_nonce=signed.nonce + 1)
    if unit.connection.execute(taken).rowcount != 1:
        raise Conflict(f"nonce {signed.nonce} of {signed.sender} is taken already")
    final = unit.connection.execute(select(cursor.c.number)).scalar() or 0
    values = {
        "signer": signed.sender,
        "nonce": signed.nonce,
        "intent_id": found.id,
        "target": signed.target,
        "data": signed.data,
        "gas": signed.gas,
        "state": TransactionState.SIGNED,
        "after_block": final,
        "at": unit.now,
    }
    row_id = unit.connection.execute(insert(transaction).values(**values).returning(transaction.c.id)).scalar_one()
    add(unit, row_id, signed, raw, cancels=False)


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


def live(connection: Connection) -> list[Sent]:
    """Every transaction whose nonce is not final, by key and nonce."""
    statement = (
        select(transaction, intent.c.kind, intent.c.subject, signer.c.role)
        .join(intent, intent.c.id == transaction.c.intent_id)
        .join(signer, signer.c.address == transaction.c.signer)
        .where(transaction.c.state == TransactionState.SIGNED)
        .order_by(transaction.c.signer, transaction.c.nonce)
    )
    rows = connection.execute(statement).all()
    forms = _attempts(connection, [row.id for row in rows])
    return [
        Sent(
            id=row.id,
            signer=row.signer,
            role=row.role,
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
    ]


def _attempts(connection: Connection, ids: list[int]) -> dict[int, list[Attempt]]:
    found: dict[int, list[Attempt]] = {row_id: [] for row_id in ids}
    # Each form has a higher fee than the one before.
    statement = select(attempt).where(attempt.c.transaction_id.in_(ids)).order_by(attempt.c.max_fee, attempt.c.hash)
    for row in connection.execute(statement):
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
