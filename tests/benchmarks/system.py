"""The whole system as it runs in production: Anvil, bank, auditor and daemon, each a process of its own.

Customers, wallets and money are there before anything is measured: wallets are registered by hand and verified on
chain many at a time, each customer's money comes with one wire that the daemon takes.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select

from issuer.chain import anvil, rpc
from issuer.chain.keystore import Job
from issuer.chain.signer import Signer
from issuer.cli.home import Issuer, create_home, open_issuer
from issuer.clock import SystemClock
from issuer.messages.abi import checksum
from issuer.messages.contracts import TOKEN
from issuer.mockbank.auditor import Auditor
from issuer.mockbank.bank import Bank
from issuer.mockbank.home import AttestorKey
from issuer.operations import customers, mints
from issuer.operations.requests import Request, carry_out
from issuer.settings import Settings
from issuer.store.states import ReportState, WalletState
from issuer.store.tables import account, mint_order, report, wallet
from issuer.store.unit import Unit
from tests.anvil import ROOT, free_port
from tests.benchmarks import engines

PASSPHRASE = "only for measuring"
CUSTOMERS, WALLETS = 20, 1_000  # all wallets belong to the customers in turn
MONEY = 10**6 * 10**2  # fen of each customer
VALUE = 10**6  # units of every order
GAS_LIMIT = 60_000_000  # of a block: that of Ethereum's main network at the end of 2025

_RUNS = "the service runs"  # what the daemon says when it is open

BIN = Path(sys.executable).parent
_VERIFIED_AT_ONCE = 200
_GAS_PRICE = 3 * 10**9  # wei


@dataclass
class System:
    path: Path
    issuer: Issuer
    bank: Bank
    auditor: Auditor
    environment: Mapping[str, str]
    _processes: list["subprocess.Popen[bytes]"]

    # -- processes

    def start(self, *command: str) -> "subprocess.Popen[bytes]":
        """Run one of the programs until the system is closed."""
        with (self.path / f"{'-'.join(command)}.out").open("ab") as output:
            program, *arguments = command
            process = subprocess.Popen([BIN / program, *arguments], stdout=output, stderr=output, env=self._environment)
        self._processes.append(process)
        return process

    def do(self, *command: str) -> None:
        """Run one of the programs to its end. Raises CalledProcessError if it fails."""
        program, *arguments = command
        subprocess.run([BIN / program, *arguments], check=True, capture_output=True, env=self._environment)

    def start_daemon(self) -> "subprocess.Popen[bytes]":
        """Run the issuer's daemon; returns once it says that it runs."""
        said = self.path / "issuer-run.out"
        before = said.read_text().count(_RUNS) if said.exists() else 0
        daemon = self.start("issuer", "run")
        self.until(lambda: said.read_text().count(_RUNS) > before, pause=0.005)
        return daemon

    def stop(self, process: "subprocess.Popen[bytes]") -> None:
        self._processes.remove(process)
        process.terminate()
        process.wait()

    def fill(self, *, processes: bool = True) -> None:
        """Have every customer's money and a first report taken.

        Bank and auditor run on from here; without processes, all three take their steps in this one, by hand.
        """
        for number in range(CUSTOMERS):
            self.bank.wire(_account(number), _name(number), MONEY)
        if processes:
            self.start("mockbank", "run")
            self.start("mockbank", "auditor", "run")
            daemon = self.start_daemon()
            self.until(self._is_filled)
            self.stop(daemon)
        else:
            self.until(lambda: self.step() == self.step_bank() == 0 and self._is_filled())

    def step(self) -> int:
        """One step of the issuer in this process."""
        return self.issuer.service.step()

    def timed_step(self) -> float:
        """The seconds of one step, or none if it found that all waits for others."""
        began = time.perf_counter()
        done = self.step()
        return time.perf_counter() - began if done else 0.0

    def step_bank(self) -> int:
        """One pass of bank and auditor in this process."""
        return self.bank.step() + self.auditor.step()

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment}

    def close(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait()
        self.issuer.close()
        self.bank.close()
        self.auditor.close()

    @property
    def bank_key(self) -> AttestorKey:
        return self.bank.home.unlock(PASSPHRASE)

    @property
    def auditor_key(self) -> AttestorKey:
        return self.auditor.home.unlock(PASSPHRASE)

    # -- people

    def accept(self, number: int) -> int:
        """Ask for one mint as a program does, committed when this returns; the order's id."""
        body = {"customer": number % CUSTOMERS + 1, "wallet": address(number % WALLETS), "value": VALUE}
        request = Request(caller="operator:bench", key=f"order-{number}", operation="mint", body=body)
        return int(carry_out(self.issuer.store, request, lambda unit: self._request(unit, number)).body["id"])

    def accept_all(self, orders: int) -> None:
        """The same for many, a thousand in a unit of work."""
        for start in range(0, orders, 1_000):
            with self.issuer.store.unit("accept", "operator:bench") as unit:
                for number in range(start, min(start + 1_000, orders)):
                    self._request(unit, number)

    def _request(self, unit: Unit, number: int) -> dict[str, Any]:
        customer_id, wallet_ = number % CUSTOMERS + 1, address(number % WALLETS)
        return mints.request(unit, self.issuer.policy, customer_id=customer_id, wallet=wallet_, value=VALUE)

    # -- what is so

    def in_state(self, state: str) -> int:
        """How many mint orders are in a state."""
        with self.issuer.store.read() as connection:
            return connection.scalar(select(func.count()).where(mint_order.c.state == state)) or 0

    def _is_filled(self) -> bool:
        paid_in = select(func.count()).where(account.c.name.startswith("customer:"), account.c.balance > 0)
        reported = select(func.count()).where(report.c.state == ReportState.FINAL)
        with self.issuer.store.read() as connection:
            return connection.scalar(paid_in) == CUSTOMERS and bool(connection.scalar(reported))

    def until(self, reached: Callable[[], bool], *, patience: int = 180, pause: float = 0.05) -> None:
        """Wait until something is so. Raises AssertionError if it is not in time, or a program has ended."""
        ends = time.monotonic() + patience
        while not reached():
            for process in self._processes:
                assert process.poll() is None, f"a program has ended; see {self.path}"
            assert time.monotonic() < ends, f"not reached in {patience} seconds; see {self.path}"
            time.sleep(pause)


def address(number: int) -> str:
    return checksum(f"0x{number + 0xB0B0_0000:040x}")


def _account(number: int) -> str:
    return f"3880000{number:05}"


def _name(number: int) -> str:
    return f"Platform {number} Limited"


@contextmanager
def running(engine: str, *, block_time: int = 1) -> Iterator[System]:
    """A system on ``sqlite`` or ``postgresql`` with customers, verified wallets and a chain; no daemon yet."""
    with ExitStack() as stack:
        path = stack.enter_context(engines.folder())
        port = free_port()
        options = ["--block-time", str(block_time), "--chain-id", "31337", "--gas-limit", str(GAS_LIMIT)]
        chain = anvil.start(anvil.executable(ROOT), port, [*options, *anvil.FINALITY])
        stack.callback(chain.stop)
        sqlite = f"sqlite:///{path}/home/issuer.db"
        url = sqlite if engine == "sqlite" else stack.enter_context(engines.database(path))
        settings = Settings(
            issuer_home=path / "home",
            bank_folder=path / "folder",
            rpc_url=chain.url,
            rpc_url_2=None,
            issuer_operator="bench",
            database_url=url,
        )
        system = _create(path, settings)
        stack.callback(system.close)
        yield system


def _create(path: Path, settings: Settings) -> System:
    clock = SystemClock()
    create_home(settings, PASSPHRASE, light=True).close()
    Bank.create(path / "bank", settings.bank_folder, clock, PASSPHRASE).close()
    Auditor.create(path / "auditor", settings.bank_folder, clock, PASSPHRASE).close()
    issuer = open_issuer(settings, passphrase=lambda: PASSPHRASE)
    environment = {
        "ISSUER_HOME": str(settings.issuer_home),
        "MOCKBANK_HOME": str(path / "bank"),
        "AUDITOR_HOME": str(path / "auditor"),
        "BANK_FOLDER": str(settings.bank_folder),
        "RPC_URL": settings.rpc_url,
        "DATABASE_URL": settings.database_url,
        **{f"{party}_PASSPHRASE": PASSPHRASE for party in ("ISSUER", "MOCKBANK", "AUDITOR")},
    }
    bank = Bank.open(path / "bank", clock, PASSPHRASE)
    auditor = Auditor.open(path / "auditor", clock, PASSPHRASE)
    system = System(path, issuer, bank, auditor, environment, [])
    issuer.bind(issuer.deployer().run(lambda: issuer.raw_node.call("evm_mine")))
    _onboard(system)
    return system


def _onboard(system: System) -> None:
    issuer = system.issuer
    with issuer.store.unit("onboard", "operator:bench") as unit:
        for number in range(CUSTOMERS):
            customers.add(unit, issuer.policy, name=_name(number), jurisdiction="HK", bank_account=_account(number))
        rows = [
            {
                "address": address(number),
                "customer_id": number % CUSTOMERS + 1,
                "challenge": "",
                "expires": 0,
                "state": WalletState.VERIFIED,
                "standing": False,
                "at": unit.now,
            }
            for number in range(WALLETS)
        ]
        unit.connection.execute(insert(wallet), rows)
    registrar = issuer.keystore.signer(Job.REGISTRAR)
    for start in range(0, WALLETS, _VERIFIED_AT_ONCE):
        accounts = [address(number) for number in range(start, min(start + _VERIFIED_AT_ONCE, WALLETS))]
        send(system, registrar, issuer.deployment.token, TOKEN.call("verify", accounts))
    issuer.raw_node.call("evm_mine")


def send(system: System, signer: Signer, target: str, data: str, *, gas: int = 10_000_000) -> None:
    """Sign and send one transaction, with the next nonce of the key."""
    node = system.issuer.raw_node
    fields = {
        "chainId": system.issuer.deployment.chain_id,
        "nonce": rpc.nonce(node, signer.address, "pending"),
        "to": target,
        "value": 0,
        "data": data,
        "gas": gas,
        "maxFeePerGas": _GAS_PRICE,
        "maxPriorityFeePerGas": 1,
    }
    refused = rpc.broadcast(node, signer.sign_transaction(fields).raw)
    assert refused is None, refused
