"""`issuer payout`: every payment ordered from the bank."""

from dataclasses import asdict

import click

from issuer.cli import answer
from issuer.cli.parameters import answers
from issuer.cli.session import Session
from issuer.operations import payouts


@click.group()
def payout() -> None:
    """Follow the payments that were ordered from the bank.

    \b
      MINT     from collection to the reserve, for a batch of mint orders
      UNFUND   back, for an order that failed
      REDEEM   from the reserve to a customer
      REFUND   from collection to a customer, of money not minted
      RETURN   from collection to a sender who is no customer
    """


@payout.command(name="list")
@answers
def list_(session: Session) -> None:
    """List all payments."""
    with session.issuer.store.read() as connection:
        found = [asdict(item) for item in payouts.every(connection)]
    columns = ("id", "kind", "amount", "fee", "creditor_account", "creditor_name", "message_id", "state")
    answer.rows(found, columns, empty="Nothing has been ordered from the bank yet.", as_json=session.as_json)
