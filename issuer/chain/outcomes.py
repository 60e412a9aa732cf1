"""What became of what was sent: looked up under every hash, and told once its nonce is final.

"Not found" is never an outcome. That our bytes are in a final block is proven by a receipt; that other bytes took
the nonce, by reading the blocks in which it can have happened. That something came to nothing frees it to be done
again: with a second node, both must say so.
"""

from dataclasses import dataclass

from sqlalchemy import update

from issuer.chain import rpc, transactions
from issuer.chain.node import Node
from issuer.chain.rpc import Receipt
from issuer.chain.transactions import Attempt, Final, Key, Sent
from issuer.chain.watcher import Watcher
from issuer.errors import Refused, Unreachable
from issuer.store import facts, recovery
from issuer.store.facts import News
from issuer.store.states import Door, Outcome, TransactionState
from issuer.store.tables import transaction
from issuer.store.unit import Store, Unit


@dataclass(frozen=True, kw_only=True)
class End:
    """How a nonce was used, finally."""

    outcome: Outcome
    reason: str
    block: int
    hash: str  # of the transaction in that block; empty if there is none


class Outcomes:
    def __init__(self, store: Store, node: Node, watcher: Watcher) -> None:
        """``watcher`` is that of the same process, which looks first."""
        self._store = store
        self._node = node
        self._watcher = watcher
        self._counted: str | None = None  # the newest block when all keys' transactions were counted

    def collect(self) -> int:
        """Tell the outcomes that became final, and halt keys that somebody else uses; how many were told.

        Raises Unreachable if the node does not answer.
        """
        return self.tell() + self._watch_all()

    def tell(self) -> int:
        """Tell the outcomes that became final; how many.

        A block is final here once the watcher has taken it, so the events of a transaction are facts before its
        outcome is. In recovery it counts once it was searched for transactions that the database does not know, which
        may have the nonces of those that it does. While the node's chain is another than the one taken, nothing is
        told. Raises Unreachable if the node does not answer.
        """
        with self._store.read() as connection:
            live = transactions.live(connection)
            final = transactions.final(connection)
            catching_up = recovery.find(connection)
        until = final.number if catching_up is None else min(final.number, catching_up.scanned or 0)
        return sum(self._look(sent, until, final) for sent in live)

    def _look(self, sent: Sent, until: int, final: Final) -> int:
        """Tell the outcome of a transaction if it shows in the blocks up to one."""
        found = self._find(sent)
        if found is not None:
            form, receipt = found
            if receipt.block_number <= until and self._in_chain(receipt.block_number, receipt.block_hash):
                own = _own(form, receipt)
                return self._end(sent, own, final) if self._came_to(own, receipt) else 0
            self._show(sent, receipt.block_number, form.hash)
            return 0
        self._show(sent, None, None)
        if rpc.nonce(self._node, sent.signer) <= sent.nonce:
            return 0
        end, witness = self._foreign(sent, until), self._watcher.witness
        if end is None or (witness is not None and not witness.passed(sent, until)):
            return 0
        return self._end(sent, end, final)

    def _came_to(self, end: End, receipt: Receipt) -> bool:
        witness = self._watcher.witness
        return end.outcome == Outcome.DONE or witness is None or witness.failed(end.hash, receipt)

    def _find(self, sent: Sent) -> tuple[Attempt, Receipt] | None:
        for form in reversed(sent.attempts):
            receipt = rpc.receipt(self._node, form.hash)
            if receipt is not None:
                return form, receipt
        return None

    def _in_chain(self, number: int, hash_: str) -> bool:
        block = rpc.block(self._node, number)
        return block is not None and block.hash == hash_

    def _foreign(self, sent: Sent, until: int) -> End | None:
        """Other bytes in a block up to one that took the nonce; None while no such block shows that.

        Every block is read in which it can have happened, since no receipt can be asked for by nonce.
        """
        ours = {form.hash for form in sent.attempts}
        for number in range(sent.after_block + 1, until + 1):
            for hash_, nonce in self._from(sent.signer, number):
                if hash_ in ours:
                    return None  # its receipt is only late
                if nonce == sent.nonce:
                    reason = f"{hash_} in block {number} took nonce {nonce}, and nothing here signed it"
                    return End(outcome=Outcome.FOREIGN, reason=reason, block=number, hash=hash_)
        if rpc.nonce(self._node, sent.signer, until) <= sent.nonce:
            return None
        # A key can also use up a nonce by signing an EIP-7702 authorization that somebody else sends.
        reason = f"nonce {sent.nonce} was used without a transaction of {sent.signer}"
        return End(outcome=Outcome.FOREIGN, reason=reason, block=until, hash="")

    def _from(self, address: str, number: int) -> list[tuple[str, int]]:
        found = rpc.senders(self._node, number)
        if found is None:
            raise Unreachable(f"the node does not have block {number}, which was final")
        return [(hash_, nonce) for sender, nonce, hash_ in found[1] if sender == address]

    def _end(self, sent: Sent, end: End, final: Final) -> int:
        if not self._in_chain(final.number, final.hash):
            return 0  # what the node tells is of another chain than the facts
        payload = {
            "intent_id": sent.intent_id,
            "kind": sent.kind,
            "subject": sent.subject,
            "outcome": end.outcome,
            "reason": end.reason,
            "transaction": end.hash,
            "block": end.block,
            "signer": sent.signer,
            "nonce": sent.nonce,
        }
        news = News(key=f"transaction:{sent.id}", kind="sent", payload=payload)
        with self._store.unit("tell an outcome") as unit:
            if not _close(unit, sent, end):
                return 0
            facts.bring(unit, Door.CHAIN, [news])
            if end.outcome == Outcome.FOREIGN:
                transactions.halt(unit, sent.signer, end.reason)
        return 1

    def _show(self, sent: Sent, number: int | None, hash_: str | None) -> None:
        """Keep where a transaction was last seen: shown while it waits, and drives nothing."""
        if number == sent.mined_block:
            return
        with self._store.unit("show where it is mined") as unit:
            statement = update(transaction).where(transaction.c.id == sent.id)
            unit.connection.execute(statement.values(mined_block=number, mined_hash=hash_))

    def _watch_all(self) -> int:
        """Count the transactions of every key, once for each newest block: nothing else changes how many there are."""
        head = self._watcher.head
        if head is not None and head == self._counted:
            return 0
        with self._store.read() as connection:
            keys = transactions.keys(connection)
        told = sum(self._watch(key) for key in keys)
        self._counted = head
        return told

    def _watch(self, key: Key) -> int:
        """Halt a key whose nonces the chain counts further than this database: somebody else signs with it."""
        if key.halted is not None:
            return 0
        counted = rpc.nonce(self._node, key.address)
        if counted <= key.next_nonce:
            return 0
        reason = f"the chain counts {counted} transactions of the {key.role} key, and {key.next_nonce} were signed here"
        payload = {"signer": key.address, "role": key.role, "nonce": key.next_nonce, "reason": reason}
        news = News(key=f"halted:{key.address}:{key.next_nonce}", kind="halted", payload=payload)
        with self._store.unit("halt a key") as unit:
            # What another process of ours signed meanwhile was counted here before the chain could count it.
            found = transactions.key(unit.connection, key.role)
            if found is None or found.next_nonce != key.next_nonce:
                return 0
            transactions.halt(unit, key.address, reason)
            facts.bring(unit, Door.CHAIN, [news])
        return 1


def final_nonce(store: Store, node: Node, address: str) -> int:
    """How many transactions of a key are final: where it may sign on after it was halted.

    Raises Refused while there are later ones: one that vanished in a reorganisation would leave a nonce that is never
    used, and nothing after it would ever be mined.
    """
    with store.read() as connection:
        final = transactions.final(connection).number
    nonce = rpc.nonce(node, address, final)
    if rpc.nonce(node, address) != nonce:
        raise Refused(f"a transaction of {address} is not final yet", "Wait until it is, then resume the key.")
    return nonce


def _own(form: Attempt, receipt: Receipt) -> End:
    outcome, reason = Outcome.DONE, ""
    if form.cancels:
        outcome, reason = Outcome.CANCELLED, "an operator's self-transfer took the nonce"
    elif not receipt.succeeded:
        outcome, reason = Outcome.REVERTED, f"it failed in block {receipt.block_number}"
    return End(outcome=outcome, reason=reason, block=receipt.block_number, hash=form.hash)


def _close(unit: Unit, sent: Sent, end: End) -> bool:
    """End a transaction's life; False if another process did."""
    values = {"state": TransactionState.FINAL, "outcome": end.outcome, "mined_block": end.block, "mined_hash": end.hash}
    statement = update(transaction).where(transaction.c.id == sent.id, transaction.c.state == TransactionState.SIGNED)
    return unit.connection.execute(statement.values(**values)).rowcount == 1
