"""`issuer key`: the keys of the home."""

from collections.abc import Callable
from typing import Any

import click

from issuer import audit
from issuer.chain import outcomes, transactions
from issuer.chain.keystore import Job
from issuer.cli import answer
from issuer.cli.parameters import answers, asks
from issuer.cli.session import Session
from issuer.errors import Refused
from issuer.store.unit import Unit

_NAMES = click.Choice([job.value for job in Job if job is not Job.DEPLOYER])


@click.group()
def key() -> None:
    """See the home's keys, each with its one job, and let one that was halted sign again.

    A key halts by itself when somebody else has used it: it may be stolen, or a second service may run with it.
    """


@key.command(name="list")
@answers
def list_(session: Session) -> None:
    """List the keys: addresses, how many transactions each has signed, who sends with it, and why one is halted."""
    issuer = session.issuer
    with issuer.store.read() as connection:
        known = {item.role: item for item in transactions.keys(connection)}
        holders = transactions.holders(connection)
    found = [
        {
            "job": job,
            "address": address,
            "next_nonce": known[job].next_nonce if job in known else None,
            "holder": holders.get(job.duty),
            "halted": known[job].halted if job in known else None,
        }
        for job, address in issuer.addresses.addresses().items()
    ]
    answer.rows(found, ("job", "address", "next_nonce", "holder", "halted"), empty="", as_json=session.as_json)


@key.command()
@click.argument("job", type=_NAMES)
@asks
def resume(session: Session, job: str) -> None:
    """Let a halted key sign again, after you have found out who used it."""

    def prepare() -> Callable[[Unit], dict[str, Any]]:
        issuer = session.issuer
        address = issuer.addresses.address(job)
        nonce = outcomes.final_nonce(issuer.store, issuer.node, address)
        return lambda unit: _resume(unit, job, address, nonce)

    session.ask_prepared("key.resume", {"job": job}, prepare)


def _resume(unit: Unit, job: str, address: str, nonce: int) -> dict[str, Any]:
    found = transactions.key(unit.connection, Job(job))
    if found is None or found.halted is None:
        raise Refused(f"the {job} key is not halted", "See `issuer key list`.")
    transactions.resume(unit, address=address, nonce=nonce)
    audit.append(unit, "key.resumed", f"key:{address}", before={"halted": found.halted})
    return {"job": job, "address": address, "next_nonce": max(found.next_nonce, nonce)}
