"""The watcher: brings what the contracts did into the house, from final blocks only.

- A block acts when the finality setting says so; newer ones are shown (the head) and drive nothing.
- Facts and the cursor move in one database transaction, so no event is taken twice or left out by a crash.
- The cursor names its block by hash. If the node contradicts it, that is a fact of its own, and reading stops.
- With a second node, only what both call final, by one hash, is taken, and only if the token stands there on both as
  its events tell.
- "Not found", a head that falls back and a refused range are no facts: the next step asks again.
- Close to the head it goes block by block, each the child of the last, and takes the logs from the receipts of every
  block whose header says that there may be some: a node that lags or has lost logs cannot pass over any in silence.
- A contract that takes a part's place is read from its first event on, in the blocks before it took that place too.
- Further back it searches ranges. Mints carry consecutive numbers and redemptions a running sum, so that what a
  search leaves out is noticed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, bindparam, select, update

from issuer.chain import events, parts, rpc, transactions
from issuer.chain.deployment import Deployment
from issuer.chain.finality import Finality
from issuer.chain.keystore import Job
from issuer.chain.node import Node, NodeError
from issuer.chain.rpc import Block, Log
from issuer.chain.witness import Witness
from issuer.errors import MalformedDocument, Unreachable
from issuer.money import MAX_UNITS
from issuer.store import facts
from issuer.store.facts import News
from issuer.store.inserts import insert_new
from issuer.store.states import Door
from issuer.store.tables import cursor
from issuer.store.unit import Store, Unit

RANGE = 2000
"""Blocks searched at once; halved while a node refuses the range."""

NEAR = 64
"""Blocks up to the final one that are read one by one; two epochs of Ethereum."""

_CURSOR = select(cursor)
_MOVE = update(cursor).where(cursor.c.number == bindparam("old_number"), cursor.c.hash == bindparam("old_hash"))


@dataclass(frozen=True, kw_only=True)
class Place:
    """How far the chain has been read."""

    number: int
    hash: str
    next_number: int  # of the next mint order
    redeemed: int  # units ever redeemed
    head: int  # the newest block seen: it brings no facts
    head_timestamp: int


class Watcher:
    def __init__(
        self,
        store: Store,
        node: Node,
        deployment: Deployment,
        finality: Finality,
        witness: Witness | None = None,
    ) -> None:
        self._store = store
        self._node = node
        self._deployment = deployment
        self._finality = finality
        self.witness = witness
        self._range = RANGE
        self.is_current = False  # whether the last look has read all that is final
        self.head: str | None = None  # the newest block's hash at the last look, if the node told it

    def collect(self) -> int:
        """Bring in the facts of the blocks that became final; how many blocks with facts were taken.

        Raises Unreachable if the node does not answer or leaves something out; nothing was taken then.
        """
        read = self.head if self.is_current else None
        self.is_current, self.head = False, None
        head = rpc.head(self._node)
        self.head = head.hash
        if head.hash == read:
            self.is_current = True
            return 0  # without a new block, none becomes final
        newest = final = self._finality.block(self._node, head)
        if final is not None and self.witness is not None:
            final = self.witness.confirm(final)
        if newest is None or final is None or final.number < self._deployment.block:
            return 0
        place = self._place()
        taken = 0
        if self._stands(place, final):
            while place.number < final.number and (step := self._advance(place, head, final)) is not None:
                place, found = step
                taken += found
            self.is_current = place.number >= newest.number
        if place.head != head.number:
            self._show(head)
        return taken

    def _place(self) -> Place:
        """Where reading stands; it starts just before the deployment."""
        with self._store.read() as connection:
            row = _row(connection)
            self._deployment = parts.current(connection, self._deployment)
        if row is not None:
            return Place(
                number=row.number,
                hash=row.hash,
                next_number=row.next_number,
                redeemed=row.redeemed,
                head=row.head,
                head_timestamp=row.head_timestamp,
            )
        start = self._header(self._deployment.block)
        place = Place(number=start.number, hash=start.hash, next_number=1, redeemed=0, head=0, head_timestamp=0)
        used = {Job(job): self._used(address) for job, address in self._deployment.keys.items() if job != Job.DEPLOYER}
        with self._store.unit("begin reading") as unit:
            begun = insert_new(unit.connection, cursor).values(only=1, timestamp=start.timestamp, **vars(place))
            unit.connection.execute(begun)
            for job, nonce in used.items():
                # Counted before it signs anything here: a key that lies idle is stolen as easily as another.
                transactions.register(unit, address=self._deployment.keys[job], role=job, nonce=nonce)
        return place

    def _used(self, address: str) -> int:
        """How many transactions of a key are older than the deployment, which is sent by the deployer's key alone."""
        try:
            return rpc.nonce(self._node, address, self._deployment.block)
        except NodeError:
            return 0  # most nodes forget old accounts; keys are fresh in every home

    def _stands(self, place: Place, final: Block) -> bool:
        """Whether the last block taken is still in the chain; if the node names another, that becomes a fact."""
        found = self._hash(place.number, final)
        if found is not None and found != place.hash:
            payload = {"number": place.number, "expected": place.hash, "found": found}
            with self._store.unit("tell broken finality") as unit:
                # Told again after a lock was cleared: as long as it is so, nothing may rest on this chain.
                key = f"broken:{place.number}:{found}:{facts.clearings(unit.connection)}"
                facts.bring(unit, Door.CHAIN, [News(key=key, kind="broken", payload=payload)])
        return found == place.hash

    def _hash(self, number: int, final: Block) -> str | None:
        """The hash of a block in the node's chain; the final one tells its own and its parent's unasked."""
        told = {final.number: final.hash, final.number - 1: final.parent}
        if number in told:
            return told[number]
        block = rpc.block(self._node, number)
        return None if block is None else block.hash

    def _advance(self, place: Place, head: Block, final: Block) -> tuple[Place, int] | None:
        """Take the next final blocks: the new place, and how many blocks had facts; None if the witness denies them."""
        near = final.number - place.number <= NEAR
        logs, blocks = self._follow(place, final) if near else self._search(place, final)
        end = blocks[max(blocks)]
        news = _facts(self._deployment, logs, blocks)
        deployment = parts.after(self._deployment, news)
        if deployment != self._deployment:
            earlier = self._history(sorted(deployment.speaking.keys() - self._deployment.speaking.keys()), end)
            logs = sorted([*earlier, *logs], key=lambda log: (log.block_number, log.index))
            news = _facts(deployment, logs, blocks | self._blocks(earlier, end))
        following = _after(place, news, end, head)
        if end.number == final.number and not self._stands_on_both(following, final):
            return None
        with self._store.unit("take final blocks") as unit:
            if _move(unit, place, following, end):
                facts.bring(unit, Door.CHAIN, news)
                if deployment != self._deployment:
                    parts.keep(unit, deployment)
        self._deployment = deployment
        return following, len({log.block_number for log in logs})

    def _stands_on_both(self, place: Place, final: Block) -> bool:
        """Whether the token stands on the second node, if there is one, where the events of the first lead."""
        witness = self.witness
        return witness is None or witness.stands(self._deployment.token, final, place.next_number, place.redeemed)

    def _follow(self, place: Place, final: Block) -> tuple[list[Log], dict[int, Block]]:
        """The logs and headers of all blocks from a place to the final one."""
        logs: list[Log] = []
        blocks: dict[int, Block] = {}
        parent = place.hash
        for number in range(place.number + 1, final.number + 1):
            block = final if number == final.number else self._header(number)
            if block.parent != parent:
                raise Unreachable(f"the node tells a block {number} that does not follow from the one before")
            if any(block.may_have_logs_of(address) for address in self._deployment.speaking):
                logs += rpc.block_logs(self._node, block, list(self._deployment.speaking))
            blocks[number], parent = block, block.hash
        return logs, blocks

    def _search(self, place: Place, final: Block) -> tuple[list[Log], dict[int, Block]]:
        """The logs of the next range, and the headers of its end and of the blocks that have logs."""
        first, last = place.number + 1, min(place.number + self._range, final.number - NEAR)
        logs, end = self._logs(list(self._deployment.speaking), first, self._header(last))
        return logs, self._blocks(logs, end)

    def _history(self, addresses: list[str], end: Block) -> list[Log]:
        """All logs of these contracts up to a block."""
        found: list[Log] = []
        first = self._deployment.block + 1
        while addresses and first <= end.number:
            last = min(first + self._range - 1, end.number)
            logs, reached = self._logs(addresses, first, end if last == end.number else self._header(last))
            found, first = found + logs, reached.number + 1
        return found

    def _logs(self, addresses: list[str], first: int, end: Block) -> tuple[list[Log], Block]:
        """The logs up to a block, or up to an earlier one if the node does not give so many at once."""
        while True:
            try:
                logs = rpc.logs(self._node, addresses, first, end.number)
            except NodeError as refusal:
                if end.number == first:
                    raise Unreachable(f"the node gives no logs of block {first}: {refusal.message}") from refusal
                self._range = max(1, (end.number - first + 1) // 2)
                end = self._header(first + self._range - 1)
            else:
                self._range = min(RANGE, self._range * 2)
                return logs, end

    def _blocks(self, logs: Sequence[Log], end: Block) -> dict[int, Block]:
        """The headers of the logs' blocks. Raises Unreachable if a log is of another block than the chain's."""
        found = {end.number: end}
        for log in logs:
            block = found.get(log.block_number) or self._header(log.block_number)
            found[log.block_number] = block
            if block.hash != log.block_hash:
                raise Unreachable(f"the node tells logs of block {log.block_hash}, which is not in its chain")
        return found

    def _header(self, number: int) -> Block:
        found = rpc.block(self._node, number)
        if found is None:
            raise Unreachable(f"the node does not have block {number}, which it called final")
        return found

    def _show(self, head: Block) -> None:
        with self._store.unit("show the head") as unit:
            unit.connection.execute(update(cursor).values(head=head.number, head_timestamp=head.timestamp))


def _facts(deployment: Deployment, logs: Sequence[Log], blocks: Mapping[int, Block]) -> list[News]:
    """The facts of logs. Raises Unreachable for what no contract of ours can have said: then the node did not."""
    try:
        found = events.facts(deployment, logs, blocks)
    except MalformedDocument as error:
        raise Unreachable(f"the node tells logs that the contracts cannot have made: {error.what}") from error
    moved = [transfer for item in found if item.kind == "moved" for transfer in item.payload["transfers"]]
    burned = [item.payload["id"] for item in found if item.kind == "redeemed"]
    if max([*burned, *(value for _, _, value in moved)], default=0) > MAX_UNITS:
        raise Unreachable("the node tells of more tokens than there can be")
    return found


def _row(connection: Connection) -> Row[tuple[int, ...]] | None:
    return connection.execute(_CURSOR).one_or_none()


def _after(place: Place, news: Iterable[News], end: Block, head: Block) -> Place:
    """The place after these facts. Raises Unreachable if a mint or a redemption between them is missing."""
    next_number, redeemed = place.next_number, place.redeemed
    for item in news:
        if item.kind == "minted":
            _require(item.payload["first"], next_number, "mint order")
            next_number += len(item.payload["orders"])
        elif item.kind == "redeemed":
            _require(item.payload["id"] - item.payload["value"], redeemed, "redemption")
            redeemed = item.payload["id"]
    return Place(
        number=end.number,
        hash=end.hash,
        next_number=next_number,
        redeemed=redeemed,
        head=head.number,
        head_timestamp=head.timestamp,
    )


def _require(found: int, expected: int, what: str) -> None:
    if found != expected:
        raise Unreachable(
            f"the node left a {what} out: after {expected} it tells {found}",
            "Use a node that has all logs; if the chain's own views say the same, stop and look.",
        )


def _move(unit: Unit, old: Place, new: Place, end: Block) -> bool:
    """Move the cursor; False if another process moved it first."""
    told = {"old_number": old.number, "old_hash": old.hash, "timestamp": end.timestamp, **vars(new)}
    return unit.connection.execute(_MOVE, told).rowcount == 1
