"""The witness: a second node, asked whether it knows the same final block before anything is taken from the first.

- Only what both call final is taken, and only if both name the same hash.
- A hash does not show what the block holds, and nobody here computes it from that: so the second node's token must
  also stand where the events that the first has told lead to, and what has failed must have failed on both. What is
  read far behind the final block is compared once reading has come up to it.
- Two answers about one final block are a fact that stops minting and payouts: a node lies, or finality is broken.
- A witness that is silent or behind is waited for, which is shown; its silence never counts as agreement.
"""

from sqlalchemy import select, update

from issuer.chain import rpc
from issuer.chain.finality import Finality
from issuer.chain.node import Node, NodeError
from issuer.chain.rpc import Block, Receipt
from issuer.chain.transactions import Sent
from issuer.errors import Unreachable
from issuer.messages.contracts import TOKEN
from issuer.money import format_units
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
            self._dispute(own.number, own.hash, other.hash)
            return None
        behind = final.number - own.number
        self._note(f"the second node, which is {behind} blocks behind" if behind else None)
        return own

    def stands(self, token: str, final: Block, next_number: int, redeemed: int) -> bool:
        """Whether the second node's token has minted and redeemed, up to a block, what the first has told."""
        try:
            told = _read(rpc.run(self._second, _both(token), final.number))
        except (Unreachable, NodeError) as error:
            self._note(f"the second node to say how the token stands ({error.what})")
            return False
        if told == (next_number, redeemed):
            return True
        self._dispute(final.number, _stand(final, next_number, redeemed), _stand(final, *told))
        return False

    def failed(self, transaction: str, receipt: Receipt) -> bool:
        """Whether a transaction came to the same end in the second node's chain."""
        try:
            other = rpc.receipt(self._second, transaction)
        except (Unreachable, NodeError) as error:
            self._note(f"the second node to say what became of {transaction} ({error.what})")
            return False
        if other is None:
            self._note(f"the second node to have {transaction}, which came to nothing")
            return False
        if (other.block_hash, other.succeeded) == (receipt.block_hash, receipt.succeeded):
            return True
        self._dispute(receipt.block_number, _ended(transaction, receipt), _ended(transaction, other))
        return False

    def passed(self, sent: Sent, until: int) -> bool:
        """Whether other bytes than ours have taken a nonce up to a block in the second node's chain too."""
        try:
            ours = [found for form in sent.attempts if (found := rpc.receipt(self._second, form.hash)) is not None]
            used = rpc.nonce(self._second, sent.signer, until)
        except (Unreachable, NodeError) as error:
            self._note(f"the second node to say what took nonce {sent.nonce} of {sent.signer} ({error.what})")
            return False
        if ours:
            foreign = f"not showing {ours[0].transaction}"
            self._dispute(ours[0].block_number, foreign, _ended(ours[0].transaction, ours[0]))
        elif used <= sent.nonce:
            self._note(f"the second node to have what took nonce {sent.nonce} of {sent.signer}")
        return not ours and used > sent.nonce

    def _dispute(self, number: int, first: str, second: str) -> None:
        payload = {"number": number, "first": first, "second": second}
        with self._store.unit("tell a dispute of nodes") as unit:
            # Told again after a lock was cleared: as long as they differ, nothing may rest on this chain.
            key = f"disputed:{number}:{first}:{second}:{facts.clearings(unit.connection)}"
            facts.bring(unit, Door.CHAIN, [News(key=key, kind="disputed", payload=payload)])
        self._note(f"two nodes to agree on the final block {number}")

    def _note(self, why: str | None) -> None:
        """Show what is waited for, and since when the witness has not confirmed what is newest."""
        with self._store.read() as connection:
            row = connection.execute(select(cursor)).one_or_none()
        if row is None or row.unconfirmed == why:
            return
        with self._store.unit("note what the second node says") as unit:
            since = None if why is None else row.unconfirmed_since or unit.now
            unit.connection.execute(update(cursor).values(unconfirmed=why, unconfirmed_since=since))


def _both(token: str) -> str:
    """Creation code that returns the token's `nextNumber` and `redeemed`, one word each."""
    code = "0x"
    for place, function in ((0x20, "nextNumber"), (0x40, "redeemed")):
        # The selector at the end of the first word; then what a static call with it returns, at a place.
        code += f"63{TOKEN.functions[function].selector[2:]}600052"
        code += f"602060{place:02x}6004601c73{token[2:].lower()}5afa50"
    return code + "60406020f3"


def _read(data: str) -> tuple[int, int]:
    if len(data) != 2 + 128:
        raise Unreachable("the node does not run what reads the token")
    # Before the token is there, its next number is none.
    return int(data[2:66], 16) or 1, int(data[66:], 16)


def _stand(block: Block, next_number: int, redeemed: int) -> str:
    return f"{block.hash} with {next_number - 1} orders minted and {format_units(redeemed)} CNH redeemed"


def _ended(transaction: str, receipt: Receipt) -> str:
    return f"{receipt.block_hash} with {transaction} {'done' if receipt.succeeded else 'reverted'}"
