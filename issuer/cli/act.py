"""`issuer act`: what was ordered of the contracts, and the slow acts, which wait before they are done."""

import click

from issuer.cli import answer
from issuer.cli.parameters import HASH, answers, cases
from issuer.cli.power import proposal
from issuer.cli.session import Session
from issuer.messages.contracts import AUTHORITY, TOKEN
from issuer.operations import powers


@click.group()
def act() -> None:
    """See what was ordered of the contracts and how far it is; accept or cancel what waits there.

    \b
    A quick act is one call by the key that holds the power:
      ordered     the service has not sent it yet
      sent        its block is not final yet
      final       it is done
      refused     the contract would not do it; the reason is given
    A slow act is proposed by the admin, waits out the contract's delay in everyone's sight, and is then accepted:
      ordered     its proposal is not final yet
      proposed    its delay runs; the guardian may cancel it
      accepting   the service has ordered the acceptance
      accepted    it is done
      cancelled, refused, failed    it was not done; the reason is given
    The service accepts by itself what was ordered here. What has no case was proposed by somebody else.
    """


@act.command(name="list")
@answers
def list_(session: Session) -> None:
    """List all acts: what each does, how far it is, and when it is ready."""
    with session.issuer.store.read() as connection:
        found = powers.every(connection)
    columns = ("act_id", "case", "contract", "function", "arguments", "state", "ready_at", "reason")
    answer.rows(found, columns, empty="No act was ever ordered.", as_json=session.as_json)


@act.command()
@click.argument("act_id", type=HASH, metavar="ACT")
@answers
def show(session: Session, act_id: str) -> None:
    """Show one slow act, with the calls that propose, accept and cancel it, for another signer such as a multisig."""
    with session.issuer.store.read() as connection:
        row = powers.get(connection, act_id)
        shown = next(item for item in powers.every(connection) if item["act_id"] == act_id)
    contract, data = row["contract"], row["act"]
    parts = session.issuer.speaking
    accepts, cancels = TOKEN.call("accept", data), TOKEN.call("cancel", act_id)
    if contract == "authority":
        accepts = AUTHORITY.call("execute", parts.authority, data)
        cancels = AUTHORITY.call("cancel", parts.keys["admin"], parts.authority, data)
    calls = {"propose": proposal(session, contract, data), "accept": accepts, "cancel": cancels}
    answer.record(shown | {"to": parts.address(contract), **calls}, as_json=session.as_json)


@act.command()
@click.argument("act_id", type=HASH, metavar="ACT")
@cases
def accept(session: Session, act_id: str, case: str) -> None:
    """Accept an act whose delay is over: one that somebody else has proposed, or one that has failed before."""
    body = {"act_id": act_id, "case": case}
    session.ask("act.accept", body, lambda unit: powers.take_up(unit, **body))


@act.command()
@click.argument("act_id", type=HASH, metavar="ACT")
@cases
def cancel(session: Session, act_id: str, case: str) -> None:
    """Cancel an act that waits, by the guardian's key."""
    body = {"act_id": act_id, "case": case}
    session.ask("act.cancel", body, lambda unit: powers.cancel(unit, **body))
