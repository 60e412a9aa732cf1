"""Mint orders: they wait for money, never the other way round (R-21).

requested -> approved -> reserved, and then the order's batch carries it.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, Text, bindparam, cast, insert, literal, select

from issuer import audit
from issuer.audit.record import canonical
from issuer.errors import NotFound, Refused
from issuer.ledger import chart, journal
from issuer.money import format_units, units_to_fen
from issuer.operations import batches, customers, locks, recalled, wallets
from issuer.operations.policy import Policy
from issuer.operations.transitions import move, move_all
from issuer.store import turn
from issuer.store.states import BatchState, OrderState, Scope, TooLarge, WalletState
from issuer.store.tables import account, batch, mint_order, wallet
from issuer.store.unit import SERVICE, Unit

_READY = (
    select(mint_order, account.c.balance)
    .join(wallet, wallet.c.address == mint_order.c.wallet)
    .join(
        account,
        (account.c.name == literal(chart.CUSTOMER) + cast(mint_order.c.customer_id, Text))
        & (account.c.balance >= mint_order.c.value),
    )
    .where(mint_order.c.state == OrderState.APPROVED, wallet.c.state == WalletState.VERIFIED)
    .order_by(mint_order.c.id)
    .limit(bindparam("most"))
)

_STANDING = (
    select(mint_order)
    .where(mint_order.c.customer_id == bindparam("customer"), mint_order.c.value == bindparam("value"))
    .where(mint_order.c.at == bindparam("ordered_at"), mint_order.c.requested_by == SERVICE)
    .where(mint_order.c.state.in_((OrderState.REQUESTED, OrderState.APPROVED)))
    .order_by(mint_order.c.id)
    .limit(1)
)
"""The order that was given by itself when so much came in at that moment."""

_INSERT = insert(mint_order).returning(mint_order.c.id)
_VIEWS = (
    select(
        *mint_order.c,
        batch.c.state.label("batch_state"),
        batch.c.reference.label("batch_reference"),
        batch.c.refusal,
        (batch.c.first + mint_order.c.position).label("number"),
        wallet.c.state.label("wallet_state"),
    )
    .join(wallet, wallet.c.address == mint_order.c.wallet)
    .outerjoin(batch, batch.c.id == mint_order.c.batch_id)
    .order_by(mint_order.c.id)
)
_VIEW = _VIEWS.where(mint_order.c.id == bindparam("order"))

# -- asked for by people


def request(unit: Unit, policy: Policy, *, customer_id: int, wallet: str, value: int) -> dict[str, Any]:
    """Order `value` units to be minted to a customer's own wallet. Raises NotFound, InvalidAmount or Refused."""
    customers.get(unit.connection, customer_id)
    units_to_fen(value)
    if wallets.owner(unit.connection, wallet) != customer_id:
        raise Refused(f"{wallet} is not a registered wallet of customer {customer_id}", "Register the wallet first.")
    state = OrderState.REQUESTED if value > policy.approval_threshold else OrderState.APPROVED
    row = {"customer_id": customer_id, "wallet": wallet, "value": value, "requested_by": unit.actor, "at": unit.now}
    commitment = _commit(unit, row)
    order_id = unit.connection.execute(_INSERT, {**row, "commitment": commitment, "state": state}).scalar_one()
    after = {"customer": customer_id, "wallet": wallet, "value": format_units(value), "state": state}
    audit.append(unit, "mint.requested", f"order:{commitment}", after=after)
    return get(unit.connection, order_id)


def approve(unit: Unit, *, order_id: int) -> dict[str, Any]:
    """Approve a large order, as another person than the one who asked (R-34). Raises NotFound or Refused."""
    turn.wait(unit)
    row = get(unit.connection, order_id)
    if row["state"] != OrderState.REQUESTED:
        raise Refused(f"order {order_id} is {row['state']}", "Only a requested order waits for approval.")
    if row["requested_by"].casefold() == unit.actor.casefold():
        raise Refused("an order is not approved by the person who asked for it", "Let another operator approve it.")
    return _decide(unit, row, OrderState.APPROVED, "mint.approved")


def reject(unit: Unit, *, order_id: int) -> dict[str, Any]:
    """Refuse a large order that waits for approval. Raises NotFound or Refused."""
    turn.wait(unit)
    row = get(unit.connection, order_id)
    if row["state"] != OrderState.REQUESTED:
        raise Refused(f"order {order_id} is {row['state']}", "Only a requested order waits for approval.")
    return _decide(unit, row, OrderState.REJECTED, "mint.rejected")


_CANCELLABLE = (OrderState.REQUESTED, OrderState.APPROVED, OrderState.RESERVED)

_TOO_LATE = {
    OrderState.BATCHED: "Its money is moving to the reserve: wait, and redeem the tokens once they are minted.",
    OrderState.FINAL: "The tokens are there: redeem them.",
    OrderState.REJECTED: "Nothing is left to cancel.",
    OrderState.CANCELLED: "Nothing is left to cancel.",
    OrderState.FAILED: "Nothing is left to cancel: its money goes back to the customer.",
    OrderState.REFUNDED: "Nothing is left to cancel: its money is the customer's again.",
}
"""What to do about an order that can be cancelled no more, by its state."""


def cancel(unit: Unit, *, order_id: int) -> dict[str, Any]:
    """Withdraw an order whose money is not on its way to the reserve. Raises NotFound or Refused.

    One whose money the bank has taken back would stop all that are batched with it; they go on without it.
    """
    turn.wait(unit)
    row = get(unit.connection, order_id)
    unmoved = row["state"] == OrderState.BATCHED and batches.is_unmoved(unit.connection, row["batch_id"])
    if row["state"] not in _CANCELLABLE and not unmoved:
        raise Refused(f"order {order_id} is {row['state']}", _TOO_LATE[row["state"]])
    if row["state"] in (OrderState.RESERVED, OrderState.BATCHED):
        _give_back(unit, row)
        return get(unit.connection, order_id)
    return _decide(unit, row, OrderState.CANCELLED, "mint.cancelled")


def _give_back(unit: Unit, row: dict[str, Any]) -> None:
    """Withdraw an order that money is bound to: it is the customer's again, but for what the bank has taken back."""
    batch_id, state = row["batch_id"], OrderState.CANCELLED
    move(unit, mint_order, row["id"], row["state"], state, decided_by=unit.actor, batch_id=None, position=None)
    subject, owner = f"order:{row['commitment']}", chart.customer(row["customer_id"])
    audit.append(unit, "mint.cancelled", subject, before={"state": row["state"]}, after={"state": state})
    units = row["value"]
    journal.post(unit, journal.transfer("withdrawn", subject, debit=chart.IN_FLIGHT, credit=owner, units=units))
    recalled.settle(unit, row["customer_id"])
    if batch_id is not None:
        batches.go_on_without(unit, batch_id)


def withdraw(unit: Unit, *, customer_id: int, value: int, ordered_at: int, reason: str) -> None:
    """Withdraw the order that a standing instruction gave for a deposit which goes back, if no money is bound to it.

    It would take the money that the customer pays in for something else.
    """
    told = {"customer": customer_id, "value": value, "ordered_at": ordered_at}
    row = unit.connection.execute(_STANDING, told).mappings().first()
    if row is not None:
        state = OrderState.CANCELLED
        move(unit, mint_order, row["id"], row["state"], state, decided_by=unit.actor, reason=reason)
        before, after = {"state": row["state"]}, {"state": state, "reason": reason}
        audit.append(unit, "mint.cancelled", f"order:{row['commitment']}", before=before, after=after)


# -- one step of the service


def reserve(unit: Unit, limit: int = 2500) -> int:
    """Bind customers' money to their approved orders, oldest first; the number of orders reserved.

    Not all that there are, so that the bank moves the first ones' money while the next are reserved.
    """
    if locks.locked(unit.connection, Scope.MINTING):
        return 0
    free: dict[int, int] = {}
    taken = []
    for row in _ready(unit.connection, limit):
        free.setdefault(row.customer_id, row.balance)
        if free[row.customer_id] >= row.value:
            free[row.customer_id] -= row.value
            taken.append(row)
    bind_money(unit, taken)
    return len(taken)


def bind_money(unit: Unit, orders: Sequence[Row[Any]]) -> None:
    """Bind customers' money to these approved orders."""
    if orders:
        ids = [row.id for row in orders]
        move_all(unit, mint_order, ids, OrderState.APPROVED, OrderState.RESERVED, reserved_at=unit.now)
        told = {f"order:{row.commitment}": {"value": format_units(row.value)} for row in orders}
        audit.append_all(unit, "mint.reserved", told)
        journal.post(unit, *(_reservation(row) for row in orders))


# -- looked at


def get(connection: Connection, order_id: int) -> dict[str, Any]:
    """One order, with how far its batch is and what it waits for. Raises NotFound."""
    row = connection.execute(_VIEW, {"order": order_id}).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no mint order {order_id}", "See `issuer mint list`.")
    return _shown(connection, row)


def every(connection: Connection) -> list[dict[str, Any]]:
    return [_shown(connection, row) for row in connection.execute(_VIEWS).mappings().all()]


# -- within


def _commit(unit: Unit, row: dict[str, Any]) -> str:
    """The order's 32-byte id: what the batch's reference on chain commits to."""
    body = canonical({**row, "value": format_units(row["value"]), "nonce": unit.random_bytes(16).hex()})
    return "0x" + hashlib.sha256(body).hexdigest()


def _decide(unit: Unit, row: dict[str, Any], state: OrderState, action: str) -> dict[str, Any]:
    move(unit, mint_order, row["id"], row["state"], state, decided_by=unit.actor)
    audit.append(unit, action, f"order:{row['commitment']}", before={"state": row["state"]}, after={"state": state})
    return get(unit.connection, row["id"])


def _ready(connection: Connection, limit: int) -> Sequence[Row[Any]]:
    """Approved orders to verified wallets whose customers have at least that much, with that balance, oldest first."""
    return connection.execute(_READY, {"most": limit}).all()


def _reservation(row: Row[Any]) -> journal.Entry:
    owner, subject = chart.customer(row.customer_id), f"order:{row.commitment}"
    return journal.transfer("reserved", subject, debit=owner, credit=chart.IN_FLIGHT, units=row.value)


def _shown(connection: Connection, row: RowMapping) -> dict[str, Any]:
    return {**row, "waits_for": _waits_for(connection, row)}


_BATCH_WAITS = {
    BatchState.FUNDING: "the bank to move its money to the reserve",
    BatchState.FUNDED: "a reserve report that includes it",
    BatchState.ATTESTED: "its mint to be final on chain",
}

LIMIT_TOO_SMALL = "a minting limit that is not below its value"
"""What an order waits for that is over it by itself; all others are minted meanwhile."""

_REFUSALS = {
    "ActStopped": "minting to be resumed on chain",
    "OverLimit": "a minting limit to refill",
    TooLarge.CAPACITY: LIMIT_TOO_SMALL,
}


def _refused(error: str) -> str:
    """What a mint waits for that the contract would have refused."""
    return _REFUSALS.get(error, f"the contract to take it, which last said {error}")


def _waits_for(connection: Connection, row: RowMapping) -> str | None:
    """What has to happen before the order moves on, in words for the person who asks."""
    if row["state"] == OrderState.REQUESTED:
        return "approval by another operator"
    if row["state"] == OrderState.APPROVED and row["wallet_state"] != WalletState.VERIFIED:
        return "its wallet to be verified on chain"
    if row["state"] == OrderState.APPROVED:
        free = journal.balance(connection, chart.customer(row["customer_id"]))
        missing = max(row["value"] - free, 0)
        return f"{format_units(missing)} CNH of customer {row['customer_id']}'s money" if missing else "its turn"
    if row["state"] == OrderState.FAILED:
        return batches.kept_back_by(connection, row)
    if row["state"] == OrderState.BATCHED and row["refusal"]:
        return _refused(row["refusal"])
    return _batch_waits_for(connection, BatchState(row["batch_state"])) if row["state"] == OrderState.BATCHED else None


def _batch_waits_for(connection: Connection, state: BatchState) -> str | None:
    lack = batches.lack(connection, state) if state in (BatchState.FUNDED, BatchState.ATTESTED) else None
    return lack or _BATCH_WAITS.get(state)
