"""`issuer attestor`: who signs reserve reports."""

import click

from issuer.cli import answer
from issuer.cli.parameters import ACCOUNT, SMALL, answers, orders
from issuer.cli.power import propose, use
from issuer.cli.session import Session
from issuer.errors import NotFound, Refused
from issuer.messages import folder as documents
from issuer.messages.abi import parse_address
from issuer.messages.contracts import FEED
from issuer.operations import binding

_FILES = {"bank": documents.BANK_KEY, "auditor": documents.AUDITOR_KEY}


@click.group()
def attestor() -> None:
    """See who signs reserve reports, and change it: adding waits, removing is instant.

    ATTESTOR is an address, or `bank` or `auditor` for the key that lies in the bank folder now. To change the auditor's
    key, have the auditor put the new one there, then:

    \b
      issuer attestor list
      issuer attestor replace 0x5290...9EE7 auditor --case key-2026-11
    """


@attestor.command(name="list")
@answers
def list_(session: Session) -> None:
    """Show the attestors, how many of them must sign, and the version of the set, as the chain has them now."""
    issuer = session.issuer
    with issuer.store.read() as connection:
        known = binding.get(connection).attestors
    found = issuer.view("feed", "attestorSet")
    attestors = [address for address in known if issuer.view("feed", "isAttestor", address)["0"]]
    shown = {"feed": issuer.speaking.feed, "quorum": found["quorum"], "of": found["count"], "attestors": attestors}
    answer.record(shown | {"version": found["version"]}, as_json=session.as_json)


@attestor.command()
@click.argument("address", type=ACCOUNT, metavar="ATTESTOR")
@orders
def add(session: Session, address: str, case: str) -> None:
    """Propose another attestor."""
    added = _address(session, address)

    def call() -> str:
        if session.issuer.view("feed", "isAttestor", added)["0"]:
            raise Refused(f"{added} is an attestor already", "See `issuer attestor list`.")
        return FEED.call("addAttestor", _version(session), added)

    propose(session, "attestor.add", {"attestor": added, "case": case}, "feed", call)


@attestor.command()
@click.argument("current", type=ACCOUNT, metavar="ATTESTOR")
@click.argument("following", type=ACCOUNT, metavar="NEW")
@orders
def replace(session: Session, current: str, following: str, case: str) -> None:
    """Propose to put NEW in the place of an attestor, as when a key is rotated. Reports go on meanwhile."""
    old, new = _address(session, current), _address(session, following)

    def call() -> str:
        _require(session, old)
        return FEED.call("replaceAttestor", _version(session), old, new)

    propose(session, "attestor.replace", {"attestor": old, "new": new, "case": case}, "feed", call)


@attestor.command()
@click.argument("address", type=ACCOUNT, metavar="ATTESTOR")
@orders
def remove(session: Session, address: str, case: str) -> None:
    """Remove an attestor at once, as when its key is stolen; refused if too few for the quorum would be left.

    The guardian's key does it in one step. With as many attestors as the quorum, replace it instead, and stop mints
    meanwhile: `issuer stop mint`.
    """
    removed = _address(session, address)
    use(session, "removeAttestor", {"attestor": removed}, case, require=lambda: _require_spare(session, removed))


@attestor.command()
@click.argument("quorum", type=SMALL, metavar="NUMBER")
@orders
def quorum(session: Session, quorum: int, case: str) -> None:
    """Propose how many attestors must sign a report: at least two."""

    def call() -> str:
        found = session.issuer.view("feed", "attestorSet")
        if not 2 <= quorum <= found["count"]:
            what = f"a quorum is 2 to {found['count']}, the number of attestors, not {quorum}"
            raise Refused(what, "Add attestors first, or give another number.")
        return FEED.call("setQuorum", found["version"], quorum)

    propose(session, "attestor.quorum", {"quorum": quorum, "case": case}, "feed", call)


def _address(session: Session, text: str) -> str:
    """An address, or that of the key that bank or auditor have put into the bank folder. Raises NotFound."""
    if text.startswith("0x"):
        return parse_address(text)
    if text not in _FILES:
        raise NotFound(f"{text} is no attestor", "Give an address, or `bank` or `auditor`.")
    folder = session.issuer.bank_folder
    if _FILES[text] not in folder.names(documents.KEYS):
        raise NotFound(f"the {text} has put no key into the bank folder", "Give an address.")
    return documents.read_attestor(folder.read(documents.KEYS, _FILES[text]))


def _version(session: Session) -> int:
    """The version of the set that a slow act changes."""
    version: int = session.issuer.view("feed", "attestorSet")["version"]
    return version


def _require(session: Session, address: str) -> None:
    if not session.issuer.view("feed", "isAttestor", address)["0"]:
        raise Refused(f"{address} is no attestor", "See `issuer attestor list`.")


def _require_spare(session: Session, address: str) -> None:
    _require(session, address)
    found = session.issuer.view("feed", "attestorSet")
    if found["count"] <= found["quorum"]:
        what = f"{found['quorum']} of {found['count']} attestors must sign: none can be spared"
        raise Refused(what, "Replace it: issuer attestor replace. Meanwhile: issuer stop mint.")
