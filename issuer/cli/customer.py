"""`issuer customer`: who may have tokens issued and redeemed."""

import click

from issuer.cli import answer
from issuer.cli.parameters import NUMBER, TEXT, answers, asks
from issuer.cli.session import Session
from issuer.operations import customers


@click.group()
def customer() -> None:
    """Register customers, each with the one bank account held in the same name."""


@customer.command()
@click.argument("name", type=TEXT)
@click.option("--jurisdiction", type=TEXT, required=True, metavar="CC", help="ISO 3166-1 code, such as HK.")
@click.option("--account", type=TEXT, required=True, help="The bank account in the customer's own name.")
@asks
def add(session: Session, name: str, jurisdiction: str, account: str) -> None:
    """Register a customer under the NAME that the bank account carries.

    Wires from that account, in that name, are the customer's money; redemptions are paid to it.

    \b
      issuer customer add "Platform A Limited" --jurisdiction HK --account 388000000001
    """
    body = {"name": name, "jurisdiction": jurisdiction, "bank_account": account}
    session.ask("customer.add", body, lambda unit: customers.add(unit, session.issuer.policy, **body))


@customer.command(name="list")
@answers
def list_(session: Session) -> None:
    """List all customers."""
    with session.issuer.store.read() as connection:
        found = customers.every(connection)
    columns = ("id", "name", "jurisdiction", "bank_account", "at")
    answer.rows(found, columns, empty="There are no customers yet: issuer customer add", as_json=session.as_json)


@customer.command()
@click.argument("customer_id", type=NUMBER, metavar="CUSTOMER")
@answers
def show(session: Session, customer_id: int) -> None:
    """Show one customer."""
    with session.issuer.store.read() as connection:
        found = customers.get(connection, customer_id)
    answer.record(found, as_json=session.as_json)
