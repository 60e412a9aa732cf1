"""`issuer report`: what bank and auditor have signed about the reserve."""

import click

from issuer.cli import answer
from issuer.cli.parameters import NUMBER, answers, asks
from issuer.cli.session import Session
from issuer.errors import NotFound
from issuer.operations import reserve


@click.group()
def report() -> None:
    """See the reserve reports, and ask for a new one.

    A report says what the reserve account holds, what has been paid for redemptions and what was credited for mints.
    Bank and auditor sign it; the contract mints only against it. The service asks for one whenever a mint needs it.
    """


@report.command()
@click.argument("number", type=NUMBER, required=False)
@answers
def show(session: Session, number: int | None) -> None:
    """Show report NUMBER, or the latest one that bank and auditor have signed."""
    with session.issuer.store.read() as connection:
        found = reserve.latest(connection) if number is None else reserve.get(connection, number)
    if found is None:
        raise NotFound("bank and auditor have not signed a report yet", "Ask for one with `issuer report request`.")
    answer.record(found, as_json=session.as_json)


@report.command()
@asks
def request(session: Session) -> None:
    """Ask bank and auditor for a report of the reserve as it is now."""
    session.ask("report.request", {}, reserve.request)
