"""`issuer run` and `issuer step`: the service."""

from collections import Counter

import click

from issuer.audit import trail
from issuer.cli import answer
from issuer.cli.ending import Ending
from issuer.cli.home import Issuer
from issuer.cli.parameters import answers
from issuer.cli.session import Session
from issuer.clock import utc
from issuer.errors import BrokenInvariant, IssuerError, Misconfigured
from issuer.pace import Pace
from issuer.service import Role, Service

_PATIENCE = 2.0  # seconds after a step that could not be done
_SHOWN = 1000  # records of one step that are looked at
_ROLES = click.Choice([role.value for role in Role])


@click.command()
@answers
def step(session: Session) -> None:
    """Bring in what bank and chain say, move what can move, send what is due: once.

    Any number of steps may be run, also while `issuer run` runs: nothing is done twice.
    """
    issuer = session.issuer
    last = _last_record(issuer)
    done = issuer.service.step()
    answer.record({"done": done, "records": dict(_recorded(issuer, last))}, as_json=session.as_json)


@click.command()
@click.option(
    "--role", type=_ROLES, default=Role.ALL.value, show_default=True, help="What this process does of a step."
)
def run(role: str) -> None:
    """Run the service: step after step, until SIGINT or SIGTERM.

    On PostgreSQL several may run at once, on one machine or on many: with all roles, or each with one of them.

    Prints a line for every step that did something, with the records it wrote. While the node, the database or the
    bank folder does not answer, it says so once and goes on trying.
    """
    session: Session = click.get_current_context().obj
    issuer = session.issuer
    ending, pace = Ending(), Pace()
    service: Service | None = None
    trouble = ""
    while not ending.asked:
        try:
            service = service or _open(issuer, Role(role))
            last = _last_record(issuer)
            done = service.step()
            written = _recorded(issuer, last) if done else Counter()
        except (BrokenInvariant, Misconfigured):
            raise
        except IssuerError as error:
            if str(error) != trouble:
                _say(issuer, f"waits: {error}")
            trouble = str(error)
            ending.wait(_PATIENCE)
            continue
        trouble = ""
        if done:
            told = ", ".join(f"{action} x{count}" for action, count in written.items())
            _say(issuer, f"{done} done{': ' if told else ''}{told}")
        ending.wait(pace.after(done))
    _say(issuer, "the service has ended")


def _open(issuer: Issuer, role: Role) -> Service:
    service = issuer.service_for(role)
    _say(issuer, f"the service runs for token {issuer.deployment.token} on chain {issuer.deployment.chain_id}")
    return service


def _say(issuer: Issuer, text: str) -> None:
    click.echo(f"{utc(issuer.clock.now())} {text}")


def _last_record(issuer: Issuer) -> int:
    with issuer.store.read() as connection:
        return trail.last(connection)


def _recorded(issuer: Issuer, last: int) -> Counter[str]:
    """The actions recorded after a record, counted; by others who act meanwhile as well."""
    with issuer.store.read() as connection:
        found = trail.latest(connection, _SHOWN, after=last)
    return Counter(entry.record.action for entry in reversed(found))
