"""The local chain: Anvil from npm, its state kept in the home and opened again with the same genesis and finality.

Two things that Anvil 1.7 does are mended here. It writes its state file in place, so a kill while it writes leaves half
of one: a copy is kept beside it, replaced only by a state that reads whole. And with every start it adds a genesis
block of its own to the one it loads, in no order, so that a later start takes either: the state is opened with the
first one alone.
"""

import contextlib
import json
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from issuer.errors import Misconfigured, Unreachable
from issuer.files import replace

CHAIN_ID = 31337
BLOCK_TIME = 1  # seconds
SAVE_INTERVAL = 1  # seconds

# An epoch of one slot makes every block final once two more lie on it. Past states are not kept in the file, which
# would grow by 200 KB a second: a reopened chain answers at its finalized block once it has made three blocks.
FINALITY = ("--slots-in-an-epoch", "1")
_REST = 20  # times as long as a copy took, before the next one

FAUCET_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
"""The first account of Foundry's published test mnemonic: rich on every local chain, worthless anywhere else."""

_START_SECONDS = 30
_STOP_SECONDS = 30


class Anvil:
    """One running Anvil process."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        """End it cleanly, so that it writes its state; returns when it has, and kills it if it does not."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class HomeChain:
    """The local chain of one home."""

    def __init__(self, folder: Path, executable: Path, port: int) -> None:
        self._folder = folder
        self._executable = executable
        self._port = port
        self._state = folder / "anvil.json"  # Anvil's own file
        self._copy = folder / "anvil.whole.json"  # the last one that was seen whole
        self._saved = 0  # modification time of the state last copied
        self._next = 0.0  # when another copy may be taken, by the monotonic clock

    def open(self) -> Anvil:
        """Start the chain, a new one or where it stood. Raises Unreachable if it does not answer, Misconfigured."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._restore()
        options = ["--block-time", str(BLOCK_TIME), "--chain-id", str(CHAIN_ID), *FINALITY]
        options += ["--state", str(self._state), "--state-interval", str(SAVE_INTERVAL)]
        return start(self._executable, self._port, options)

    def keep(self) -> None:
        """Copy Anvil's state if it has written a whole new one; to be called about once a second."""
        began = time.monotonic()
        if began < self._next or not self._state.exists() or self._state.stat().st_mtime_ns == self._saved:
            return
        written = self._state.stat().st_mtime_ns
        body = self._state.read_bytes()
        if is_whole(body):
            replace(self._copy, body)
            self._saved = written
        self._next = time.monotonic() + _REST * (time.monotonic() - began)

    def _restore(self) -> None:
        """Put the newest whole state where Anvil reads it; none if there is none yet."""
        for path in (self._state, self._copy):
            if path.exists() and is_whole(body := path.read_bytes()):
                replace(self._state, with_one_genesis(body))
                return
        self._state.unlink(missing_ok=True)


def with_one_genesis(body: bytes) -> bytes:
    """A state without the genesis blocks that later starts have added: the chain's own is the oldest."""
    state = json.loads(body)
    found = [block for block in state["blocks"] if int(block["header"]["number"], 16) == 0]
    first = min(found, key=lambda block: int(block["header"]["timestamp"], 16))
    state["blocks"] = [block for block in state["blocks"] if block is first or block not in found]
    return json.dumps(state).encode()


def is_whole(body: bytes) -> bool:
    """Whether a state file was written to its end."""
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def start(executable: Path, port: int, options: Sequence[str]) -> Anvil:
    """Run Anvil on a loopback port and wait until it answers. Raises Unreachable, or Misconfigured for a taken port."""
    _require_free(port)
    process = subprocess.Popen(  # noqa: S603 - the pinned executable with our own options
        [str(executable), "--host", "127.0.0.1", "--port", str(port), "--quiet", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A terminal's interrupt ends the program that runs it, which then ends Anvil.
        start_new_session=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    anvil = Anvil(process, port)
    try:
        _wait(anvil, port)
    except BaseException:
        anvil.stop()
        raise
    return anvil


def executable(root: Path) -> Path:
    """The Anvil that npm installed for this machine under a checkout. Raises Misconfigured if there is none."""
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower(), platform.machine()
    )
    name = f"anvil-{platform.system().lower()}-{machine}"
    found = root / "node_modules" / "@foundry-rs" / name / "bin" / "anvil"
    if not found.exists():
        raise Misconfigured("Anvil is not installed", "Run `make install`.")
    return found


def _require_free(port: int) -> None:
    # Another chain on this port would answer in the place of ours.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise Misconfigured(f"port {port} is taken", "End the program that uses it, or set another port.") from None


def _wait(anvil: Anvil, port: int) -> None:
    for _ in range(_START_SECONDS * 50):
        if anvil.process.poll() is not None:
            raise Unreachable("Anvil ended at once", "Run it by hand to see why; its state file may be damaged.")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise Unreachable(f"Anvil did not answer within {_START_SECONDS} seconds")
