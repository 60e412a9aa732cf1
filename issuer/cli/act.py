"""`issuer act`: what was ordered of the contracts, and the slow acts, which wait before they are done."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from issuer.cli import answer
from issuer.cli.parameters import CASE, HASH, WHOLE, answers, cases
from issuer.cli.power import proposal
from issuer.cli.session import Session
from issuer.errors import NotFound, Refused
from issuer.messages.contracts import AUTHORITY, TOKEN
from issuer.operations import powers

_COLUMNS = ("act_id", "case", "contract", "function", "arguments", "state", "ready_at", "reason")
_POLL = 0.5  # seconds between two looks
_PATIENCE = 3600  # seconds


@click.group()
def act() -> None:
    """See what was ordered of the contracts and how far it is; accept or cancel what waits there.

    \b
    A quick act is one call by the key that holds the power, as is the cancellation of a slow one:
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
@click.option("--case", type=CASE, help="Only what was ordered under this case.")
@answers
def list_(session: Session, case: str | None) -> None:
    """List all acts: what each does, how far it is, and when it is ready."""
    with session.issuer.store.read() as connection:
        found = [row for row in powers.every(connection) if case in (None, row["case"])]
    empty = "No act was ever ordered." if case is None else f"No act was ordered under case {case}."
    answer.rows(found, _COLUMNS, empty=empty, as_json=session.as_json)


@act.command()
@click.argument("case", type=CASE)
@click.option("--seconds", type=WHOLE, default=_PATIENCE, show_default=True, help="How long at most.")
@answers
def wait(session: Session, case: str, seconds: int) -> None:
    """Wait until all that was ordered under a case is done; an error if something of it will not be done."""
    ends = time.monotonic() + seconds
    while not _is_done(found := _under(session, case)):
        if time.monotonic() > ends:
            raise Refused(f"not all of case {case} is done after {seconds} seconds", "See `issuer act list`.")
        time.sleep(_POLL)
    answer.rows(found, _COLUMNS, empty="", as_json=session.as_json)


def _under(session: Session, case: str) -> list[dict[str, Any]]:
    with session.issuer.store.read() as connection:
        found = [row for row in powers.every(connection) if row["case"] == case]
    if not found:
        raise NotFound(f"nothing was ordered under case {case}", "See `issuer act list`.")
    return found


def _is_done(found: Sequence[Mapping[str, Any]]) -> bool:
    """Raises Refused if one of them has come to nothing, and was not ordered anew."""
    newest = {json.dumps([row["contract"], row["function"], row["arguments"]], sort_keys=True): row for row in found}
    for row in newest.values():
        if row["state"] in ("refused", "failed", "cancelled"):
            raise Refused(
                f"{row['function']} is {row['state']}: {row['reason'] or 'by the guardian'}", "Order it anew."
            )
    return all(row["state"] in ("final", "accepted") for row in newest.values())


@act.command()
@click.argument("act_id", type=HASH, metavar="ACT")
@answers
def show(session: Session, act_id: str) -> None:
    """Show one slow act, with the calls that propose, accept and cancel it, for another signer such as a multisig.

    The authority lets only the `caller`, who has scheduled an act, execute it.
    """
    with session.issuer.store.read() as connection:
        row = powers.get(connection, act_id)
        shown = next(item for item in powers.every(connection) if item["act_id"] == act_id)
    contract, data = row["contract"], row["act"]
    parts = session.issuer.speaking
    accepts, cancels = TOKEN.call("accept", data), TOKEN.call("cancel", act_id)
    if contract == "authority":
        accepts = AUTHORITY.call("execute", parts.authority, data)
        cancels = AUTHORITY.call("cancel", row["caller"] or parts.keys["admin"], parts.authority, data)
    calls = {"propose": proposal(session, contract, data), "accept": accepts, "cancel": cancels}
    answer.record(shown | {"to": parts.address(contract), **calls}, as_json=session.as_json)


@act.command()
@click.argument("act_id", type=HASH, metavar="ACT")
@cases
def accept(session: Session, act_id: str, case: str) -> None:
    """Accept an act whose delay is over: one that somebody else has proposed, or one that has failed before."""
    body, admin = {"act_id": act_id, "case": case}, session.issuer.speaking.keys["admin"]
    session.ask("act.accept", body, lambda unit: powers.take_up(unit, **body, admin=admin))


@act.command()
@click.argument("act_id", type=HASH, metavar="ACT")
@cases
def cancel(session: Session, act_id: str, case: str) -> None:
    """Cancel an act that waits, by the guardian's key."""
    body = {"act_id": act_id, "case": case}
    session.ask("act.cancel", body, lambda unit: powers.cancel(unit, **body))
