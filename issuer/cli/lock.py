"""`issuer lock`: what stops the service by itself."""

import click

from issuer.cli import answer
from issuer.cli.parameters import NUMBER, answers, asks
from issuer.cli.session import Session
from issuer.operations import locks
from issuer.reports import status


@click.group()
def lock() -> None:
    """See the locks that the service has set, and lift one when its cause is settled.

    A lock on minting leaves the chain as it is; `issuer stop mint` stops the contract itself.
    """


@lock.command(name="list")
@answers
def list_(session: Session) -> None:
    """List the locks in force: what is stopped, why, since when, and what lifts it."""
    with session.issuer.store.read() as connection:
        found = [*status.recovery(connection), *locks.live(connection)]
    columns = ("id", "scope", "since", "reason", "remedy")
    answer.rows(found, columns, empty="Nothing is locked.", as_json=session.as_json)


@lock.command()
@click.argument("lock_id", type=NUMBER, metavar="LOCK")
@asks
def clear(session: Session, lock_id: int) -> None:
    """Lift a lock, after you have looked at its cause."""
    session.ask("lock.clear", {"lock_id": lock_id}, lambda unit: locks.clear(unit, lock_id))
