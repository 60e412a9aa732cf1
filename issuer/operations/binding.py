"""What this database is bound to for ever: one chain, one token."""

import json
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, insert, select

from issuer import audit
from issuer.errors import Conflict, Misconfigured
from issuer.store.tables import setting
from issuer.store.unit import Unit

_NAME = "binding"


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
