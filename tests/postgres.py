"""A PostgreSQL server of a test's own, on a loopback port: it can be killed, started again, followed and promoted."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from pgserver._commands import POSTGRES_BIN_PATH
from pgserver.utils import ensure_folder_permissions, ensure_prefix_permissions, ensure_user_exists

from tests.anvil import free_port

_PATIENCE = 60  # seconds
_STANDBY = "standby"

# What a test does not look at may cost little; what it looks at (fsync, full_page_writes) stays as it is.
_OPTIONS = ("-c", "shared_buffers=16MB", "-c", "max_connections=40", "-c", "unix_socket_directories=")


class Server:
    """One server and its data."""

    def __init__(self) -> None:
        # Not in pytest's own folder, which is closed to others, and PostgreSQL does not run as root.
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self.data = self._folder / "data"
        self.port = free_port()
        self._options: tuple[str, ...] = _OPTIONS
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def create(cls, *options: str) -> "Server":
        """An empty server, running."""
        made = cls()
        made._own()
        made._run(
            "initdb", "--auth=trust", "--encoding=utf8", "--no-sync", "--username=postgres", f"--pgdata={made.data}"
        )
        made._options += tuple(word for option in options for word in ("-c", option))
        made.start()
        return made

    def follow(self, primary: "Server") -> None:
        """Become the streaming standby of another server, as a copy of it, and run."""
        self._own()
        copy = f"host=127.0.0.1 port={primary.port} user=postgres application_name={_STANDBY}"
        self._run("pg_basebackup", f"--pgdata={self.data}", f"--dbname={copy}", "--write-recovery-conf", "--no-sync",
                  "--checkpoint=fast")  # fmt: skip
        self.start()

    def require_standby(self) -> None:
        """Acknowledge a commit only when the standby has it on disk as well."""
        self.ask(f"ALTER SYSTEM SET synchronous_standby_names = '{_STANDBY}'")
        self.ask("SELECT pg_reload_conf()")
        _wait(lambda: self.ask("SELECT sync_state FROM pg_stat_replication") == "sync")

    def promote(self) -> None:
        """Let a standby become the primary. It requires no standby of its own."""
        self.ask("ALTER SYSTEM SET synchronous_standby_names = ''")
        self.ask("SELECT pg_promote()")
        _wait(lambda: self.ask("SELECT pg_is_in_recovery()") is False)

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def ask(self, query: str) -> object:
        """The first value of an answer, if there is one."""
        with psycopg.connect(self.url(), autocommit=True, connect_timeout=5) as connection:
            answer = connection.execute(query.encode())
            row = answer.fetchone() if answer.description else None
        return None if row is None else row[0]

    def start(self) -> None:
        command = [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(self.data), "-h", "127.0.0.1", "-p", str(self.port)]
        ends = time.monotonic() + _PATIENCE
        while True:
            with (self._folder / "log").open("ab") as output:
                self._process = subprocess.Popen(
                    [*command, *self._options], stdout=output, stderr=output, user=_user(), start_new_session=True
                )
            while self._process.poll() is None:
                try:
                    self.ask("SELECT 1")
                except psycopg.Error:
                    time.sleep(0.05)
                else:
                    return
            # The processes of a killed server hold its memory until they have seen that it is gone.
            assert time.monotonic() < ends, f"{self.data} does not start"
            time.sleep(0.2)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it, and its data with it."""
        self._end(signal.SIGINT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait()

    def _own(self) -> None:
        """A folder that the server's user may use."""
        self.data.mkdir(mode=0o700)
        user = _user()
        if user is not None:
            ensure_user_exists(user)
            self._folder.chmod(0o755)
            ensure_prefix_permissions(POSTGRES_BIN_PATH)
            ensure_folder_permissions(POSTGRES_BIN_PATH, 0o055)
            os.chown(self.data, pwd.getpwnam(user).pw_uid, -1)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([POSTGRES_BIN_PATH / program, *arguments], check=True, capture_output=True, user=_user())


@contextmanager
def running(*options: str) -> Iterator[Server]:
    """A server that ends with the block."""
    server = Server.create(*options)
    try:
        yield server
    finally:
        server.stop()


def _user() -> str | None:
    return "pgserver" if os.geteuid() == 0 else None


def _wait(reached: Callable[[], bool]) -> None:
    ends = time.monotonic() + _PATIENCE
    while not reached():
        assert time.monotonic() < ends, "the server does not become what it should"
        time.sleep(0.05)
