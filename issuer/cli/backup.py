"""`issuer backup`, `issuer restore`, `issuer recovery`: a copy of the database, and its way back into the world."""

from pathlib import Path
from typing import Any

import click

from issuer import recovery as catching_up
from issuer.audit import trail
from issuer.cli import answer
from issuer.cli.parameters import CASE, NUMBER, TEXT, answers
from issuer.cli.session import Session
from issuer.clock import utc
from issuer.errors import IssuerError, Refused
from issuer.operations import binding
from issuer.operations.replay import Replay
from issuer.store import backup as copies
from issuer.store import recovery as state
from issuer.store.unit import Store

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=_FILE)
@answers
def backup(session: Session, file: Path) -> None:
    """Write a copy of the database to FILE, while the service may run.

    It holds personal data, and neither keys nor the log: keep the home's keys, and a copy of its log folder, apart.
    For PostgreSQL use its own means, pg_dump or base backups.
    """
    issuer = session.issuer
    with issuer.store.read() as connection:
        bound = binding.get(connection)
    now = issuer.clock.now()
    copies.save(issuer.settings.database_url, file, now)
    answer.record({"file": str(file), "at": now, "token": bound.token}, as_json=session.as_json)


@click.command()
@click.argument("file", type=_FILE, required=False)
@answers
def restore(session: Session, file: Path | None) -> None:
    """Put the copy in FILE in the database's place; it opens in recovery.

    End `issuer run` first. The database that was there is kept beside it. In recovery nothing leaves until the log
    folder, the bank's folder and the chain have given back what the copy does not know: see `issuer status`.
    Without FILE, the database that is there (brought back by PostgreSQL's own means) begins its recovery.
    """
    issuer = session.issuer
    now = issuer.clock.now()
    if file is None:
        with issuer.store.read() as connection:
            known_until = max((entry.record.at for entry in trail.latest(connection, 1)), default=0)
        with issuer.store.unit("begin recovery", session.caller) as unit:
            catching_up.begin(unit, "its database was brought back", known_until)
        answer.record({"recovery": True, "known_until": utc(known_until)}, as_json=session.as_json)
        return
    known_until = copies.saved_at(file)
    url = issuer.settings.database_url
    ready = copies.prepare(url, file)
    store = Store(f"sqlite:///{ready}", issuer.clock)
    try:
        store.check()
        with store.unit("begin recovery", session.caller) as unit:
            _require_same(session, binding.get(unit.connection))
            catching_up.begin(unit, f"it was restored from the backup of {utc(known_until)}", known_until)
        store.close()
        kept = copies.put_in_place(url, ready, now)
    except IssuerError:
        ready.unlink(missing_ok=True)
        raise
    finally:
        store.close()
    shown = {"recovery": True, "known_until": utc(known_until), "replaced": None if kept is None else str(kept)}
    answer.record(shown, as_json=session.as_json)


@click.group()
def recovery() -> None:
    """See what a restored database still lacks, and give it what only a person knows."""


@recovery.command()
@answers
def show(session: Session) -> None:
    """Show what recovery waits for; the service must run to bring it in."""
    with session.issuer.store.read() as connection:
        found, behind = state.find(connection), state.behind(connection)
    if found is None:
        answer.record({"recovery": False}, as_json=session.as_json)
        return
    shown: dict[str, Any] = {"recovery": True, "cause": found.cause, "since": utc(found.since)}
    shown |= {"known_until": utc(found.known_until), "records_to_apply": behind}
    if session.as_json:
        answer.echo_json(shown | {"waits": found.waits})
        return
    answer.record(shown, as_json=False)
    answer.rows(found.waits, ("why", "do"), empty="The service has not looked yet: issuer run", as_json=False)


@recovery.command()
@click.argument("name", type=TEXT)
@click.argument("account", type=TEXT)
@answers
def enter(session: Session, name: str, account: str) -> None:
    """Enter the NAME and the bank ACCOUNT again that the backup does not have, of the customer whom recovery waits for.

    The log has only commitments to them. What the bank says later must fit what you enter.
    """
    made = _replay(session).enter(name=name, account=account, actor=session.caller)
    answer.record(made, as_json=session.as_json)


@recovery.command(name="leave-out")
@click.argument("place", type=NUMBER)
@click.option("--case", type=CASE, required=True, help="Under which this was decided.")
@answers
def leave_out(session: Session, place: int, case: str) -> None:
    """Go on without the effect of the record at PLACE, if it can never be applied again.

    Minting and payouts stay locked until books and orders say by hand what the record says.
    """
    answer.record(_replay(session).leave_out(place, case=case, actor=session.caller), as_json=session.as_json)


def _replay(session: Session) -> Replay:
    issuer = session.issuer
    return Replay(issuer.store, issuer.policy)


def _require_same(session: Session, bound: binding.Binding) -> None:
    made = session.issuer.deployment
    if (bound.genesis, bound.token) != (made.genesis, made.token):
        raise Refused(f"the backup is of token {bound.token} on another chain", "Give a backup of this home.")
