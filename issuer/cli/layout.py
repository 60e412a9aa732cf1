"""Where the parts of a home lie.

issuer.env       settings that the home remembers
issuer.db        the database, if it is SQLite
keys/            encrypted keys
log.vkey         the key that the log's checkpoints are checked with (C2SP signed-note)
log/             the published log
deployment.json  what is deployed
chain/           the state of the local chain
bank-folder/     what goes to and comes from bank and auditor
"""

from dataclasses import dataclass
from pathlib import Path

from issuer.errors import Misconfigured
from issuer.settings import HOME_FILE


@dataclass(frozen=True)
class Home:
    """Where the parts of a home lie."""

    path: Path

    @property
    def memory(self) -> Path:
        return self.path / HOME_FILE

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def log_key(self) -> Path:
        return self.path / "log.vkey"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def chain(self) -> Path:
        return self.path / "chain"

    @property
    def deployment(self) -> Path:
        return self.path / "deployment.json"

    @property
    def exists(self) -> bool:
        """Whether `create` has come to its end: its last act is to write the settings."""
        return self.memory.exists()


def require(path: Path) -> Home:
    """The home there. Raises Misconfigured if there is none."""
    home = Home(path)
    if not home.exists:
        raise Misconfigured(f"there is no home at {path}", "Run `issuer init`, or set ISSUER_HOME.")
    return home
