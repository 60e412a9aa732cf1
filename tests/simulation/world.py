"""The simulated world: one event, then one step of the service, then every invariant.

All chance comes from one seed. Faults are events too, and trouble that lasts some steps. `rest.py` ends a run.
"""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from sqlite3 import Connection
from typing import Any

from issuer import crash
from issuer.chain.keystore import Job
from issuer.errors import BrokenInvariant, IssuerError, Locked, Misconfigured
from issuer.messages.folder import AUDITOR_TO_ISSUER, BANK_TO_ISSUER
from issuer.operations import requests
from issuer.operations.requests import Request
from issuer.store.unit import Unit
from tests.clock import ManualClock
from tests.simulation.folder import IssuersFolder
from tests.simulation.invariants import Customer, LogWatch, Watch
from tests.simulation.node import SimulatedNode, Trouble
from tests.simulation.records import Records
from tests.simulation.stage import POLICY, Stage
from tests.simulation.truth import BankTruth, ChainTruth

BLOCK_TIME = 12  # seconds

Act = Callable[..., dict[str, Any]]


class Crashed(BaseException):
    """The process ends here."""


class World:
    """One run: the issuer, the bank, the auditor, a chain, and everybody else."""

    def __init__(self, stage: Stage, seed: int, *, crashes: float = 0.08) -> None:
        self.stage = stage
        self.seed = seed
        self.random = Random(seed)  # noqa: S311 - a seed, so that a run repeats
        self.post = stage.begin(Random(seed + 1))  # noqa: S311 - likewise
        self.post.written = self._file_written
        self.chain = stage.chain
        self.clock = stage.clock
        self.time = self.clock.now()
        self.skew = 0  # seconds that the issuer's clock is off
        self.bank_clock = ManualClock(self.time)
        self.policy = replace(POLICY, redemption_fee_fen=self.random.choice([0, 0, 500]))
        self.node = SimulatedNode(self.chain, self.random, seen=self.meet, sent=self._broadcast)
        self.folder = IssuersFolder(self.post, self.random, seen=self.meet)
        self.bank = stage.open_bank(self.post, self.bank_clock)
        self.auditor = stage.open_auditor(self.post, self.bank_clock)
        self.minting = Job.SENDER  # the key with which reports and mints are signed
        self.service = stage.open_service(self.node, self.folder, self.policy)
        self.records = Records(stage.database)
        self.watch = Watch(
            chain=self.chain,
            deployment=stage.deployment,
            tokens=ChainTruth(self.chain, stage.deployment),
            bank=BankTruth(stage.books),
            records=self.records,
            log=LogWatch(stage.open_log()),
            keys={address: job for job, address in stage.deployment.keys.items()},
        )
        self.number = 0
        self.trace: list[str] = []
        self._met: set[str] = set()
        self.pairs: set[tuple[str, str]] = set()  # faults with the states that they met
        self.points: dict[str, None] = {}  # crash points that this run has passed, in that order
        self.delayed = self.damaged = 0.0  # how many of the files that are written come late, or cut short
        self.crashes = crashes * self.random.choice([0, 1, 1, 3])
        self.hesitant: Customer  # whose order is written and not committed, if there is one
        # A broadcast that is not answered may come at any moment, and tells nothing.
        self._usual = self.node.trouble = Trouble(hasty=self.random.choice([0, 0.1]))
        self._troubled = 0  # steps until the trouble is over
        self._requests = 0

    def close(self) -> None:
        crash.observe(None)
        for part in (self.bank, self.auditor, self.records, self.watch.bank):
            part.close()

    @property
    def customers(self) -> list[Customer]:
        return self.watch.customers

    # -- one step

    def step(self, event: Callable[["World"], str | None]) -> bool:
        """Let an event happen, if it can, then one step of the service; whether it could."""
        try:
            told = event(self)
        except Locked as error:
            told = error.what
        if told is None:
            return False
        self.number += 1
        self.say(f"{self.number:4} {self.time} {event.__name__}: {told}")
        self._met.clear()
        self.post.pass_time()
        self._pass_trouble()
        self.serve()
        self.watch.look()
        self.tell_news()
        return True

    def serve(self) -> int:
        """One step of the service, which may crash; how many things were done."""
        try:
            with self.crashing():
                return self.service.step()
        except Crashed as crashed:
            self.meet(f"crash {crashed}")
            self.restart()
        except (BrokenInvariant, Misconfigured):
            raise
        except IssuerError as error:
            self.say(f"       waits: {error.what}")
        return 1

    def restart(self) -> None:
        """Start the issuer's process again."""
        self.stage.store.close()
        self.service = self.stage.open_service(self.node, self.folder, self.policy, self.minting)

    def restore(self) -> None:
        """The database is gone; the last backup takes its place, and the process is started again."""
        self.stage.store.close()
        self.records.close()
        self.stage.restore(self.backup)
        self.records.open()
        self.stage.numbers.taken = None
        self.service = self.stage.open_service(self.node, self.folder, self.policy, self.minting)

    @property
    def backup(self) -> Path:
        """Where the last backup lies, if there is one."""
        return self.stage.run / "backup.db"

    @contextmanager
    def crashing(self, share: float = 1) -> Iterator[None]:
        """Perhaps end the process at one of the points that it passes."""
        name, after = None, 0
        if self.random.random() < self.crashes * share:
            known = list(self.points)
            if known and self.random.random() < 0.5:
                name = self.random.choice(known)
            else:
                after = self.random.randint(1, 60)
        passed = 0

        def observe(point: str) -> None:
            nonlocal passed
            passed += 1
            self.points[point] = None
            if point == name or passed == after:
                crash.observe(None)
                raise Crashed(point)

        crash.observe(observe)
        try:
            yield
        finally:
            crash.observe(None)

    def reopen(self, party: str) -> None:
        """Start the bank's or the auditor's process again."""
        getattr(self, party).close()
        opened = self.stage.open_bank if party == "bank" else self.stage.open_auditor
        setattr(self, party, opened(self.post, self.bank_clock))

    @property
    def banks_books(self) -> Connection:
        """The bank's database, for what its own hands do."""
        return self.bank._database.connection

    def advance(self, seconds: int) -> None:
        self.time += seconds
        self.clock.seconds = self.time + self.skew
        self.bank_clock.seconds = self.time

    def say(self, text: str) -> None:
        self.trace.append(text)

    def meet(self, fault: str) -> None:
        """Note that a fault happens, and what is going on meanwhile."""
        if fault in self._met:
            return
        self._met.add(fault)
        self.say(f"       * {fault}")
        name = fault.partition(" before ")[0].partition(" after ")[0]
        self.watch.met.add(name)
        self.pairs |= {(name, state) for state in self.records.states()}

    def trouble(self, steps: int, **what: Any) -> None:
        """Have the node in trouble for some steps, beside what always is."""
        self.node.trouble, self._troubled = replace(self._usual, **what), steps

    def tell_news(self) -> None:
        """Put what was recorded into the trace."""
        for record in self.watch.log.news():
            self.say(f"       {record}")

    # -- what people ask for

    def ask(self, act: Act, /, actor: str = "operator:ann", **body: Any) -> dict[str, Any]:
        """Have an operation done for a person, under a key of its own, as the command line does."""
        self._requests += 1
        asked = Request(caller=actor, key=f"{self.seed}-{self._requests}", operation=act.__name__, body=body)
        return requests.carry_out(self.stage.store, asked, lambda unit: self._do(unit, act, body)).body

    def _do(self, unit: Unit, act: Callable[..., dict[str, Any]], body: dict[str, Any]) -> dict[str, Any]:
        needs = "policy" in act.__code__.co_varnames[: act.__code__.co_argcount]
        return act(unit, self.policy, **body) if needs else act(unit, **body)

    # -- within

    def _pass_trouble(self) -> None:
        if self._troubled:
            self._troubled -= 1
            if not self._troubled:
                self.node.trouble = self._usual
                self.folder.silent = self.delayed = self.damaged = 0

    def _file_written(self, directory: str, name: str, body: bytes) -> None:
        if self.delayed and self.random.random() < self.delayed:
            self.post.held[directory, name] = self.random.randint(2, 8)
            self.meet("file late")
        if self.damaged and directory in (BANK_TO_ISSUER, AUDITOR_TO_ISSUER) and self.random.random() < self.damaged:
            self.post.cut[directory, name] = self.random.randint(0, len(body) - 1)
            self.meet("file cut short")
        self.watch.file_written(directory, name, body)

    def _broadcast(self, raw: str) -> None:
        self.watch.broadcast(raw)


def failure(world: World, error: BaseException) -> str:
    """A run's trace and what ended it, to be read."""
    where = "".join(traceback.format_exception(error))
    return "\n".join([f"seed {world.seed}", *world.trace, where])
