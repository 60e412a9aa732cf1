"""`issuer deposit`: money that came to the collection account."""

import click

from issuer.cli import answer
from issuer.cli.parameters import NUMBER, answers, asks
from issuer.cli.session import Session
from issuer.operations import deposits


@click.group()
def deposit() -> None:
    """Follow the wires that came in, and send one back.

    A wire from a customer's registered account, in the customer's name, is the customer's; any other goes back to its
    sender by itself, or if the bank does not tell the sender, waits until the bank takes it back. What the bank did not
    send is held until it is sent again here.
    """


@deposit.command(name="list")
@answers
def list_(session: Session) -> None:
    """List all deposits."""
    with session.issuer.store.read() as connection:
        found = deposits.every(connection)
    columns = ("id", "amount", "customer_id", "sender_account", "sender_name", "state", "reason", "at")
    answer.rows(found, columns, empty="No money has come in yet.", as_json=session.as_json)


@deposit.command()
@click.argument("deposit_id", type=NUMBER, metavar="DEPOSIT")
@asks
def refund(session: Session, deposit_id: int) -> None:
    """Send a deposit back to the account it came from, if that much is not minted or bound to an order.

    Also one that is held, since the bank did not send it before.
    """
    act = deposits.refund
    body = {"deposit_id": deposit_id}
    session.ask("deposit.refund", body, lambda unit: act(unit, session.issuer.policy, deposit_id=deposit_id))
