"""A primary dies under load and its streaming standby takes over: nothing that was acknowledged is lost."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from issuer.audit import verify
from issuer.audit.folder import LogFolder
from issuer.audit.integrator import Integrator
from issuer.clock import SystemClock
from issuer.errors import Misconfigured, Unreachable
from issuer.operations import mints, requests
from issuer.operations.requests import Request
from issuer.service import Service
from issuer.store.unit import Store
from tests.bank_folder import signer
from tests.integration.desk import ALICE, ALICE_BANK, POLICY, Desk
from tests.integration.test_workers import begin_the_log
from tests.postgres import Server

CALLERS = 3
BEFORE, AFTER = 30, 30  # acknowledged requests before the primary dies, and after


@pytest.fixture
def pair() -> Iterator[tuple[Server, Server]]:
    """A primary and its streaming standby."""
    primary, standby = Server.create(), Server()
    try:
        standby.follow(primary)
        primary.require_standby()
        yield primary, standby
    finally:
        for server in (primary, standby):
            server.stop()


def both(*servers: Server) -> str:
    """One address for whichever of the servers takes writes."""
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write&connect_timeout=3"


class Callers:
    """People who ask for mints, each again under the same key until they have an answer."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.answers: dict[str, dict[str, Any]] = {}
        self.failures = 0
        self.ended = threading.Event()

    def call(self, name: int) -> None:
        store = Store(self._url, SystemClock())
        number = 0
        while not self.ended.is_set():
            key = f"{name}-{number}"
            try:
                self.answers[key] = ask(store, key)
                number += 1
            except Unreachable:
                self.failures += 1
                time.sleep(0.05)
        store.close()

    def wait_for(self, count: int) -> None:
        ends = time.monotonic() + 60
        while len(self.answers) < count:
            assert time.monotonic() < ends, f"{len(self.answers)} answers, {self.failures} failures"
            time.sleep(0.02)


def ask(store: Store, key: str) -> dict[str, Any]:
    body: dict[str, Any] = {"customer_id": 1, "wallet": ALICE, "value": 1_000_000}
    asked = Request(caller="operator:ann", key=key, operation="mint request", body=body)
    return requests.carry_out(store, asked, lambda unit: mints.request(unit, POLICY, **body)).body


def test_a_failover_loses_nothing_that_was_acknowledged(
    pair: tuple[Server, Server], tmp_path: Path, record_property: Any
) -> None:
    primary, standby = pair
    url = both(primary, standby)
    store = Store(url, SystemClock())
    store.migrate()
    store.check()
    desk = Desk(store)
    begin_the_log(store)
    desk.customer("Alice Limited", ALICE_BANK, ALICE)
    callers = Callers(url)
    log = LogFolder(tmp_path / "log", signer().verifier)
    integrator = Integrator(store, log, signer())
    service = Service(store=store, policy=POLICY, integrator=integrator, sources=(), senders=())

    def serve() -> None:
        while not callers.ended.is_set():
            try:
                service.step()
            except Unreachable:
                time.sleep(0.05)

    with ThreadPoolExecutor(CALLERS + 1) as pool:
        working = [pool.submit(serve), *(pool.submit(callers.call, name) for name in range(CALLERS))]
        try:
            callers.wait_for(BEFORE)
            primary.kill()
            began = time.monotonic()
            acknowledged = dict(callers.answers)
            standby.promote()
            callers.wait_for(len(acknowledged) + CALLERS)
            outage = time.monotonic() - began
            callers.wait_for(len(acknowledged) + AFTER)
        finally:
            callers.ended.set()
        for worker in working:
            worker.result()
    service.step()
    with store.read() as connection:
        orders = {row["commitment"]: row["id"] for row in mints.every(connection)}
        assert verify.verify(log, connection=connection).holds
    kept = {answer["commitment"]: answer["id"] for answer in callers.answers.values()}
    assert kept == orders, "every answer is an order, and every order has been answered"
    assert len(orders) == len(callers.answers), "once each"
    assert {key: ask(store, key) for key in acknowledged} == acknowledged, "the same answer again"
    store.close()
    record_property("note", f"failover: {len(acknowledged)} answers kept, {outage:.1f} s until all were served again")


def test_a_primary_that_comes_back_acknowledges_nothing(pair: tuple[Server, Server]) -> None:
    """It still waits for its standby, which follows it no more: two primaries cannot both take orders."""
    primary, standby = pair
    primary.kill()
    standby.promote()
    primary.start()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(primary.ask, "CREATE TABLE split ()")
        with pytest.raises(TimeoutError):
            asked.result(timeout=1)
        primary.kill()
        with pytest.raises(psycopg.OperationalError):
            asked.result()


def test_a_database_that_forgets_is_refused(pair: tuple[Server, Server]) -> None:
    primary, _ = pair
    store = Store(primary.url(), SystemClock())
    store.migrate()
    store.check()
    store.close()
    forgetful = Store(f"{primary.url()}?options=-c%20synchronous_commit%3Doff", SystemClock())
    with pytest.raises(Misconfigured, match="synchronous_commit = off"):
        forgetful.check()
    forgetful.close()
