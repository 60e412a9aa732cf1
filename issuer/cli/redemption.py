"""`issuer redemption`: tokens that were burned, and what is owed for them."""

from typing import Any

import click

from issuer.cli import answer
from issuer.cli.parameters import NUMBER, TEXT, answers, asks, cases
from issuer.cli.session import Session
from issuer.operations import redemptions


@click.group()
def redemption() -> None:
    """Follow the burns that are owed, release one that is held, and have paid what was seized.

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


@redemption.command()
@click.argument("redemption_id", type=NUMBER, metavar="REDEMPTION")
@click.option("--account", type=TEXT, required=True, help="The bank account that the case orders it paid to.")
@click.option("--name", type=TEXT, required=True, help="In whose name that account is.")
@cases
def direct(session: Session, redemption_id: int, account: str, name: str, case: str) -> None:
    """Say who is paid for what was seized, as its case orders. Another operator approves.

    \b
      issuer redemption direct 100000000000 --account 012879000000001 --name "High Court" --case HCMP-12/2026
      issuer redemption approve 100000000000 --operator ben
    """
    body: dict[str, Any] = {"redemption_id": redemption_id, "account": account, "name": name, "case": case}
    policy = session.issuer.policy
    session.ask("redemption.direct", body, lambda unit: redemptions.direct(unit, policy, **body))


@redemption.command()
@click.argument("redemption_id", type=NUMBER, metavar="REDEMPTION")
@asks
def approve(session: Session, redemption_id: int) -> None:
    """Have what was seized paid, as another operator than the one who named the payee."""
    body = {"redemption_id": redemption_id}
    session.ask("redemption.approve", body, lambda unit: redemptions.approve(unit, **body))
