"""What must be so after every step, and what at a quiet point.

Everything is held against the worlds' own records: the canonical chain's events, the bank's entries, the files that
lie in the bank folder, the published log. Of the issuer's database only this is asked: whether what leaves is stored
and sealed, and, at a quiet point, whether the books say what the worlds say.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from issuer.audit import verify as audit_verify
from issuer.audit.folder import LogFolder
from issuer.audit.record import decode as decode_record
from issuer.chain.deployment import Deployment
from issuer.chain.keystore import Job
from issuer.ledger import chart, journal
from issuer.messages import contracts, pain
from issuer.messages import folder as documents
from issuer.messages.folder import BANK_TO_ISSUER, ISSUER_TO_BANK
from issuer.messages.pain import PaymentOrder
from issuer.messages.report import Report
from issuer.messages.transactions import Transaction
from issuer.money import fen_to_units, parse_units, whole_fen
from issuer.operations import holdings
from issuer.store import tables
from issuer.tlog import merkle
from issuer.tlog.log import CHECKPOINT
from issuer.tlog.merkle import CompactRange
from issuer.tlog.tiles import WIDTH
from tests.simulation.chain import FINALITY, Chain, read
from tests.simulation.records import Records
from tests.simulation.truth import BankTruth, Burn, ChainTruth, Mint

_OVER = ("rejected", "returned")
"""States of an order at the bank in which its cause may be ordered again."""


class Violation(AssertionError):  # noqa: N818 - named for what is found, as all errors here are
    """An invariant that does not hold."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise Violation(what)


@dataclass(kw_only=True)
class Customer:
    """A customer as the world knows them."""

    id: int
    name: str
    account: str
    wallets: set[str]


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """A mint order as the published log tells it."""

    wallet: str
    units: int


@dataclass(kw_only=True)
class Excuses:
    """What the world did that no issuer could prevent, and for which less is asked."""

    stolen_nonces: set[tuple[str, int]] = field(default_factory=set)  # somebody else signed with a key of ours
    stolen_mints: set[str] = field(default_factory=set)  # and minted: their transactions
    taken: int = 0  # fen that the bank took from the reserve without an order
    seized: int = 0  # fen that it took from the collection account likewise, more than there was
    broken: bool = False  # what was final is so no more


class LogWatch:
    """The published log: it only grows, and every root is that of its records."""

    def __init__(self, folder: LogFolder) -> None:
        self._folder = folder
        self._tree = CompactRange()
        self._note: str | None = None
        self._news: list[str] = []
        self.ordered: dict[str, Ordered] = {}  # by commitment
        self.batched: dict[str, tuple[str, ...]] = {}  # commitments by the reference of each batch there ever was
        self.recalled: set[str] = set()  # the bank's references of wires that are known to have gone back

    @property
    def size(self) -> int:
        """Of the checkpoint that lies in the folder now."""
        note = self._folder.log.note(CHECKPOINT)
        return 0 if note is None else int(note.split("\n")[1])

    def news(self) -> list[str]:
        """What was recorded since this was last asked, in words."""
        told, self._news = self._news, []
        return told

    def look(self) -> None:
        note = self._folder.log.note(CHECKPOINT)
        if note == self._note:
            return
        found = self._folder.log.checkpoint()
        require(found.size >= self._tree.size, f"the log shrank from {self._tree.size} to {found.size} records")
        for body in self._records(found.size):
            self._tree.append(merkle.leaf_hash(body))
            self._learn(body)
        require(self._tree.root() == found.root, f"the log's root at {found.size} is not that of its records")
        self._note = note

    def _records(self, size: int) -> list[bytes]:
        """The records that were not there before."""
        have, bodies = self._tree.size, list[bytes]()
        for index in range(have // WIDTH, (size + WIDTH - 1) // WIDTH):
            bodies += self._folder.log.bundle(index, min(WIDTH, size - index * WIDTH))
        return bodies[have % WIDTH :]

    def _learn(self, body: bytes) -> None:
        record = decode_record(body)
        self._news.append(f"{record.action} {record.subject} {_brief(record.after)}")
        subject = record.subject.partition(":")[2]
        if record.action == "mint.requested" and record.after is not None:
            after = record.after
            self.ordered[subject] = Ordered(wallet=after["wallet"], units=parse_units(after["value"]))
        elif record.action == "mint.batched" and record.after is not None:
            self.batched[subject] = tuple(record.after["orders"])
        elif record.action == "deposit.recalled":
            self.recalled.add(subject.split("|")[1])


def _brief(after: Mapping[str, Any] | None) -> str:
    shown = ("state", "value", "amount", "code", "reason", "error", "outcome", "kind", "message_id", "par", "by")
    return " ".join(f"{name}={after[name]}" for name in shown if name in after) if after else ""


ACCUSES: dict[str, frozenset[str]] = {
    "altered-customer": frozenset(),
    "bad-report": frozenset(),
    "broken-finality": frozenset({"broken finality"}),
    "contradiction": frozenset(),
    "duplicate-message": frozenset(),
    "foreign-nonce": frozenset({"nonce stolen", "minting key stolen"}),
    "late-acceptance": frozenset(),
    "late-refusal": frozenset(),
    "low-gas": frozenset({"gas money gone", "fees risen"}),
    "malformed-document": frozenset({"file cut short"}),
    "overdrawn-account": frozenset({"collection overdrawn"}),
    "payment-partly-returned": frozenset(),
    "payment-returned": frozenset({"payout returned"}),
    # A thief's mint, redeemed by whoever holds it, leaves too little for the order whose money it took.
    "payout-rejected": frozenset(
        {"account closed", "wire recalled", "reserve debited", "collection overdrawn", "minting key stolen"}
    ),
    "stuck-transaction": frozenset({"fees risen"}),
    "unexplained-entry": frozenset({"reserve debited", "wire recalled", "collection overdrawn"}),
    "unknown-mint": frozenset({"minting key stolen"}),
    "unknown-order": frozenset(),
    "unknown-report": frozenset(),
}
"""What a lock says has happened: one of these, or it is a false alarm."""


@dataclass(kw_only=True)
class Watch:
    """Sees everything that leaves the issuer, and looks at everything there is after each step."""

    chain: Chain
    deployment: Deployment
    tokens: ChainTruth
    bank: BankTruth
    records: Records
    log: LogWatch
    customers: list[Customer] = field(default_factory=list)
    excuses: Excuses = field(default_factory=Excuses)
    orders: dict[str, PaymentOrder] = field(default_factory=dict)  # that left for the bank, by message id
    carriers: dict[str, set[tuple[str, int]]] = field(default_factory=dict)  # (signer, nonce) of each batch's mints
    sent: set[str] = field(default_factory=set)  # hashes of what was signed, stored and sealed before it was sent
    keys: dict[str, str] = field(default_factory=dict)  # of the issuer: job by address
    withheld: dict[int, int] = field(default_factory=dict)  # units that each report was asked to leave out
    met: set[str] = field(default_factory=set)  # what has gone wrong so far
    _worlds: tuple[str, int, int] | None = None  # chain, bank and log as they were looked at last
    _records: tuple[int, int | None] | None = None  # and the issuer's database

    # -- what leaves

    @property
    def left(self) -> set[str]:
        """The orders and the mints that have left."""
        return set(self.orders) | {f"{key}:{nonce}" for key, nonces in self.carriers.items() for _, nonce in nonces}

    def file_written(self, directory: str, name: str, body: bytes) -> None:
        """What is written into the bank folder, by whomever."""
        if directory == ISSUER_TO_BANK and (message_id := documents.order_of(name)) is not None:
            if message_id not in self.orders:
                self._look_at_order(message_id, pain.read_order(body))
        elif directory == ISSUER_TO_BANK and (number := documents.request_of(name)) is not None:
            self.withheld[number] = documents.read_request(body).withheld
        elif directory == BANK_TO_ISSUER and documents.report_of(name) is not None:
            self._look_at_report(name, documents.read_report(body).report)

    def _look_at_report(self, name: str, report: Report) -> None:
        """The bank signs what it has, less what is to be left out; it may die then, book more, and write it later."""
        money = self.bank.money(self.bank.noticed_before(BANK_TO_ISSUER, name))
        withheld = self.withheld[report.number]
        told = (report.reserve + withheld, report.paid, report.credited + withheld)
        true = (fen_to_units(money.reserve), money.paid, fen_to_units(money.credited))
        require(told == true, f"report {report.number} says {told}, less {withheld}, and the bank has {true}")

    def _look_at_order(self, message_id: str, order: PaymentOrder) -> None:
        """An order for the bank: sealed in the log, and no other alive for its cause."""
        self._require_sealed("payment", message_id, self.records.place_of_payment(message_id))
        for known in self.orders.values():
            if (known.text, known.kind) == (order.text, order.kind):
                state = self.bank.standing(known.message_id)
                require(
                    state in _OVER, f"{message_id} is ordered while {known.message_id}, for the same cause, is {state}"
                )
        if order.redemption is not None:
            self._require_owed(order)
        self.orders[message_id] = order

    def broadcast(self, raw: str) -> None:
        """Signed bytes: stored, sealed, and the only ones alive for what they carry."""
        found = read(raw)
        if found.sender not in self.keys or (found.sender, found.nonce) in self.excuses.stolen_nonces:
            return
        place = self.records.place_of_transaction(found.hash)
        require(place is not None, f"{found.hash} is sent and not stored")
        self._require_sealed("transaction", found.hash, place)
        self._require_alone(found)
        self.sent.add(found.hash)
        if found.target != self.deployment.minter:
            return
        function, arguments = contracts.MINTER.decode_call(found.data)
        if function == "mint":
            self.carriers.setdefault(arguments["batchRoot"], set()).add((found.sender, found.nonce))

    def _require_alone(self, found: Transaction) -> None:
        """An intent belongs to one nonce until that is final."""
        final = self.chain.account(found.sender, self.chain.final().number).nonce
        alive = [nonce for nonce in self.records.nonces_of_intent(found.hash) if nonce >= final]
        require(len(alive) <= 1, f"the intent of {found.hash} is carried by the nonces {alive}")

    def _require_sealed(self, what: str, name: str, place: int | None) -> None:
        require(place is not None and place < self.log.size, f"{what} {name} left before its record was in the log")

    def _require_owed(self, order: PaymentOrder) -> None:
        """A redemption is paid for a final burn, at its par, to its holder's account."""
        assert order.redemption is not None
        burn = self._final_burns().get(order.redemption.id)
        if burn is None:
            require(
                self.excuses.broken, f"{order.message_id} pays redemption {order.redemption.id}, which is not final"
            )
            return
        require(order.redemption.par_units == burn.units, f"{order.message_id} pays another par than was burned")
        require(order.total_fen == whole_fen(burn.units), f"{order.message_id} pays other than its par")
        owner = next((item for item in self.customers if burn.holder in item.wallets), None)
        require(
            owner is not None and owner.account == order.creditor_account,
            f"{order.message_id} pays {order.creditor_account}, which is not the holder's account",
        )

    def _final_burns(self) -> dict[int, Burn]:
        final = self.chain.final().number
        return {burn.id: burn for burn in self.tokens.burns() if burn.block <= final}

    # -- after each step

    def look(self) -> None:
        """Look at all that may have changed since the last look."""
        self.log.look()
        bank, records = self.bank.version(), self.records.version()
        worlds = (self.chain.head.hash, bank, self.log.size)
        if worlds != self._worlds:
            self._look_at_backing()
            self._look_at_mints()
            self._look_at_payments()
        if (worlds, records) != (self._worlds, self._records):
            self._look_at_transactions()
            self._look_at_books()
            self._look_at_locks()
        self._worlds, self._records = worlds, records

    def _look_at_backing(self) -> None:
        """The gate's three inequalities, with the bank's true balances."""
        money = self.bank.money()
        supply, redeemed = self.tokens.view("totalSupply"), self.tokens.view("redeemed")
        reserve = fen_to_units(money.reserve + self.excuses.taken)
        require(
            supply + redeemed - money.paid <= reserve,
            f"{supply} are outstanding, {redeemed - money.paid} owed, and {reserve} in the reserve",
        )
        credited = fen_to_units(money.credited)
        require(supply + redeemed <= credited, f"{supply + redeemed} were ever minted for {credited} ever credited")
        require(money.paid <= redeemed or self.excuses.broken, f"{money.paid} are paid for {redeemed} that were burned")

    def _look_at_mints(self) -> None:
        """Every mint on chain is a batch of the log, as its orders say; every order is minted once."""
        times = Counter[str]()
        mints = [mint for mint in self.tokens.mints() if mint.transaction not in self.excuses.stolen_mints]
        for mint in mints:
            commitments = self.log.batched.get(mint.reference)
            require(commitments is not None, f"the mint {mint.reference} is in no record of the log")
            assert commitments is not None
            ordered = [self.log.ordered.get(key) for key in commitments]
            minted = [Ordered(wallet=wallet, units=units) for wallet, units in mint.orders]
            require(minted == ordered, f"the mint {mint.reference} is of {minted}, and the log orders {ordered}")
            times.update(commitments)
        twice = [key for key, count in times.items() if count > 1]
        require(not twice, f"orders are minted twice: {twice}")
        self._look_at_credits(mints)

    def _look_at_credits(self, mints: list[Mint]) -> None:
        """Nobody gets more, in tokens and refunds, than their own wires brought."""
        given = Counter[str]()
        for mint in mints:
            for wallet, units in mint.orders:
                given[wallet] += units
        wires, back = self.bank.wires(), self.bank.sent_back()
        for text, (times, fen) in back.items():
            reference = text.split("|")[1]
            wire = next((item for item in wires if item.reference == reference), None)
            require(wire is not None and times <= 1 and fen <= wire.amount, f"{text} is sent back {times} times, {fen}")
        for customer in self.customers:
            own = [item for item in wires if item.account == customer.account]
            refunded = sum(fen for text, (_, fen) in back.items() if text.split("|")[1] in {x.reference for x in own})
            brought = sum(item.amount for item in own if item.reference not in self.log.recalled)
            tokens = sum(given[wallet] for wallet in customer.wallets)
            require(
                tokens + fen_to_units(refunded) <= fen_to_units(brought),
                f"{customer.name} has wired {brought} fen, and got {tokens} units and {refunded} fen back",
            )

    @property
    def short(self) -> int:
        """Fen that were taken, or recalled after they were minted or promised: the issuer owes what it has not."""
        wires = {wire.reference: wire.amount for wire in self.bank.wires()}
        known = sum(wires[reference] for reference in self.log.recalled)
        return sum(self.bank.recalled().values()) - known + self.excuses.seized

    def _look_at_payments(self) -> None:
        """Every burn is paid at most once, and nothing else is paid from the reserve."""
        burned = self._final_burns()
        for redemption, (times, change, par) in self.bank.payments().items():
            require(times in (0, 1), f"redemption {redemption} is paid {times} times")
            require(change == -times * whole_fen(par), f"redemption {redemption} of {par} moved {change} fen")
            if times and not self.excuses.broken:
                require(redemption in burned, f"redemption {redemption} is paid and not burned, finally")

    def _look_at_transactions(self) -> None:
        """Every transaction of our keys that is in the chain is one that we know, or was stolen."""
        recent = [item.transaction for block in self.chain.blocks[-2 * FINALITY - 4 :] for item in block.mined]
        for found in recent:
            job = self.keys.get(found.sender, Job.DEPLOYER)
            if job != Job.DEPLOYER and (found.sender, found.nonce) not in self.excuses.stolen_nonces:
                require(found.hash in self.sent, f"{found.hash} of the {job} key is on chain, and was never sent")

    def _look_at_books(self) -> None:
        require(self.records.sum_of_postings() == 0, "the books do not balance")
        deposits, brought = self.records.deposits(), {wire.reference: wire.amount for wire in self.bank.wires()}
        for reference, amount in deposits:
            found = brought.get(reference.split("|")[1])
            require(found == amount, f"the deposit {reference} of {amount} fen is a wire of {found}")
        require(len(deposits) == len({reference.split("|")[1] for reference, _ in deposits}), "a wire is two deposits")

    def _look_at_locks(self) -> None:
        for _, scope, code in self.records.locks():
            causes = ACCUSES.get(code)
            require(causes is None or bool(causes & self.met), f"{scope} is locked for {code}, and nothing happened")

    # -- at a quiet point

    def look_closely(self, connection: Connection, folder: LogFolder) -> None:
        """Nothing is on its way: the books are balanced and equal to both worlds, and nothing accepted is lost."""
        self.look()
        journal.verify(connection)
        self._compare_with_bank(connection)
        self._compare_with_chain(connection)
        self._compare_wires(connection)
        self._compare_burns(connection)
        verdict = audit_verify.verify(folder, connection=connection)
        require(verdict.holds and not verdict.pending, f"the log: {verdict}")

    def _compare_with_bank(self, connection: Connection) -> None:
        money = self.bank.money()
        books = journal.balances(connection)
        told = {chart.COLLECTION: money.collection, chart.RESERVE: money.reserve, chart.TRANSIT: 0}
        for account, fen in told.items():
            found = books.get(account, 0) - books.get(chart.overdraft(account), 0)
            require(found == fen_to_units(fen), f"the books have {found} units on {account}, the bank {fen} fen")

    def _compare_with_chain(self, connection: Connection) -> None:
        books, balances = journal.balances(connection), self.tokens.balances()
        held = {address: units for address, units in holdings.every(connection).items() if units}
        require(held == balances, f"the holdings are {held}, on chain {balances}")
        supply, outstanding = self.tokens.view("totalSupply"), books.get(chart.OUTSTANDING, 0)
        require(outstanding == supply, f"the books have {outstanding} outstanding, the chain {supply}")
        owed = self.tokens.view("redeemed") - self.bank.money().paid
        payable = books.get(chart.REDEMPTIONS, 0)
        require(payable == owed, f"the books have {payable} to be paid for redemptions, {owed} are")

    def _compare_wires(self, connection: Connection) -> None:
        known = {reference.split("|")[1] for reference in connection.scalars(select(tables.deposit.c.reference))}
        lost = {wire.reference for wire in self.bank.wires()} - known
        require(not lost, f"the wires {sorted(lost)} are no deposits")

    def _compare_burns(self, connection: Connection) -> None:
        rows = {row.id: row for row in connection.execute(select(tables.redemption))}
        paid = {redemption for redemption, (times, _, _) in self.bank.payments().items() if times}
        for burn in self.tokens.burns():
            require(burn.id in rows, f"the burn {burn.id} is no redemption")
            state = rows[burn.id].state
            require((state == "paid") == (burn.id in paid), f"redemption {burn.id} is {state}; paid: {burn.id in paid}")
