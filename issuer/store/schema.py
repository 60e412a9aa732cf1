"""The schema's version: brought up by Alembic, checked at every start."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from issuer.errors import Misconfigured

_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(engine: Engine) -> None:
    """Run every migration that the database has not had, in one transaction."""
    config = _config()
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def version(connection: Connection) -> str | None:
    """The version that the database has; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def check(connection: Connection) -> None:
    """Raise Misconfigured unless the database has exactly this version's schema."""
    scripts = ScriptDirectory.from_config(_config())
    found, wanted = version(connection), scripts.get_current_head()
    if found == wanted:
        return
    known = {script.revision for script in scripts.walk_revisions()}
    remedy = (
        "End every process of this home, then run `issuer upgrade`."
        if found is None or found in known
        else "Run the version of the program that made this database."
    )
    raise Misconfigured(f"the database has schema {found or 'none'}, this program needs {wanted}", remedy)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
