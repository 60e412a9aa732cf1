"""The witness: a second node, asked whether it knows the same final block before anything is taken from the first.

- Only what both call final is taken, and only if both name the same hash.
- Two hashes for one final block are a fact that stops minting and payouts: a node lies, or finality is broken.
- A witness that is silent or behind is waited for, which is shown; its silence never counts as agreement.
"""

from sqlalchemy import select, update

from issuer.chain import rpc
from issuer.chain.finality import Finality
from issuer.chain.node import Node, NodeError
from issuer.chain.rpc import Block
from issuer.errors import Unreachable
from issuer.store import facts
from issuer.store.facts import News
from issuer.store.states import Door
from issuer.store.tables import cursor
from issuer.store.unit import Store


class Witness:
    def __init__(self, store: Store, first: Node, second: Node, finality: Finality) -> None:
        self._store = store
        self._first = first
        self._second = second
        self._finality = finality

    def confirm(self, final: Block) -> Block | None:
        """The newest block that both nodes call final, by one hash; None if there is none to be sure of.

        Raises Unreachable if the first node does not answer.
        """
        try:
            told = self._finality.block(self._second, rpc.head(self._second))
            other = rpc.block(self._second, final.number) if told and told.number > final.number else told
        except (Unreachable, NodeError) as error:
            self._note(f"the second node to answer ({error.what})")
            return None
        if other is None:
            self._note(f"the second node to have the final block {final.number}")
            return None
        own = final if other.number == final.number else rpc.block(self._first, other.number)
        if own is None:
            raise Unreachable(f"the node does not have block {other.number}, which is before its final one")
        if own.hash != other.hash:
            self._dispute(own, other)
            return None
        behind = final.number - own.number
        self._note(f"the second node, which is {behind} blocks behind" if behind else None)
        return own

    def _dispute(self, own: Block, other: Block) -> None:
        payload = {"number": own.number, "first": own.hash, "second": other.hash}
        with self._store.unit("tell a dispute of nodes") as unit:
            # Told again after a lock was cleared: as long as they differ, nothing may rest on this chain.
            key = f"disputed:{own.number}:{own.hash}:{other.hash}:{facts.clearings(unit.connection)}"
            facts.bring(unit, Door.CHAIN, [News(key=key, kind="disputed", payload=payload)])
        self._note(f"two nodes to agree on the final block {own.number}")

    def _note(self, why: str | None) -> None:
        """Show what is waited for, and since when the witness has not confirmed what is newest."""
        with self._store.read() as connection:
            row = connection.execute(select(cursor)).one_or_none()
        if row is None or row.unconfirmed == why:
            return
        with self._store.unit("note what the second node says") as unit:
            since = None if why is None else row.unconfirmed_since or unit.now
            unit.connection.execute(update(cursor).values(unconfirmed=why, unconfirmed_since=since))
