"""What is so: read from the chain's own events and the bank's own entries, and from nothing that the issuer says."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from issuer.chain.deployment import Deployment
from issuer.messages.contracts import TOKEN
from tests.simulation.chain import Block, Chain
from tests.simulation.stage import COLLECTION, RESERVE

NOBODY = "0x" + "00" * 20
_ALL = -1
"""SQLite's word for no limit."""


@dataclass(frozen=True, kw_only=True)
class Mint:
    """One Minted event with the transfers of its transaction."""

    block: int
    transaction: str
    first: int
    reference: str
    orders: tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Burn:
    block: int
    id: int
    holder: str
    units: int
    reference: str


@dataclass
class ChainTruth:
    """The token as its canonical chain tells it."""

    chain: Chain
    deployment: Deployment
    _read: dict[str, tuple[tuple[Mint, ...], tuple[Burn, ...]]] = field(default_factory=dict)  # by block hash

    def mints(self) -> Iterator[Mint]:
        for block in self.chain.blocks:
            yield from self._of(block)[0]

    def burns(self) -> Iterator[Burn]:
        for block in self.chain.blocks:
            yield from self._of(block)[1]

    def view(self, function: str, *arguments: object) -> int:
        """A number that the token shows at the head."""
        result = self.chain.call(NOBODY, self.deployment.token, TOKEN.call(function, *arguments))
        return int(TOKEN.output(function, result.data)["0"])

    def balances(self) -> dict[str, int]:
        """Every holder's tokens, by adding up the transfers."""
        found: dict[str, int] = {}
        for block in self.chain.blocks:
            for _, _, log in block.logs():
                if log.address == self.deployment.token and TOKEN.events[log.topics[0]].name == "Transfer":
                    moved = TOKEN.events[log.topics[0]].decode_log(log.topics, log.data)
                    found[moved["from"]] = found.get(moved["from"], 0) - moved["value"]
                    found[moved["to"]] = found.get(moved["to"], 0) + moved["value"]
        return {address: units for address, units in found.items() if units and address != NOBODY}

    def _of(self, block: Block) -> tuple[tuple[Mint, ...], tuple[Burn, ...]]:
        if block.hash not in self._read:
            self._read[block.hash] = self._decode(block)
        return self._read[block.hash]

    def _decode(self, block: Block) -> tuple[tuple[Mint, ...], tuple[Burn, ...]]:
        mints, burns, made = [], [], []
        for _, item, log in block.logs():
            if log.address != self.deployment.token or log.topics[0] not in TOKEN.events:
                continue
            event = TOKEN.events[log.topics[0]]
            if event.name not in ("Transfer", "Minted", "Redeemed"):
                continue
            told = event.decode_log(log.topics, log.data)
            if event.name == "Transfer" and told["from"] == NOBODY:
                made.append((item.transaction.hash, told["to"], told["value"]))
            elif event.name == "Minted":
                orders = tuple((to, units) for hash_, to, units in made if hash_ == item.transaction.hash)
                mints.append(
                    Mint(
                        block=block.number,
                        transaction=item.transaction.hash,
                        first=told["first"],
                        reference=told["batchRoot"],
                        orders=orders,
                    )
                )
            elif event.name == "Redeemed":
                burns.append(
                    Burn(
                        block=block.number,
                        id=told["id"],
                        holder=told["account"],
                        units=told["value"],
                        reference=told["instruction"],
                    )
                )
        return tuple(mints), tuple(burns)


@dataclass(frozen=True, kw_only=True)
class Money:
    """The issuer's accounts at the bank, from its entries."""

    collection: int  # fen
    reserve: int  # fen
    credited: int  # fen into the reserve for mints, less what went back
    paid: int  # par in units of the redemptions whose payment stands


@dataclass(frozen=True, kw_only=True)
class Wire:
    """A customer's payment into the collection account, or a stranger's."""

    reference: str
    account: str  # of the sender
    name: str
    amount: int  # fen


class BankTruth:
    """The bank's own books, read beside it."""

    def __init__(self, books: Path) -> None:
        self._database = sqlite3.connect(books, isolation_level=None)

    def close(self) -> None:
        self._database.close()

    def version(self) -> int:
        """Another number after each commit of the bank."""
        version: int = self._database.execute("PRAGMA data_version").fetchone()[0]
        return version

    def noticed_before(self, directory: str, name: str) -> int:
        """How many entries the bank had told in notices when it made a file."""
        found: tuple[int] = self._database.execute(
            """
            SELECT COUNT(*) FROM outbox WHERE directory = ?1 AND name GLOB 'camt.054-*'
                AND id < (SELECT id FROM outbox WHERE directory = ?1 AND name = ?2)
            """,
            (directory, name),
        ).fetchone()
        return found[0]

    def money(self, entries: int = _ALL) -> Money:
        """As it is, or as it was after so many entries: each has a notice, in the same unit of the bank's work."""
        found: tuple[int, int, int] = self._database.execute(
            """
            SELECT COALESCE(SUM(CASE WHEN account = ?1 THEN change_fen END), 0),
                COALESCE(SUM(CASE WHEN account = ?2 THEN change_fen END), 0),
                COALESCE(SUM(CASE WHEN account = ?2 AND kind IN ('MINT', 'UNFUND') THEN change_fen END), 0)
            FROM (SELECT * FROM entry WHERE account IN (?1, ?2) ORDER BY id LIMIT ?3)
            """,
            (COLLECTION, RESERVE, entries),
        ).fetchone()
        paid = sum(par for times, _, par in self.payments(entries).values() if times > 0)
        return Money(collection=found[0], reserve=found[1], credited=found[2], paid=paid)

    def payments(self, entries: int = _ALL) -> dict[int, tuple[int, int, int]]:
        """Of each redemption ever paid: how often its payment stands, what moved in fen, and its par in units."""
        rows = self._database.execute(
            """
            SELECT redemption_id, SUM(CASE WHEN reversal THEN -1 ELSE 1 END), SUM(change_fen), MAX(par_units)
            FROM (SELECT * FROM entry WHERE account IN (?1, ?2) ORDER BY id LIMIT ?3)
            WHERE account = ?2 AND redemption_id IS NOT NULL GROUP BY redemption_id
            """,
            (COLLECTION, RESERVE, entries),
        )
        return {row[0]: (row[1], row[2], row[3]) for row in rows}

    def wires(self) -> list[Wire]:
        """Every payment that came in and that nobody ordered, recalled or not."""
        rows = self._database.execute(
            """
            SELECT reference, counterparty_account, counterparty_name, change_fen FROM entry
            WHERE account = ? AND kind IS NULL AND change_fen > 0 AND NOT reversal
            """,
            (COLLECTION,),
        )
        return [Wire(reference=row[0], account=row[1], name=row[2], amount=row[3]) for row in rows]

    def recalled(self) -> dict[str, int]:
        """What went back by recalls, in fen, by the sender's account."""
        rows = self._database.execute(
            """
            SELECT counterparty_account, SUM(-change_fen) FROM entry
            WHERE account = ? AND kind IS NULL AND reversal GROUP BY counterparty_account
            """,
            (COLLECTION,),
        )
        return dict(rows.fetchall())

    def sent_back(self) -> dict[str, tuple[int, int]]:
        """How often and how much of each deposit is sent back and stands, by the payment's text."""
        rows = self._database.execute(
            """
            SELECT text, SUM(CASE WHEN reversal THEN -1 ELSE 1 END), SUM(-change_fen) FROM entry
            WHERE account = ? AND kind IN ('REFUND', 'RETURN') GROUP BY text
            """,
            (COLLECTION,),
        )
        return {text: (times, fen) for text, times, fen in rows}

    def standing(self, end_to_end_id: str) -> str | None:
        """What became of an order: booked, returned or rejected; None while the bank has not taken it."""
        row = self._database.execute(
            "SELECT state FROM payment_order WHERE message_id = ?", (end_to_end_id,)
        ).fetchone()
        return row[0] if row else None
