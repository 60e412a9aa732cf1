"""docs/operations.md as a newcomer follows it: every command, in its order, in one shell."""

import os
import pwd
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pgserver._commands import POSTGRES_BIN_PATH
from pgserver.utils import ensure_folder_permissions, ensure_prefix_permissions, ensure_user_exists

from tests import document
from tests.anvil import ROOT, free_port

# PostgreSQL's own programs do not run as root: where the test does, they are run by another user.
AS_SERVER = """
for program in initdb pg_ctl pg_basebackup; do
  eval "$program() { (cd / && setpriv --reuid=pgserver --clear-groups $BIN/$program \\"\\$@\\"); }"
done
"""


@pytest.fixture
def servers() -> Iterator[Path]:
    """A folder in which two servers may keep their data, and where they are ended."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    if os.geteuid() == 0:
        ensure_user_exists("pgserver")
        ensure_prefix_permissions(POSTGRES_BIN_PATH)
        ensure_folder_permissions(POSTGRES_BIN_PATH, 0o055)
        os.chown(folder, pwd.getpwnam("pgserver").pw_uid, -1)
    yield folder
    for file in folder.glob("*/postmaster.pid"):
        with suppress(ProcessLookupError, ValueError):
            os.kill(int(file.read_text().split()[0]), signal.SIGQUIT)
    shutil.rmtree(folder, ignore_errors=True)


def test_the_document_works_as_written(tmp_path: Path, servers: Path) -> None:
    functions = AS_SERVER if os.geteuid() == 0 else ""
    commands = "".join(document.blocks("operations.md"))
    script = f"{document.END_WHAT_WAS_STARTED}{functions}{commands}\nissuer status --json > status.json\n"
    passphrases = dict.fromkeys(("ISSUER_PASSPHRASE", "MOCKBANK_PASSPHRASE", "AUDITOR_PASSPHRASE"), "only for tests")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{POSTGRES_BIN_PATH}:{os.environ['PATH']}",
        "BIN": str(POSTGRES_BIN_PATH),
        "RPC_URL": f"http://127.0.0.1:{free_port()}",
        "ISSUER_OPERATOR": "ann",
        "PRIMARY": str(servers / "primary"),
        "STANDBY": str(servers / "standby"),
        "PRIMARY_PORT": str(free_port()),
        "STANDBY_PORT": str(free_port()),
        "PYTHONPATH": str(ROOT),
        **passphrases,
    }
    document.carry_out(script, tmp_path, environment)
    assert '"locks": []' in (tmp_path / "status.json").read_text()
