"""docs/operations.md as a newcomer follows it: every command, in its order, in one shell."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pgserver._commands import POSTGRES_BIN_PATH
from pgserver.utils import ensure_folder_permissions, ensure_prefix_permissions, ensure_user_exists

from tests.anvil import ROOT, free_port

DOCUMENT = ROOT / "docs" / "operations.md"
PATIENCE = 900  # seconds, for a machine that does much else

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


def commands() -> str:
    return "".join(re.findall(r"^```sh\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE))


def test_the_document_works_as_written(tmp_path: Path, servers: Path) -> None:
    functions = AS_SERVER if os.geteuid() == 0 else ""
    script = f"set -e\ntrap 'kill $(jobs -p); wait' EXIT\n{functions}{commands()}\nissuer status --json > status.json\n"
    passphrases = dict.fromkeys(("ISSUER_PASSPHRASE", "MOCKBANK_PASSPHRASE", "AUDITOR_PASSPHRASE"), "only for tests")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{POSTGRES_BIN_PATH}:{os.environ['PATH']}",
        "BIN": str(POSTGRES_BIN_PATH),
        "HOME": str(tmp_path),
        "RPC_URL": f"http://127.0.0.1:{free_port()}",
        "ISSUER_OPERATOR": "ann",
        "PRIMARY": str(servers / "primary"),
        "STANDBY": str(servers / "standby"),
        "PRIMARY_PORT": str(free_port()),
        "STANDBY_PORT": str(free_port()),
        "PYTHONPATH": str(ROOT),
        **passphrases,
    }
    shell = subprocess.Popen(
        ["bash", "-c", script], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = shell.communicate(timeout=PATIENCE)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)
    assert shell.returncode == 0, output[-6000:]
    assert '"locks": []' in (tmp_path / "status.json").read_text()
