"""`issuer init`, `issuer deploy`: what is done before the service runs."""

import time

import click

from issuer.chain.deployer import Item, State
from issuer.cli import answer, home
from issuer.cli.layout import Home
from issuer.cli.parameters import answers
from issuer.cli.session import Session, prompt_passphrase
from issuer.errors import Unreachable
from issuer.settings import passphrase

_POLL = 0.3  # seconds between two looks at the chain
_SAID_EVERY = 15  # seconds between two words about what is waited for
_PATIENCE = 900  # seconds


@click.command()
@answers
def init(session: Session) -> None:
    """Make a home under ISSUER_HOME: keys, database, settings.

    Each key is fresh, encrypted under one passphrase, and has one job. The settings that are given now, by the
    environment or .env, are kept in the home (but for secrets). A home that exists is left as it is.
    """
    settings = session.settings
    found = Home(settings.issuer_home)
    made = not found.exists
    if made:
        text = passphrase(settings) or prompt_passphrase(confirm=True)
        home.create_home(settings, text, light=home.is_local_sandbox(settings)).close()
    keys = session.issuer.addresses.addresses()
    log_key = found.log_key.read_text().strip()
    answer.record({"home": str(found.path), "made": made, "log_key": log_key, "keys": keys}, as_json=session.as_json)


@click.command()
@answers
def deploy(session: Session) -> None:
    """Deploy the contracts to the chain behind RPC_URL.

    Says first what exists, what is missing and what differs; then does what is missing, and nothing else. Doing it
    again changes nothing, and after an interruption it goes on. Testnets only.
    """
    issuer = session.issuer
    deployer = issuer.deployer()
    plan = deployer.plan()
    if not session.as_json:
        _show(plan)
    made = deployer.run(_Patience(session).wait)
    issuer.bind(made)
    done = deployer.plan()
    shown = {"chain_id": made.chain_id, "genesis": made.genesis, "delay_seconds": made.delay}
    shown |= {name: made.address(name) for name in ("token", "minter", "feed", "authority")}
    if session.as_json:
        answer.echo_json(shown | {"plan": _rows(plan), "done": _rows(done)})
        return
    answer.record(shown, as_json=False)
    left = [item for item in done if item.state is not State.EXISTS]
    if left:
        click.echo("Not as the settings say, or not in effect yet:")
        _show(left)


class _Patience:
    """Waits for blocks, says so now and then, and gives up in the end."""

    def __init__(self, session: Session) -> None:
        self._quiet = session.as_json
        self._began = time.monotonic()
        self._said = self._began

    def wait(self) -> None:
        """Raises Unreachable when a deployment has waited too long; run again, it goes on."""
        time.sleep(_POLL)
        now = time.monotonic()
        if now - self._began > _PATIENCE:
            raise Unreachable(
                f"the deployment's transactions are not mined after {_PATIENCE} seconds",
                "See whether the chain makes blocks, then run `issuer deploy` again: it goes on where it stopped.",
            )
        if now - self._said > _SAID_EVERY and not self._quiet:
            click.echo(f"waiting for blocks, {now - self._began:.0f} seconds by now", err=True)
            self._said = now


def _show(plan: list[Item]) -> None:
    answer.rows(_rows(plan), ("name", "state", "detail"), empty="", as_json=False)


def _rows(plan: list[Item]) -> list[dict[str, str]]:
    return [{"name": item.name, "state": item.state.value, "detail": item.detail} for item in plan]
