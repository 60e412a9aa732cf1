"""The operations on a real store, told by hand what the bank and the chain would tell them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import insert, select, update

from issuer.ledger import journal
from issuer.money import fen_to_units
from issuer.operations import batches, binding, customers, intake, mints, payouts, reserve, wallets
from issuer.operations.binding import Binding
from issuer.operations.payouts import Payout
from issuer.operations.policy import Policy
from issuer.store import facts
from issuer.store.facts import News
from issuer.store.states import Door, IntentState, PayoutKind
from issuer.store.tables import checkpoint, cursor, intent, log_tree
from issuer.store.unit import Store
from tests.clock import START

COLLECTION, RESERVE = "012875000000001", "012875000000002"
BANK, AUDITOR = "0x" + "B1" * 20, "0x" + "A1" * 20
TOKEN, FEED, MINTER = "0x" + "11" * 20, "0x" + "22" * 20, "0x" + "33" * 20
ALICE, BOB = "0x" + "aa" * 20, "0x" + "bb" * 20
ALICE_BANK, BOB_BANK = "388000000001", "388000000002"

POLICY = Policy(
    collection_account=COLLECTION,
    reserve_account=RESERVE,
    approval_threshold=fen_to_units(100_000_00),
    redemption_fee_fen=0,
    refused_jurisdictions=frozenset({"CN"}),
)


@dataclass
class Desk:
    """Feeds facts, runs one act at a time, and answers what the issuer now believes."""

    store: Store
    policy: Policy = POLICY
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    attestors: tuple[str, ...] = (BANK, AUDITOR)

    def __post_init__(self) -> None:
        bound = Binding(
            chain_id=31337, genesis="0x00", token=TOKEN, feed=FEED, minter=MINTER, attestors=self.attestors, quorum=2
        )
        with self.store.unit("bind") as unit:
            binding.bind(unit, bound)
            root = "0x" + "00" * 32
            unit.connection.execute(insert(checkpoint).values(size=1, root=root, note="note", at=START))
            unit.connection.execute(insert(log_tree).values(only=1, size=1, frontier=b"", published=1))
            at = {
                "number": 1,
                "hash": "0x01",
                "timestamp": START,
                "next_number": 1,
                "redeemed": 0,
                "head": 1,
                "head_timestamp": START,
            }
            unit.connection.execute(insert(cursor).values(only=1, **at))

    # -- the world speaks

    def tell(self, door: Door, kind: str, /, key: str | None = None, **payload: Any) -> None:
        item = News(key=key or f"{kind}:{next(self.numbers)}", kind=kind, payload=payload)
        with self.store.unit("tell") as unit:
            facts.bring(unit, door, [item])
        intake.take(self.store, self.policy)

    def entry(self, direction: str, account: str, amount_fen: int, **details: Any) -> None:
        payload: dict[str, Any] = {
            "account": account,
            "direction": direction,
            "amount_fen": amount_fen,
            "end_to_end_id": None,
            "counterparty_account": "",
            "counterparty_name": "",
            "reversal": False,
            **details,
        }
        self.tell(Door.BANK, "entry", **payload)

    def wire(self, account: str, name: str, amount_fen: int) -> None:
        self.entry("credit", COLLECTION, amount_fen, counterparty_account=account, counterparty_name=name)

    def book(self, found: Payout) -> None:
        """The bank books an order: a debit where it left, and for one between our accounts a credit where it went."""
        end_to_end_id = found.message_id
        self.entry("debit", found.debtor_account, found.amount_fen + found.fee_fen, end_to_end_id=end_to_end_id)
        if found.kind in (PayoutKind.MINT, PayoutKind.UNFUND):
            told = {"end_to_end_id": end_to_end_id, "counterparty_account": found.debtor_account}
            self.entry("credit", found.creditor_account, found.amount_fen, **told)

    def status(self, found: Payout, code: str | None = None) -> None:
        told: dict[str, Any] = {
            "message_id": found.message_id,
            "accepted": code is None,
            "code": code,
            "reason": "because",
        }
        self.tell(Door.BANK, "status", **told)

    def sign(self, number: int, signer: str, **figures: int) -> None:
        with self.store.read() as connection:
            row = reserve.get(connection, number)
        report = {"token": TOKEN, "number": number, "logSize": row["log_size"], "logRoot": row["log_root"], **figures}
        told: dict[str, Any] = {"number": number, "chain_id": 31337, "feed": FEED, "signer": signer, "report": report}
        self.tell(Door.BANK, "report", signature="0x" + signer[2:4] * 65, **told)

    def tell_refusal(self, number: int, code: str) -> None:
        self.tell(Door.BANK, "refusal", number=number, by="bank", code=code, reason="because")

    def chain(self, kind: str, /, **payload: Any) -> None:
        anchors = self._anchors(payload["number"]) if kind == "reported" else {}
        self.tell(Door.CHAIN, kind, transaction="0x" + "77" * 32, block=2, timestamp=START, **anchors | payload)

    def attestor(self, event: str, attestor: str) -> None:
        self.chain("attestor", **self._of_the_feed(event), attestor=attestor)

    def quorum(self, quorum: int) -> None:
        self.chain("attestor", **self._of_the_feed("QuorumSet"), quorum=quorum)

    def _of_the_feed(self, event: str) -> dict[str, Any]:
        return {"event": event, "version": next(self.numbers), "contract": "feed", "address": FEED}

    def _anchors(self, number: int) -> dict[str, Any]:
        """The state of the log that a report of ours names."""
        with self.store.read() as connection:
            row = reserve.get(connection, number)
        return {"log_size": row["log_size"], "log_root": row["log_root"]}

    # -- the issuer acts

    def act(self, function: Any, *arguments: Any, actor: str = "operator:ann", **named: Any) -> Any:
        with self.store.unit(function.__name__, actor) as unit:
            return function(unit, *arguments, **named)

    def customer(self, name: str, account: str, address: str, *, standing: bool = False) -> int:
        """A customer with one verified wallet."""
        added = self.act(customers.add, self.policy, name=name, jurisdiction="HK", bank_account=account)
        given = self.act(wallets.challenge, self.policy, customer_id=added["id"], address=address, standing=standing)
        self.act(wallets.register, address=address, text=given["challenge"], controlled=True)
        self.chain("verified", account=address)
        return int(added["id"])

    def to_funding(self) -> Payout:
        """Reserve, gather, fund."""
        self.act(mints.reserve)
        self.act(batches.gather, self.policy)
        self.act(batches.fund, self.policy)
        return self.payouts(PayoutKind.MINT)[-1]

    def to_funded(self) -> Payout:
        """Reserve, gather, fund; the bank books it."""
        transfer = self.to_funding()
        self.book(transfer)
        return transfer

    def attest(self, *, reserve_units: int, credited: int, paid: int = 0) -> int:
        """Ask for a report; bank and auditor sign these figures."""
        self.pass_time()
        number = int(self.act(reserve.request)["number"])
        with self.store.read() as connection:
            as_of = connection.execute(select(cursor.c.head_timestamp)).scalar_one()
        for signer in (BANK, AUDITOR):
            self.sign(number, signer, reserve=reserve_units, credited=credited, paid=paid, asOf=as_of)
        self.act(batches.attest)
        self.act(batches.send)
        return number

    def pass_time(self) -> None:
        """The chain's final block is a later one, and so is its newest."""
        with self.store.unit("pass time") as unit:
            later = {"timestamp": cursor.c.timestamp + 60, "head_timestamp": cursor.c.head_timestamp + 60}
            unit.connection.execute(update(cursor).values(**later))

    def mint(self, first: int = 1) -> None:
        """The last mint intent becomes a final event."""
        payload = self.intents("mint")[-1]
        self.chain("minted", first=first, reference=payload["reference"], orders=payload["orders"])

    # -- what it believes

    def balances(self) -> dict[str, int]:
        with self.store.read() as connection:
            journal.verify(connection)
            return {name: units for name, units in journal.balances(connection).items() if units}

    def payouts(self, kind: PayoutKind) -> list[Payout]:
        with self.store.read() as connection:
            return [found for found in payouts.every(connection) if found.kind is kind]

    def intents(self, kind: str) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            statement = select(intent.c.payload).where(intent.c.kind == kind).order_by(intent.c.id)
            return list(connection.scalars(statement))

    def last_intent(self, kind: str) -> int:
        """The id of the newest intent of a kind."""
        with self.store.read() as connection:
            statement = select(intent.c.id).where(intent.c.kind == kind).order_by(intent.c.id.desc())
            return int(connection.scalars(statement.limit(1)).one())

    def void_intents(self, kind: str) -> None:
        with self.store.unit("void") as unit:
            unit.connection.execute(update(intent).where(intent.c.kind == kind).values(state=IntentState.VOID))

    def order(self, order_id: int) -> dict[str, Any]:
        with self.store.read() as connection:
            return mints.get(connection, order_id)
