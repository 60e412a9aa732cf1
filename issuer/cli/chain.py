"""`issuer chain`: the local chain of a home."""

from urllib.parse import urlsplit

import click

from issuer.chain import anvil, network
from issuer.chain.anvil import HomeChain
from issuer.chain.compiler import CHECKOUT
from issuer.cli import layout
from issuer.cli.ending import Ending
from issuer.cli.session import Session
from issuer.errors import Misconfigured, Unreachable


@click.command()
def chain() -> None:
    """Run the local chain of this home until it is interrupted.

    An Anvil on the port of RPC_URL, with a block every second; a block is final when two more lie on it. Its state is
    kept in the home, and the same chain goes on when it is run again.
    """
    session: Session = click.get_current_context().obj
    address = session.settings.rpc_url
    if not network.is_loopback(address) or urlsplit(address).scheme != "http":
        raise Misconfigured("RPC_URL is not an address of this machine", "Set it to http://127.0.0.1:8545.")
    home = layout.require(session.settings.issuer_home)
    local = HomeChain(home.chain, anvil.executable(CHECKOUT), urlsplit(address).port or 80)
    ending = Ending()
    running = local.open()
    click.echo(f"The local chain answers at {running.url}. Ctrl-C ends it; its state is kept.")
    try:
        while not ending.asked:
            if running.process.poll() is not None:
                raise Unreachable("Anvil has ended by itself", "Run `issuer chain` again.")
            ending.wait(1)
            local.keep()
    finally:
        running.stop()
        local.keep()
