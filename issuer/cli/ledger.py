"""`issuer ledger`: the books."""

from dataclasses import asdict

import click

from issuer.cli import answer
from issuer.cli.parameters import NUMBER, TEXT, answers
from issuer.cli.session import Session
from issuer.ledger import chart, journal
from issuer.money import format_units
from issuer.reports import export as exports


@click.group()
def ledger() -> None:
    """Read the books: double entry, one book, every amount in CNH.

    \b
      bank:collection, bank:reserve   the two accounts at the bank
      customer:N                      paid in by customer N, not minted and not taken back
      mint:in-flight                  bound to mint orders that are not final
      tokens:outstanding              the supply
      redemptions:payable             burned and not yet paid
    """


@ledger.command()
@answers
def balances(session: Session) -> None:
    """Show every account's balance, after adding all postings up again."""
    with session.issuer.store.read() as connection:
        journal.verify(connection)
        found = journal.balances(connection)
    shown = [{"account": name, "kind": chart.kind(name).value, "balance": units} for name, units in found.items()]
    empty = "Nothing has been posted yet."
    answer.rows(shown, ("account", "kind", "balance"), empty=empty, as_json=session.as_json)


@ledger.command(name="journal")
@click.option("--subject", type=TEXT, help="Only what is about this, such as redemption:100000000000.")
@click.option("--limit", type=NUMBER, default=100, show_default=True, help="How many of the last postings.")
@answers
def journal_(session: Session, subject: str | None, limit: int) -> None:
    """Show the last postings, oldest first; debits are positive."""
    with session.issuer.store.read() as connection:
        found = journal.journal(connection, subject=subject, limit=limit)
    columns = ("entry_id", "at", "description", "subject", "account", "amount")
    shown = [{**asdict(line), "amount": format_units(line.amount)} for line in found]
    answer.rows(shown, columns, empty="Nothing has been posted yet.", as_json=session.as_json)


@ledger.command()
@click.argument("form", type=click.Choice(["beancount", "hledger"]))
@answers
def export(session: Session, form: str) -> None:
    """Print all books as text for another program, which adds them up again and checks every balance.

    \b
      issuer ledger export beancount > books.beancount && bean-check books.beancount
    """
    with session.issuer.store.read() as connection:
        lines = list({"beancount": exports.beancount, "hledger": exports.hledger}[form](connection))
    if session.as_json:
        answer.echo_json({"form": form, "text": lines})
        return
    click.echo("\n".join(lines))
