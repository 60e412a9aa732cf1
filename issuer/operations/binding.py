"""What this database is bound to for ever: one chain, one token. The token's minter, feed and attestors may change."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, insert, select, update

from issuer import audit
from issuer.errors import Conflict, Misconfigured
from issuer.store import turn
from issuer.store.facts import Fact
from issuer.store.inserts import insert_new
from issuer.store.tables import setting
from issuer.store.unit import Unit

_NAME = turn.ROW
_SIGNERS = "signers:"
"""Before a feed's address: its attestors and their quorum."""


@dataclass(frozen=True, kw_only=True)
class Binding:
    chain_id: int
    genesis: str  # hash of block 0
    token: str
    feed: str
    minter: str
    attestors: tuple[str, ...]
    quorum: int


def bind(unit: Unit, binding: Binding) -> None:
    """Bind the database, or find it bound to the same. Raises Conflict if it is bound to another chain or token."""
    known = find(unit.connection)
    if known is None:
        unit.connection.execute(insert(setting).values(name=_NAME, value=json.dumps(asdict(binding))))
        audit.append(unit, "issuer.bound", f"token:{binding.token}", after=asdict(binding))
    elif (known.genesis, known.token) != (binding.genesis, binding.token):
        raise Conflict(
            f"this home belongs to token {known.token} on the chain with genesis {known.genesis}",
            "Use another home for another chain.",
        )


def follow(unit: Unit, fact: Fact) -> None:
    """Another minter or feed is the token's, or a feed's attestors or quorum have changed, finally.

    A feed's signers are kept from its first event on, before it is the token's.
    """
    told, bound = fact.payload, get(unit.connection)
    if told["event"] == "MinterSet":
        _write(unit, _NAME, asdict(replace(bound, minter=told["next"])))
        return
    feed = told["next"] if told["event"] == "FeedSet" else told["address"]
    signers = _changed(_signers(unit.connection, feed), told)
    _write(unit, _SIGNERS + feed, signers)
    if signers["attestors"] and (told["event"] == "FeedSet" or feed == bound.feed):
        quorum = signers["quorum"] or bound.quorum
        now = replace(bound, feed=feed, attestors=tuple(signers["attestors"]), quorum=quorum)
        _write(unit, _NAME, asdict(now))


def get(connection: Connection) -> Binding:
    """Raises Misconfigured before the first deployment."""
    found = find(connection)
    if found is None:
        raise Misconfigured("no contracts are deployed for this home yet", "Run `issuer deploy`.")
    return found


def find(connection: Connection) -> Binding | None:
    text = connection.execute(select(setting.c.value).where(setting.c.name == _NAME)).scalar()
    if text is None:
        return None
    fields = json.loads(text)
    return Binding(**{**fields, "attestors": tuple(fields["attestors"])})


def _signers(connection: Connection, feed: str) -> dict[str, Any]:
    text = connection.execute(select(setting.c.value).where(setting.c.name == _SIGNERS + feed)).scalar()
    return {"attestors": [], "quorum": 0} if text is None else dict(json.loads(text))


def _changed(signers: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    attestors, quorum = [one for one in signers["attestors"] if one != told.get("attestor")], signers["quorum"]
    if told["event"] == "AttestorAdded":
        attestors.append(told["attestor"])
    return {"attestors": attestors, "quorum": told.get("quorum", quorum)}


def _write(unit: Unit, name: str, value: dict[str, Any]) -> None:
    text = json.dumps(value)
    unit.connection.execute(insert_new(unit.connection, setting).values(name=name, value=text))
    unit.connection.execute(update(setting).where(setting.c.name == name).values(value=text))
