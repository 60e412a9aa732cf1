"""Our programs from a process that has read its modules already, so that a document's hundred commands read them once.

What the shell finds under a program's name hands arguments, folder, environment and open files to that process, which
forks; the fork carries the command out as the installed program does, from its `main` on. A program that stays, such
as `issuer run`, is the installed one itself.
"""

import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.anvil import ROOT

PROGRAMS = {"issuer": "issuer.cli", "mockbank": "issuer.mockbank.cli"}
_LARGEST = 1 << 17  # bytes of a command with its environment

_COMMAND = """#!{python} -SEs
import json, os, socket, sys
words = sys.argv[1:]
if {{"run", "chain"}} & set(words):
    os.execv({installed!r}, [{installed!r}, *words])
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
    door.connect({door!r})
    asked = [{name!r}, words, os.getcwd(), dict(os.environ)]
    socket.send_fds(door, [json.dumps(asked).encode()], [0, 1, 2])
    sys.exit(int(door.recv(8) or 1))
"""


@contextmanager
def programs() -> Iterator[Path]:
    """A folder for a PATH, with our programs in it."""
    with TemporaryDirectory(prefix="programs-") as folder:
        yield from _programs(Path(folder))


def _programs(folder: Path) -> Iterator[Path]:
    door = folder / "door"
    for name in PROGRAMS:
        installed = str(Path(sys.executable).with_name(name))
        command = _COMMAND.format(python=sys.executable, installed=installed, door=str(door), name=name)
        (folder / name).write_text(command)
        (folder / name).chmod(0o700)
    server = subprocess.Popen([sys.executable, "-m", "tests.warm", door], cwd=ROOT, stdout=subprocess.PIPE)
    assert server.stdout
    with server.stdout:
        server.stdout.readline()  # it listens
    try:
        yield folder
    finally:
        server.kill()
        server.wait()


def _listen(door: str) -> None:
    for module in PROGRAMS.values():
        package = import_module(module)
        for found in pkgutil.iter_modules(getattr(package, "__path__", ())):
            import_module(f"{module}.{found.name}")
    for module in ("web3", "eth_account", "xsdata.formats.dataclass.parsers", "xsdata.formats.dataclass.serializers"):
        import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a fork
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(door)
        listening.listen()
        print("ready", flush=True)
        while True:
            asked, _ = listening.accept()
            with asked:
                message, files, *_ = socket.recv_fds(asked, _LARGEST, 3)
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    listening.close()
                    name, words, folder, environment = json.loads(message)
                    asked.send(b"%d" % _carry_out(name, words, folder, environment, files))
                    os._exit(0)
                for file in files:
                    os.close(file)


def _carry_out(name: str, words: list[str], folder: str, environment: dict[str, str], files: list[int]) -> int:
    """One command, in a process of its own; its exit status."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [name, *words]
    try:
        import_module(PROGRAMS[name]).main()
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    _listen(sys.argv[1])
