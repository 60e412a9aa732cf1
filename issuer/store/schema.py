"""The schema's version: brought up by Alembic, checked at every start."""

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from issuer.errors import Misconfigured

VERSIONS = ("0001",)
"""All versions that the tables have had, the last one being this program's: the migrations' own, by a test."""

_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(engine: Engine) -> None:
    """Run every migration that the database has not had, in one transaction."""
    # Only this needs Alembic, which takes longer to import than most commands take.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def version(connection: Connection) -> str | None:
    """The version that the database has; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def check(connection: Connection) -> None:
    """Raise Misconfigured unless the database has exactly this version's schema."""
    found, wanted = version(connection), VERSIONS[-1]
    if found == wanted:
        return
    remedy = (
        "End every process of this home, then run `issuer upgrade`."
        if found is None or found in VERSIONS
        else "Run the version of the program that made this database."
    )
    raise Misconfigured(f"the database has schema {found or 'none'}, this program needs {wanted}", remedy)
