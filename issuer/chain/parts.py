"""Which contracts speak now: those deployed, and those that a slow act of the token has put in their place since.

What is deployed is the home's record, and never changes. What has replaced a minter or a feed is read from the chain,
and kept in the database with the blocks that tell it.
"""

import json
from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import Connection, select

from issuer.chain.deployment import Deployment
from issuer.store.facts import News
from issuer.store.inserts import insert_new
from issuer.store.tables import setting
from issuer.store.unit import Unit

REPLACEABLE = ("minter", "feed")
"""The parts of the token that a slow act replaces; also the kinds of the facts that tell it."""

_NAME = "parts"
_KEPT = select(setting.c.value).where(setting.c.name == _NAME)


def current(connection: Connection, deployment: Deployment) -> Deployment:
    """The deployment with the parts that the token names now; the former ones still speak."""
    text = connection.execute(_KEPT).scalar()
    return deployment if text is None else replace(deployment, **json.loads(text))


def after(deployment: Deployment, news: Iterable[News]) -> Deployment:
    """The deployment as these facts leave it."""
    for item in news:
        if item.kind in REPLACEABLE:
            former = deployment.former | {deployment.address(item.kind): item.kind}
            deployment = replace(deployment, **{item.kind: item.payload["next"], "former": former})
    return deployment


def keep(unit: Unit, deployment: Deployment) -> None:
    """Let `current` answer this from now on."""
    kept = {"minter": deployment.minter, "feed": deployment.feed, "former": deployment.former}
    text = json.dumps(kept, sort_keys=True)
    unit.connection.execute(insert_new(unit.connection, setting).values(name=_NAME, value=text))
    unit.connection.execute(setting.update().where(setting.c.name == _NAME).values(value=text))
