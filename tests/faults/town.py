"""A town of real processes: a chain that makes a block a second, a bank, an auditor, a database, several daemons.

Any of them may be killed at any moment and is started again, the chain from its last whole state.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random

from issuer.chain import anvil, rpc
from issuer.chain.anvil import CHAIN_ID, Anvil, HomeChain
from issuer.chain.keystore import Job
from issuer.chain.transactions import LEASE
from issuer.cli.home import Issuer, create_home, open_issuer
from issuer.clock import SystemClock
from issuer.errors import IssuerError, Unreachable
from issuer.mockbank.auditor import Auditor
from issuer.mockbank.bank import Bank
from issuer.operations import locks
from issuer.settings import Settings
from tests.anvil import ROOT, TestChain, free_port
from tests.faults import exact
from tests.faults.rough import NAMES, RoughWorld
from tests.integration.test_workers import account
from tests.postgres import Server
from tests.world import PASSPHRASE, Holder

BIN = Path(sys.executable).parent
EPOCH = 6
"""Slots; two epochs make a block final. A chain that is killed forgets its last seconds, and must not forget more."""

STANDBY = "standby"
"""The role of a daemon on a machine of its own, with a minting key of its own."""

CHAIN, DATABASE, BANK, AUDITOR, PAUSE = "chain", "database", "bank", "auditor", "pause"
PROGRAMS = {BANK: ("mockbank", "run"), AUDITOR: ("mockbank", "auditor", "run")}


class DeepChain(HomeChain):
    """A home's chain whose blocks are final later than a kill can take them back."""

    def open(self) -> Anvil:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._restore()
        options = ["--block-time", "1", "--chain-id", str(CHAIN_ID), "--slots-in-an-epoch", str(EPOCH)]
        options += ["--state", str(self._state), "--state-interval", "1"]
        return anvil.start(self._executable, self._port, options)


class Town(RoughWorld):
    """The people of a rough world, with real programs about them."""

    def __init__(self, path: Path, roles: tuple[str, ...], server: Server | None, database: str = "postgres") -> None:
        self.path = path
        self.daemons = [f"issuer {number} {role}" for number, role in enumerate(roles, start=1)]
        self.server = server
        self.kills = dict.fromkeys((CHAIN, DATABASE, BANK, AUDITOR, "daemon", PAUSE), 0)
        self.holders = [Holder(0xA0 + number) for number in range(len(NAMES))]
        self.refused = []
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._local = DeepChain(path / "chain", anvil.executable(ROOT), port := free_port())
        self.chain = TestChain(self._local.open())
        url = server.url(database) if server else f"sqlite:///{path}/issuer/issuer.db"
        self._environment = {
            "ISSUER_HOME": str(path / "issuer"),
            "BANK_FOLDER": str(path / "folder"),
            "RPC_URL": f"http://127.0.0.1:{port}",
            "DATABASE_URL": url,
            "MOCKBANK_HOME": str(path / "bank"),
            "AUDITOR_HOME": str(path / "auditor"),
            **dict.fromkeys(("ISSUER_PASSPHRASE", "MOCKBANK_PASSPHRASE", "AUDITOR_PASSPHRASE"), PASSPHRASE),
        }
        self.settings = Settings(
            issuer_home=path / "issuer",
            bank_folder=path / "folder",
            rpc_url=self.chain.url,
            issuer_operator="test",
            database_url=url,
        )
        self.issuer = self._found()
        if STANDBY in roles:
            self._part_keys()
        self.bank = Bank.open(path / "bank", SystemClock())

    def _found(self) -> Issuer:
        """Homes for all three, and the contracts."""
        clock = SystemClock()
        create_home(self.settings, PASSPHRASE, light=True).close()
        Bank.create(self.path / "bank", self.settings.bank_folder, clock, PASSPHRASE).close()
        Auditor.create(self.path / "auditor", self.settings.bank_folder, clock, PASSPHRASE).close()
        issuer = open_issuer(self.settings, clock=clock, passphrase=lambda: PASSPHRASE)
        issuer.bind(issuer.deployer().run(lambda: time.sleep(0.1)))
        return issuer

    def _part_keys(self) -> None:
        """A second machine's home: it has the standby's key, and not the sender's, which stays in the first."""
        shutil.copytree(self.path / "issuer", self.path / STANDBY)
        (self.path / STANDBY / "keys" / f"{Job.SENDER}.json").unlink()
        (self.path / "issuer" / "keys" / f"{Job.STANDBY}.json").unlink()

    # -- the programs

    def open_all(self) -> None:
        for name in (*PROGRAMS, *self.daemons):
            self.start(name)

    def start(self, name: str) -> None:
        """Start one of them again, if it does not run."""
        if name == CHAIN:
            self.chain.running = self._local.open()
        elif name == DATABASE and self.server:
            self.server.start()
        elif self._running.get(name) is None or self._running[name].poll() is not None:
            command, environment = self._program(name)
            with (self.path / f"{name}.out").open("ab") as output:
                self._running[name] = subprocess.Popen(
                    [BIN / command[0], *command[1:]], stdout=output, stderr=output, env=environment, cwd=self.path
                )

    def _program(self, name: str) -> tuple[tuple[str, ...], dict[str, str]]:
        """A program's command, and its environment."""
        environment = {**os.environ, **self._environment, "PYTHONPATH": str(ROOT)}
        role = name.split()[-1]
        if name in PROGRAMS:
            return PROGRAMS[name], environment
        if role != STANDBY:
            return ("issuer", "run", "--role", role), environment
        own = {"ISSUER_HOME": str(self.path / STANDBY), "MINTING_KEY": Job.STANDBY}
        return ("issuer", "run"), environment | own

    def kill(self, name: str) -> None:
        """End one of them as a power cut would."""
        if name == CHAIN:
            self.chain.running.process.kill()
            self.chain.running.process.wait()
        elif name == DATABASE and self.server:
            self.server.kill()
        else:
            self._running[name].kill()
            self._running[name].wait()
        self._count(name if name in self.kills else "daemon")

    def pause(self, name: str, seconds: float) -> None:
        """Stop a process in its tracks, and let it go on as if nothing had been."""
        self._running[name].send_signal(signal.SIGSTOP)
        self.wait(seconds)
        self._running[name].send_signal(signal.SIGCONT)
        self._count(PAUSE)

    def _count(self, what: str) -> None:
        self.kills[what] += 1
        (self.path / "kills").write_text(f"{self.kills}\n")

    def close(self) -> None:
        for process in self._running.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self._running.values():
            process.wait()
        self.issuer.close()
        self.bank.close()
        self.chain.stop()

    # -- time

    def turn(self) -> None:
        self.wait(0.2)

    def wait(self, seconds: float) -> None:
        """Let time pass, and keep the chain's whole states meanwhile."""
        ends = time.monotonic() + seconds
        while True:
            self._local.keep()
            left = ends - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.25))

    def until(self, reached: Callable[[], bool], turns: int = 1500) -> None:
        """Wait until something is so; while a part does not answer, it is not. Raises AssertionError."""
        for _ in range(turns):
            self.check()
            try:
                if reached():
                    return
            except Unreachable:
                pass
            self.turn()
        with self.issuer.store.read() as connection:
            engaged = locks.live(connection)
        raise AssertionError(f"not reached after {self.kills}: {engaged} {self.balances()}")

    def check(self) -> None:
        """Raise AssertionError if a program has ended by itself."""
        for name, process in self._running.items():
            status = process.poll()
            said = (self.path / f"{name}.out").read_text()[-2000:]
            assert status is None or status == -signal.SIGKILL, f"{name} has ended: {said}"

    # -- the storm

    def weather(self, choose: Random, kills: int) -> Iterator[str]:
        """What is hit next: daemons mostly, and now and then one is only paused for longer than its lease."""
        others = (BANK, AUDITOR, CHAIN, *((DATABASE, DATABASE) if self.server else ()))
        for number in range(1, kills + 1):
            yield PAUSE if number % 25 == 0 else choose.choice([*self.daemons * 3, *others])

    def storm(self, choose: Random, weather: Iterable[str]) -> None:
        """Kills under load, of anything at any moment; what was killed is started again soon."""
        for name in weather:
            for _ in range(choose.randrange(1, 5)):
                self._try(lambda: self.live(choose))
                self.wait(choose.random() / 2)
            self.check()
            if name == PAUSE:
                self.pause(choose.choice(self.daemons), LEASE + 2)
            else:
                self.kill(name)
                self.wait(choose.random())
                self.start(name)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except IssuerError as error:
            self.refused.append(error.what)

    def begin(self) -> None:
        """Customers whose wallets are verified, and who have tokens to burn."""
        for number, name in enumerate(NAMES):
            self.onboard(name, account(number), self.holders[number], standing=True)
        self.until(lambda: self._verified() == len(NAMES))
        for number, name in enumerate(NAMES):
            self.wire(account(number), name, "10000.00")
        self.until(lambda: all(self.balance(holder) for holder in self.holders))

    def settle(self, turns: int = 300) -> exact.Truth:
        self.until(self._settled, turns)
        # Comparing asks for the state at the final block, which a chain that was opened again has not kept at first.
        head = rpc.head(self.chain.node).number
        self.until(lambda: rpc.head(self.chain.node).number > head + 2 * EPOCH + 2)
        return exact.check(self.issuer, self.books)

    def _settled(self) -> bool:
        self.wait(1)
        return exact.settled(self.issuer, self.books)

    def command(self, *words: str) -> str:
        """What a command line of the issuer says; it must not refuse."""
        environment = {**os.environ, **self._environment, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [BIN / "issuer", *words], env=environment, cwd=self.path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout
