"""What keys of ours have sent that a restored database does not know: found in the blocks, and told apart from theft.

The signed bytes were lost with the database, and with them their hashes. A transaction of one of our keys is ours if
it is, by its own bytes, what an intent says; the log has given every intent back by then. What may still wait to be
mined cannot be found: a fence uses up the nonces that it may have, and whatever is mined there instead is found too.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, update

from issuer import audit
from issuer.chain import calls, parts, rpc, transactions
from issuer.chain.calls import FENCE
from issuer.chain.deployment import Deployment
from issuer.chain.keystore import Job
from issuer.chain.node import Node
from issuer.chain.rpc import Mined
from issuer.chain.transactions import Key, Sent
from issuer.errors import IssuerError, Unreachable
from issuer.store import facts, intents, recovery
from issuer.store.facts import News
from issuer.store.states import Door, IntentState, Outcome, TransactionState
from issuer.store.tables import intent, signer, transaction
from issuer.store.unit import Store, Unit

BLOCKS = 500
"""Blocks searched in one step."""

_NOTHING = "0x"

_LAST_FINAL = (
    select(transaction.c.signer, func.max(transaction.c.mined_block).label("block"))
    .where(transaction.c.state == TransactionState.FINAL, transaction.c.outcome != Outcome.FOREIGN)
    .where(transaction.c.mined_block.is_not(None))
    .group_by(transaction.c.signer)
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """A transaction of a key of ours in a final block."""

    job: Job
    mined: Mined
    block: int
    succeeded: bool


class LostTransactions:
    def __init__(self, store: Store, node: Node, deployment: Deployment) -> None:
        self._store = store
        self._node = node
        self._deployment = deployment
        self.first = deployment.block  # no transaction of ours lies in it, nor before it
        self._jobs = {deployment.keys[job]: job for job in Job if job is not Job.DEPLOYER}

    def begin(self) -> None:
        """Note the last block whose transactions the database knows: before it reads on."""
        with self._store.read() as connection:
            found = recovery.find(connection)
            final = transactions.final(connection).number or self._deployment.block
        if found is not None and found.scanned is None:
            with self._store.unit("begin to look for lost transactions") as unit:
                recovery.note(unit, scanned=final)

    def collect(self) -> int:
        """Look through the next final blocks; how many transactions were told.

        Raises Unreachable; what was looked through before the node fell silent is kept.
        """
        with self._store.read() as connection:
            found, final = recovery.find(connection), transactions.final(connection).number
            self._deployment = parts.current(connection, self._deployment)
        if found is None or found.scanned is None or found.scanned >= final:
            return 0
        met: list[Found] = []
        searched, silent = max(found.scanned, self._skip(final)), None
        try:
            for number in range(searched + 1, min(final, searched + BLOCKS) + 1):
                met += self._found(number)
                searched = number
        except Unreachable as error:
            silent = error
        with self._store.unit("tell lost transactions") as unit:
            told = sum(self._tell(unit, item) for item in met)
            recovery.note(unit, scanned=searched)
        if silent is not None:
            raise silent
        return told

    def _skip(self, final: int) -> int:
        """The last of the final blocks up to which there can be no transaction that the database does not know.

        A key's transactions are mined in their order: after those of it that are known to be final, and after the block
        at which the first live one was signed.
        """
        with self._store.read() as connection:
            known = {key.address: key.next_nonce for key in transactions.keys(connection)}
            live = transactions.live(connection)
            ends = {row.signer: int(row.block) for row in connection.execute(_LAST_FINAL)}
        signed = [sent.after_block for sent in live]
        lost = [address for address in self._jobs if rpc.nonce(self._node, address, final) > known.get(address, 0)]
        return min([final, *signed, *(ends.get(address, self.first + 1) - 1 for address in lost)])

    def fence(self, most: int) -> int:
        """Order bare transfers in the place of up to `most` lost transactions of each key; how many were ordered.

        A key can have sent no more than its intents that are open now, nor more than it may have in flight.
        """
        if self._unsure() is not None:
            return 0
        with self._store.unit("fence lost transactions") as unit:
            found = recovery.find(unit.connection)
            if found is None or found.fenced:
                return 0
            recovery.note(unit, fenced=True)
            open_ = _open_by_job(unit.connection)
            return sum(self._fence(unit, job, min(count, most)) for job, count in sorted(open_.items()))

    def waits(self) -> str | None:
        """Why it is not sure yet that no transaction of ours is unknown; None once it is. Raises Unreachable."""
        unsure = self._unsure()
        if unsure is not None:
            return unsure
        with self._store.read() as connection:
            found, live = recovery.find(connection), transactions.live(connection)
            fences = intents.due(connection, Door.CHAIN)
        if found is None or not found.fenced or live or fences:
            return "the nonces of lost transactions to be used up, finally, so that none can be mined any more"
        return None

    def _unsure(self) -> str | None:
        with self._store.read() as connection:
            found, final = recovery.find(connection), transactions.final(connection).number
        searched = 0 if found is None else found.scanned or 0
        if searched < final:
            return f"blocks {searched + 1} to {final} to be searched for transactions that the database does not know"
        for address, job in sorted(self._jobs.items()):
            if rpc.nonce(self._node, address) != rpc.nonce(self._node, address, final):
                return f"a transaction of the {job} key to be final"
        return None

    def _found(self, number: int) -> list[Found]:
        return [
            Found(job=self._jobs[item.sender], mined=item, block=number, succeeded=self._succeeded(item))
            for item in rpc.transactions(self._node, number)
            if item.sender in self._jobs
        ]

    def _succeeded(self, mined: Mined) -> bool:
        receipt = rpc.receipt(self._node, mined.hash)
        if receipt is None:
            raise Unreachable(f"the node does not have the receipt of {mined.hash}, which is final")
        return receipt.succeeded

    def _tell(self, unit: Unit, found: Found) -> int:
        """Tell what became of the intent behind a transaction, unless the database knows it."""
        live = next((item for item in transactions.live(unit.connection) if _same_nonce(item, found)), None)
        key = self._key(unit, found)
        if live is not None and found.mined.hash in {form.hash for form in live.attempts}:
            return 0
        if live is None and found.mined.nonce < key.next_nonce:
            return 0
        _count(unit, found)
        if live is not None and _is_raised(live, found):
            return _end(unit, live, found, _outcome(found))
        if live is not None and (live.kind == FENCE or _is_bare(found)):
            _end(unit, live, found, Outcome.CANCELLED)
        return 0 if _is_bare(found) else self._tell_intent(unit, found)

    def _key(self, unit: Unit, found: Found) -> Key:
        # A key that the database has never used is counted from its first transaction that it does not know.
        transactions.register(unit, address=found.mined.sender, role=found.job, nonce=found.mined.nonce)
        key = transactions.key(unit.connection, found.job)
        assert key is not None  # noqa: S101 - written in this unit
        return key

    def _tell_intent(self, unit: Unit, found: Found) -> int:
        """The intent that the bytes carry out is ours and has its outcome; bytes that carry out none are a thief's."""
        same = self._intents(unit.connection, found)
        waiting = [row for row in same if row.state == IntentState.OPEN]
        if not same:
            return _alarm(unit, found)
        if waiting:
            row = waiting[0]
            intents.move(unit, row.id, IntentState.OPEN, IntentState.BOUND)
            key = f"lost:{found.mined.hash}"
            facts.bring(unit, Door.CHAIN, [News(key=key, kind="sent", payload=_sent(row, found, _outcome(found)))])
        return 1

    def _intents(self, connection: Connection, found: Found) -> list[Any]:
        try:
            kind, payload = calls.describe(self._deployment, found.mined.target or "", found.mined.data)
        except IssuerError:
            return []
        statement = select(intent).where(intent.c.door == Door.CHAIN, intent.c.kind == kind).order_by(intent.c.id)
        return [row for row in connection.execute(statement) if row.payload == payload]

    def _fence(self, unit: Unit, job: Job, count: int) -> int:
        address = self._deployment.keys[job]
        subject = f"key:{address}"
        record = audit.append(unit, "key.fenced", subject, after={"transactions": count})
        for _ in range(count):
            intents.emit(unit, Door.CHAIN, FENCE, subject, {"job": str(job), "address": address}, record)
        return count


def _open_by_job(connection: Connection) -> Counter[Job]:
    """How many intents each key may have been used for: one with two keys, for either."""
    statement = select(intent.c.kind).where(intent.c.door == Door.CHAIN, intent.c.state == IntentState.OPEN)
    duties = [calls.JOBS[kind] for kind in connection.scalars(statement) if kind != FENCE]
    return Counter(job for job in Job for duty in duties if job.duty is duty)


def _same_nonce(sent: Sent, found: Found) -> bool:
    return (sent.signer, sent.nonce) == (found.mined.sender, found.mined.nonce)


def _is_raised(sent: Sent, found: Found) -> bool:
    """Whether it is the same call, with fees that were raised after the backup."""
    return (sent.target, sent.data) == (found.mined.target, found.mined.data) and found.mined.value == 0


def _is_bare(found: Found) -> bool:
    """A transfer of nothing to itself: an operator's cancellation, or a fence."""
    return (found.mined.target, found.mined.data, found.mined.value) == (found.mined.sender, _NOTHING, 0)


def _outcome(found: Found) -> Outcome:
    return Outcome.DONE if found.succeeded else Outcome.REVERTED


def _count(unit: Unit, found: Found) -> None:
    used = found.mined.nonce + 1
    statement = update(signer).where(signer.c.address == found.mined.sender, signer.c.next_nonce < used)
    unit.connection.execute(statement.values(next_nonce=used))


def _end(unit: Unit, sent: Sent, found: Found, outcome: Outcome) -> int:
    values = {
        "state": TransactionState.FINAL,
        "outcome": outcome,
        "mined_block": found.block,
        "mined_hash": found.mined.hash,
    }
    unit.connection.execute(update(transaction).where(transaction.c.id == sent.id).values(**values))
    row = unit.connection.execute(select(intent).where(intent.c.id == sent.intent_id)).one()
    news = News(key=f"transaction:{sent.id}", kind="sent", payload=_sent(row, found, outcome))
    facts.bring(unit, Door.CHAIN, [news])
    return 1


def _sent(row: Any, found: Found, outcome: Outcome) -> dict[str, Any]:
    return {
        "intent_id": row.id,
        "kind": row.kind,
        "subject": row.subject,
        "outcome": outcome,
        "reason": "found after a restore",
        "transaction": found.mined.hash,
        "block": found.block,
        "signer": found.mined.sender,
        "nonce": found.mined.nonce,
    }


def _alarm(unit: Unit, found: Found) -> int:
    """Nothing that was ever decided here: the key is used by somebody else."""
    mined = found.mined
    reason = f"{mined.hash} in block {found.block} took nonce {mined.nonce}, and it carries out no order of ours"
    payload = {"signer": mined.sender, "role": found.job, "nonce": mined.nonce, "reason": reason}
    transactions.halt(unit, mined.sender, reason)
    facts.bring(unit, Door.CHAIN, [News(key=f"halted:{mined.sender}:{mined.nonce}", kind="halted", payload=payload)])
    return 1
