"""`issuer redemption`: tokens that were burned, and what is owed for them."""

import click

from issuer.cli import answer
from issuer.cli.parameters import NUMBER, answers, asks
from issuer.cli.session import Session
from issuer.operations import redemptions


@click.group()
def redemption() -> None:
    """Follow the burns that are owed, and release one that is held.

    A redemption's number is the token's running total of redeemed units after it, as the chain counts.
    """


@redemption.command(name="list")
@answers
def list_(session: Session) -> None:
    """List all redemptions."""
    with session.issuer.store.read() as connection:
        found = redemptions.every(connection)
    columns = ("id", "value", "holder", "customer_id", "state", "deadline", "reason")
    answer.rows(found, columns, empty="Nothing has been redeemed yet.", as_json=session.as_json)


@redemption.command()
@click.argument("redemption_id", type=NUMBER, metavar="REDEMPTION")
@answers
def show(session: Session, redemption_id: int) -> None:
    """Show one redemption."""
    with session.issuer.store.read() as connection:
        found = redemptions.get(connection, redemption_id)
    answer.record(found, as_json=session.as_json)


@redemption.command()
@click.argument("redemption_id", type=NUMBER, metavar="REDEMPTION")
@asks
def release(session: Session, redemption_id: int) -> None:
    """Have a held or returned redemption paid, once what held it is gone."""
    policy, body = session.issuer.policy, {"redemption_id": redemption_id}
    session.ask("redemption.release", body, lambda unit: redemptions.release(unit, policy, **body))
