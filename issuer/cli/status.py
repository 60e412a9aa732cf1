"""`issuer status`: how things stand, and what waits."""

import os
from dataclasses import asdict
from typing import Any

import click
from sqlalchemy import Connection

from issuer.cli import answer
from issuer.cli.home import Issuer
from issuer.cli.parameters import answers
from issuer.cli.session import Session
from issuer.clock import utc
from issuer.money import format_units
from issuer.operations import binding, deposits, locks, mints, payouts, powers, redemptions, wallets
from issuer.reports import status as report
from issuer.reports.status import Position, Wait

_STALE = 60
"""Seconds after which the newest final block is worth a word: nobody seems to read the chain."""


@click.command()
@answers
def status(session: Session) -> None:
    """Show how the coin stands, what waits for what, and what a person can do about it.

    Supply, redemptions and reserve are those of the final block that the books stand at, and of the last reserve
    report that is final on chain. Coverage is the reserve over supply and unpaid redemptions, rounded down.
    """
    issuer = session.issuer
    with issuer.store.read() as connection:
        bound = binding.get(connection)
        position = report.position(connection)
        waits = _waits(issuer, connection)
        locked = [*report.recovery(connection), *locks.live(connection)]
    shown = {"chain_id": bound.chain_id, "genesis": bound.genesis, "token": bound.token, **_figures(position)}
    if session.as_json:
        lists = {"locks": [answer.present(row) for row in locked], "waits": [answer.present(asdict(w)) for w in waits]}
        answer.echo_json(shown | lists)
        return
    answer.record(shown, as_json=False)
    _show_locks(locked)
    _show_waits(waits)
    _show_age(issuer, position)


def _waits(issuer: Issuer, connection: Connection) -> list[Wait]:
    now = issuer.clock.now()
    return [
        *report.deposits(deposits.every(connection)),
        *report.orders(mints.every(connection)),
        *report.redemptions(redemptions.every(connection), now),
        *report.payouts(asdict(item) for item in payouts.every(connection)),
        *report.acts(powers.every(connection)),
        *report.wallets(wallets.refused(connection)),
        *report.doors(connection, now),
    ]


def _figures(position: Position) -> dict[str, Any]:
    return {
        "supply": format_units(position.supply),
        "redemptions_unpaid": format_units(position.redemptions_unpaid),
        "report": position.report,
        "report_as_of": None if position.as_of is None else utc(position.as_of),
        "reserve": format_units(position.reserve),
        "coverage": position.coverage,
        "in_flight": format_units(position.in_flight),
        "final_block": position.final_block,
        "head_block": position.head,
    }


def _show_locks(locked: list[dict[str, Any]]) -> None:
    for row in locked:
        _say(f"LOCKED {row['scope']} since {utc(row['since'])}: {row['reason']}")
        _say(f"  {row['remedy']}" + (f" Then: issuer lock clear {row['id']}" if row["id"] else ""))


def _show_waits(waits: list[Wait]) -> None:
    if not waits:
        click.echo("Nothing waits.")
    for item in waits:
        click.echo(f"{item.what} waits for {item.why}, since {utc(item.since)}")
        if item.do:
            click.echo(f"  {item.do}")


def _show_age(issuer: Issuer, position: Position) -> None:
    if position.final_time is None:
        _say("The chain has not been read yet: issuer run")
    elif issuer.clock.now() - position.final_time > _STALE:
        _say(f"The newest final block is of {utc(position.final_time)}: do the node and `issuer run` run?")


def _say(text: str) -> None:
    click.secho(text, fg=None if os.environ.get("NO_COLOR") else answer.ATTENTION)
