"""`issuer mint`: orders for tokens."""

from collections.abc import Callable
from typing import Any

import click

from issuer.cli import answer
from issuer.cli.parameters import ACCOUNT, AMOUNT, NUMBER, SIGNED, answers, asks
from issuer.cli.session import Session
from issuer.money import format_units
from issuer.operations import mints
from issuer.store.unit import Unit


@click.group()
def mint() -> None:
    """Ask for tokens and follow the orders.

    \b
    An order waits for its money, never the other way round:
      requested   waits for another operator's approval (large orders only)
      approved    waits for the wallet to be verified and for the money to come in
      reserved    its money is bound to it
      batched     the bank moves the money to the reserve, bank and auditor sign, the mint is sent
      final       the tokens are there
    """


@mint.command(context_settings=SIGNED)
@click.argument("amount", type=AMOUNT)
@click.option("--customer", "customer_id", type=NUMBER, required=True, help="Whose money it is.")
@click.option("--wallet", type=ACCOUNT, required=True, help="The customer's registered wallet, or a local one's name.")
@asks
def request(session: Session, amount: int, customer_id: int, wallet: str) -> None:
    """Order AMOUNT to be minted to a customer's own wallet.

    \b
      issuer mint request 1000000.00 --customer 1 --wallet 0x52908400098527886E0F7030069857D2E4169EE7
    """
    address = session.issuer.address(wallet)
    policy, body = session.issuer.policy, {"customer_id": customer_id, "wallet": address, "value": format_units(amount)}

    def act(unit: Unit) -> dict[str, Any]:
        return mints.request(unit, policy, customer_id=customer_id, wallet=address, value=amount)

    session.ask("mint.request", body, act)


@mint.command()
@click.argument("order_id", type=NUMBER, metavar="ORDER")
@asks
def approve(session: Session, order_id: int) -> None:
    """Approve a large order, as another operator than the one who asked."""
    _decide(session, "mint.approve", mints.approve, order_id)


@mint.command()
@click.argument("order_id", type=NUMBER, metavar="ORDER")
@asks
def reject(session: Session, order_id: int) -> None:
    """Refuse a large order that waits for approval."""
    _decide(session, "mint.reject", mints.reject, order_id)


@mint.command()
@click.argument("order_id", type=NUMBER, metavar="ORDER")
@asks
def cancel(session: Session, order_id: int) -> None:
    """Withdraw an order whose money is not on its way to the reserve: it is the customer's again."""
    _decide(session, "mint.cancel", mints.cancel, order_id)


@mint.command(name="list")
@answers
def list_(session: Session) -> None:
    """List all orders, with what each one waits for."""
    with session.issuer.store.read() as connection:
        found = mints.every(connection)
    columns = ("id", "number", "customer_id", "wallet", "value", "state", "waits_for")
    answer.rows(found, columns, empty="There are no orders yet: issuer mint request", as_json=session.as_json)


@mint.command()
@click.argument("order_id", type=NUMBER, metavar="ORDER")
@answers
def show(session: Session, order_id: int) -> None:
    """Show one order, and what it waits for."""
    with session.issuer.store.read() as connection:
        found = mints.get(connection, order_id)
    answer.record(found, as_json=session.as_json)


def _decide(session: Session, operation: str, act: Callable[..., dict[str, Any]], order_id: int) -> None:
    def decide(unit: Unit) -> dict[str, Any]:
        return act(unit, order_id=order_id)

    session.ask(operation, {"order_id": order_id}, decide)
