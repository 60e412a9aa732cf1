"""Deliberate faults: each changes one decision of the code, in this process, to one that others have shipped.

A mutant puts its fault in place with a monkeypatch. None is told what will be looked for, nor on which seeds.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BigInteger, bindparam, cast, func, select, update

from issuer.audit import integrator
from issuer.bank import inbox
from issuer.chain import rpc, transactions
from issuer.chain.finality import Finality
from issuer.chain.node import Node
from issuer.chain.rpc import Block
from issuer.chain.sender import Form, Ground, Sender
from issuer.errors import Unreachable
from issuer.messages import camt, pain
from issuer.messages import folder as documents
from issuer.messages.folder import ISSUER_TO_BANK
from issuer.messages.pain import OrderKind
from issuer.mockbank import bank, folder, orders, reckoning
from issuer.mockbank.attestation import Figures
from issuer.mockbank.bank import Bank
from issuer.money import fen_to_units
from issuer.operations import agenda, payouts
from issuer.operations.policy import Policy
from issuer.operations.transitions import move
from issuer.recovery import Recovery
from issuer.store import facts, intents, tables
from issuer.store.facts import News
from issuer.store.states import Door, IntentState, PayoutKind, PayoutState, RedemptionState, TransactionState
from issuer.store.unit import Store
from tests.simulation.stage import Stage

_SILENCE = 60  # seconds after which an impatient issuer takes silence for an answer

Mutant = Callable[[pytest.MonkeyPatch], None]


def store_after_broadcast(patch: pytest.MonkeyPatch) -> None:
    """The bytes are sent first, and stored when the node has answered."""

    def take(self: Sender, ground: Ground, forms: Sequence[Form]) -> int:
        for form in forms:
            rpc.broadcast(self._node, form.raw)
        with self._store.unit("store signed bytes") as unit:
            for form in forms:
                transactions.store(unit, form.intent, form.says, form.raw, ground.key.role, ground.term)
        return len(forms)

    patch.setattr(Sender, "_take", take)


def new_nonce_on_timeout(patch: pytest.MonkeyPatch) -> None:
    """A broadcast that is not answered has failed: the intent is signed again, at the next nonce."""
    patient = Sender._take

    def take(self: Sender, ground: Ground, forms: Sequence[Form]) -> int:
        try:
            return patient(self, ground, forms)
        except Unreachable:
            with self._store.unit("give up") as unit:
                for form in forms:
                    lost = tables.transaction.c.intent_id == form.intent.id
                    forget = update(tables.transaction).where(lost).values(state=TransactionState.FINAL)
                    unit.connection.execute(forget)
                    intents.move(unit, form.intent.id, IntentState.BOUND, IntentState.OPEN)
            raise

    patch.setattr(Sender, "_take", take)


def act_on_mined(patch: pytest.MonkeyPatch) -> None:
    """A block counts as soon as it is there."""

    def block(_self: Finality, _node: Node, head: Block) -> Block:
        return head

    patch.setattr(Finality, "block", block)


def refund_on_used_number(patch: pytest.MonkeyPatch) -> None:
    """ "Nonce too low" means that the mint has failed, so its orders get their money back."""
    broadcast, repeat = rpc.broadcast, Sender._repeat
    used: list[str] = []

    def listening(node: Node, raw: str) -> str | None:
        reason = broadcast(node, raw)
        if reason == "nonce too low":
            used.append(raw)
        return reason

    def hasty(self: Sender) -> int:
        used.clear()
        done = repeat(self)
        with self._store.unit("fail") as unit:
            for sent in transactions.live(unit.connection):
                wallets = {
                    wallet for wallet, _ in intents.get(unit.connection, sent.intent_id).payload.get("orders", [])
                }
                if sent.newest.raw in used and len(wallets) == 1:
                    told = {"intent_id": sent.intent_id, "kind": "mint", "subject": sent.subject}
                    told |= {"error": "AccountFrozen", "arguments": list(wallets)}
                    facts.bring(unit, Door.CHAIN, [News(key=f"failed:{sent.id}", kind="refused", payload=told)])
        return done

    patch.setattr(rpc, "broadcast", listening)
    patch.setattr(Sender, "_repeat", hasty)


def dedupe_on_event_id(patch: pytest.MonkeyPatch) -> None:
    """An entry is known by the notice that tells it, and not by the bank's reference alone."""
    read = inbox._read

    def by_notice(source: str, name: str, body: bytes) -> list[News]:
        found = read(source, name, body)
        number = documents.notice_of(name)
        if number is None:
            return found
        return [News(key=f"{item.key}|{number}", kind=item.kind, payload=item.payload) for item in found]

    patch.setattr(inbox, "_read", by_notice)


def instruct_again_on_silence(patch: pytest.MonkeyPatch) -> None:
    """A payment that the bank has not answered for a minute is ordered again."""
    work = agenda.work

    def impatient(store: Store, policy: Policy) -> int:
        with store.unit("lose patience") as unit:
            for found in payouts.every(unit.connection):
                silent = found.state is PayoutState.INSTRUCTED and unit.now - found.at > _SILENCE
                if silent and found.kind is PayoutKind.REDEEM:
                    move(unit, tables.payout, found.id, PayoutState.INSTRUCTED, PayoutState.REJECTED)
                    ident = int(found.subject.removeprefix("redemption:"))
                    move(unit, tables.redemption, ident, RedemptionState.INSTRUCTED, RedemptionState.PAYABLE)
        return work(store, policy)

    patch.setattr(agenda, "work", impatient)


def paid_counts_cash(patch: pytest.MonkeyPatch) -> None:
    """Bank and auditor count what was paid out, and not the par that it discharged."""
    paid_by = reckoning._paid_by

    def cash(connection: Any) -> int:
        statement = "SELECT COALESCE(SUM(amount_fen), 0) AS cash FROM payment_order WHERE state = ? AND kind = 'REDEEM'"
        return fen_to_units(connection.execute(statement, (orders.BOOKED,)).fetchone()["cash"])

    def cash_of(connection: Any, entry: camt.Entry) -> int:
        par = paid_by(connection, entry)
        if entry.redemption is None:
            return par
        return fen_to_units(entry.amount_fen - entry.redemption.fee_fen) * (1 if par > 0 else -1)

    patch.setattr(orders, "paid_units", cash)
    patch.setattr(reckoning, "_paid_by", cash_of)


def report_before_booking(patch: pytest.MonkeyPatch) -> None:
    """The bank counts transfers to the reserve that lie before it and that it has not booked; the auditor trusts it."""
    step, figures = Bank.step, bank._figures
    waiting: list[int] = []

    def eager(self: Bank) -> int:
        connection = self._database.connection
        names = folder.untaken(connection, self.home.folder, ISSUER_TO_BANK)
        found = [
            pain.read_order(self.home.folder.read(ISSUER_TO_BANK, name)) for name in names if documents.order_of(name)
        ]
        waiting[:] = [order.amount_fen for order in found if order.kind is OrderKind.MINT]
        if not any(documents.request_of(name) for name in names):
            return step(self)
        with patch.context() as closed:
            closed.setattr(documents, "order_of", lambda _name: None)  # orders are booked in the next pass
            return step(self)

    def counting(connection: Any) -> Figures:
        known, more = figures(connection), fen_to_units(sum(waiting))
        return Figures(reserve=known.reserve + more, paid=known.paid, credited=known.credited + more)

    patch.setattr(Bank, "step", eager)
    patch.setattr(bank, "_figures", counting)
    patch.setattr(reckoning, "held", lambda *_arguments: True)


def integrator_by_last_id(patch: pytest.MonkeyPatch) -> None:
    """Records get their places by "id greater than the last"."""
    record = tables.audit_record
    last = select(func.coalesce(func.max(record.c.id), 0)).where(record.c.place.is_not(None)).scalar_subquery()
    place = cast(bindparam("first"), BigInteger) + func.row_number().over(order_by=record.c.id) - 1
    later = select(record.c.id, place.label("place")).where(record.c.id > last).subquery()
    placing = update(record).where(record.c.id == later.c.id).values(place=later.c.place)
    patch.setattr(integrator, "_PLACE", placing.returning(record.c.place, record.c.body))


def restore_without_recovery(patch: pytest.MonkeyPatch) -> None:
    """The home is put back as it was saved, log folder and all, and goes on as if nothing had happened since."""

    def back_up(self: Stage, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        self.store.close()
        shutil.copytree(self.run, target, ignore=shutil.ignore_patterns(target.name, "bank", "auditor"))

    def restore(self: Stage, source: Path) -> None:
        shutil.rmtree(self.run / "log")
        for name in (self.database.name, f"{self.database.name}-wal", f"{self.database.name}-shm"):
            (self.run / name).unlink(missing_ok=True)
        shutil.copytree(source, self.run, dirs_exist_ok=True)

    patch.setattr(Stage, "back_up", back_up)
    patch.setattr(Stage, "restore", restore)
    patch.setattr(Recovery, "is_on", lambda _self: False)


MUTANTS: tuple[Mutant, ...] = (
    store_after_broadcast,
    new_nonce_on_timeout,
    act_on_mined,
    refund_on_used_number,
    dedupe_on_event_id,
    instruct_again_on_silence,
    paid_counts_cash,
    report_before_booking,
    integrator_by_last_id,
    restore_without_recovery,
)
