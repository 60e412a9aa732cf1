"""`issuer move` and `issuer upgrade`: another place for the database, and another version of its tables."""

import click

from issuer import files
from issuer.cli import answer
from issuer.cli.parameters import answers
from issuer.cli.session import Session
from issuer.errors import InvalidInput, Misconfigured, Refused
from issuer.settings import set_outside, with_setting
from issuer.store import backup, schema
from issuer.store import move as house
from issuer.store.unit import Store

_VARIABLE = "DATABASE_URL"


@click.command()
@click.argument("url")
@answers
def move(session: Session, url: str) -> None:
    """Move the database from the file in the home to the empty PostgreSQL database at URL.

    End `issuer run` first. All rows are copied, or none. From then on the old file takes no more writes, since a
    service that ran on it would be a second issuer with the same keys; the home's settings name the new database. What
    was cut short is finished by the same command.
    """
    if not url.startswith("postgresql://"):
        raise InvalidInput("that is no address of a PostgreSQL database", "Give postgresql://user@host/name.")
    if set_outside(_VARIABLE):
        raise Misconfigured(f"{_VARIABLE} is set outside the home", "Unset it: the home is to remember the new one.")
    issuer = session.issuer
    old, memory = issuer.settings.database_url, issuer.home.memory
    if old == url:
        raise Refused("the home's database is there already", "Nothing is left to do; the old file may be deleted.")
    backup.require_idle(old)
    source, target = Store(old, issuer.clock), Store(url, issuer.clock)
    try:
        rows = house.copy(source, target)
    finally:
        source.close()
        target.close()
    files.replace(memory, with_setting(memory.read_text(), _VARIABLE, url).encode(), mode=0o600)
    answer.record({"rows": sum(rows.values()), "left": str(backup.path_of(old))}, as_json=session.as_json)


@click.command()
@answers
def upgrade(session: Session) -> None:
    """Bring the database's tables to the version of this program; end every other process first.

    It is done in one transaction. A database that has the version already is left as it is.
    """
    issuer = session.issuer
    store = Store(issuer.settings.database_url, issuer.clock)
    try:
        store.migrate()
        with store.read() as connection:
            answer.record({"schema": schema.version(connection)}, as_json=session.as_json)
    finally:
        store.close()
