"""What must be so after every fault: chain, bank and books agree, each mint is one order, each payment one burn."""

from collections import defaultdict
from pathlib import Path

from sqlalchemy import select

from issuer.audit import verify
from issuer.chain import rpc
from issuer.cli.home import Issuer
from issuer.ledger import chart, journal
from issuer.messages.contracts import TOKEN
from issuer.operations import locks
from issuer.store import tables
from issuer.store.states import BatchState, OrderState
from issuer.tlog import merkle
from tests.simulation.truth import NOBODY, BankTruth

Orders = list[tuple[str, int]]


class Truth:
    """The token's own events, and the bank's own entries."""

    def __init__(self, issuer: Issuer, books: Path) -> None:
        self.mints: dict[str, Orders] = {}  # by reference
        self.burns: dict[int, int] = {}  # units by id
        self.next_number = 1
        head = rpc.head(issuer.node).number
        for transaction in _transactions(rpc.logs(issuer.node, [issuer.deployment.token], 0, head)).values():
            self._read(transaction)
        bank = BankTruth(books)
        self.payments, self.wires, self.money = bank.payments(), bank.wires(), bank.money()
        bank.close()

    @property
    def minted(self) -> int:
        return sum(value for orders in self.mints.values() for _, value in orders)

    def _read(self, logs: list[rpc.Log]) -> None:
        """Take the events of one transaction: at most one mint of ours, with its transfers from nobody."""
        told = [(TOKEN.events[log.topics[0]], log) for log in logs]
        events = [(item.name, item.decode_log(log.topics, log.data)) for item, log in told]
        made = [
            (event["to"], event["value"]) for name, event in events if name == "Transfer" and event["from"] == NOBODY
        ]
        for name, event in events:
            if name == "Minted":
                assert event["batchRoot"] not in self.mints, "a batch was minted twice"
                assert (event["first"], event["count"]) == (self.next_number, len(made))
                self.mints[event["batchRoot"]] = made
                self.next_number += len(made)
            elif name == "Redeemed":
                self.burns[event["id"]] = event["value"]


def check(issuer: Issuer, books: Path, *, lost: bool = False) -> Truth:
    """Raise AssertionError unless all agrees to the unit; `lost` while what came in may not all be minted and paid."""
    truth = Truth(issuer, books)
    with issuer.store.read() as connection:
        assert locks.live(connection) == []
        final = connection.execute(select(tables.batch).where(tables.batch.c.state == BatchState.FINAL)).all()
        for row in final:
            orders = connection.execute(
                select(tables.mint_order)
                .where(tables.mint_order.c.batch_id == row.id, tables.mint_order.c.state == OrderState.FINAL)
                .order_by(tables.mint_order.c.position)
            ).all()
            root = merkle.root([bytes.fromhex(order.commitment[2:]) for order in orders])
            assert "0x" + root.hex() == row.reference, "the reference commits to the orders"
            assert truth.mints[row.reference] == [(order.wallet, order.value) for order in orders]
        assert verify.verify(issuer.log, connection=connection).holds
    assert len(final) == len(truth.mints), "every mint on chain is one batch's, and every final batch is on chain"
    for redemption, (times, moved, par) in truth.payments.items():
        assert (times, par, -moved * 10_000) == (1, truth.burns[redemption], par), "paid once, what was burned"
    assert [line for line in issuer.compare() if line.difference] == []
    with issuer.store.read() as connection:
        books_ = journal.balances(connection)
    told = (books_.get(chart.COLLECTION, 0), books_.get(chart.RESERVE, 0))
    assert told == (truth.money.collection * 10_000, truth.money.reserve * 10_000), "the books say what the bank has"
    if not lost:
        assert truth.payments.keys() == truth.burns.keys(), "every burn is paid"
        assert truth.minted == sum(wire.amount for wire in truth.wires) * 10_000, "all that came in is minted"
    return truth


def settled(issuer: Issuer, books: Path) -> bool:
    """Whether all that came in is minted and all that was burned is paid, and the books know it."""
    truth = Truth(issuer, books)
    wired = sum(wire.amount for wire in truth.wires) * 10_000
    left = wired - sum(truth.burns.values())
    with issuer.store.read() as connection:
        balances = {name: units for name, units in journal.balances(connection).items() if units}
    done = truth.minted == wired and truth.payments.keys() == truth.burns.keys()
    return done and balances == ({chart.RESERVE: left, chart.OUTSTANDING: left} if left else {})


def _transactions(logs: list[rpc.Log]) -> dict[str, list[rpc.Log]]:
    found: dict[str, list[rpc.Log]] = defaultdict(list)
    for log in sorted(logs, key=lambda log: (log.block_number, log.index)):
        found[log.transaction].append(log)
    return found
