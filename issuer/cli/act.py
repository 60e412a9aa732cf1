"""`issuer act`: slow acts, which wait before they are done."""

import click

from issuer.cli import answer
from issuer.cli.parameters import CASE, HASH, answers, asks
from issuer.cli.session import Session
from issuer.operations import powers


@click.group()
def act() -> None:
    """See the acts that wait on chain, and cancel one.

    A slow act is proposed, waits for the contract's delay, and is then accepted by the running service, unless the
    guardian's key cancels it.
    """


@act.command(name="list")
@answers
def list_(session: Session) -> None:
    """List all slow acts: what each would do, and when it is ready."""
    with session.issuer.store.read() as connection:
        found = powers.every(connection)
    columns = ("act_id", "contract", "function", "arguments", "state", "ready_at")
    answer.rows(found, columns, empty="No act was ever proposed.", as_json=session.as_json)


@act.command()
@click.argument("act_id", type=HASH, metavar="ACT")
@click.option("--case", type=CASE, required=True, help="The case that this is done under.")
@asks
def cancel(session: Session, act_id: str, case: str) -> None:
    """Cancel an act that waits."""
    body = {"act_id": act_id, "case": case}
    session.ask("act.cancel", body, lambda unit: powers.cancel(unit, **body))
