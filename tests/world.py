"""A whole world in one process: a chain, a bank, an auditor, an issuer; time passes only when the test says so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from issuer.chain import rpc
from issuer.chain.signer import LocalSigner
from issuer.cli.home import Issuer, create_home, open_issuer
from issuer.ledger import journal
from issuer.messages import contracts
from issuer.messages.contracts import TOKEN
from issuer.messages.signatures import personal_digest
from issuer.mockbank.auditor import Auditor
from issuer.mockbank.bank import Bank
from issuer.money import parse_fen, parse_units
from issuer.operations import customers, mints, wallets
from issuer.settings import Settings
from tests.anvil import TestChain
from tests.clock import ManualClock

PASSPHRASE = "only for tests"
BLOCK_TIME = 12  # seconds
A_BANK, B_BANK = "388000000001", "388000000002"


class Holder:
    """A customer's own key, outside the issuer."""

    def __init__(self, number: int) -> None:
        self.signer = LocalSigner(number.to_bytes(32, "big"))

    @property
    def address(self) -> str:
        return self.signer.address


class World:
    """Everything opened from its folders, as after a start."""

    def __init__(self, path: Path, chain: TestChain, *, database_url: str | None = None) -> None:
        self.path = path
        self.chain = chain
        self.clock = ManualClock(rpc.head(chain.node).timestamp)
        self.settings = _settings(path, chain, database_url)
        self.bank = Bank.open(path / "bank", self.clock, PASSPHRASE)
        self.auditor = Auditor.open(path / "auditor", self.clock, PASSPHRASE)
        self.issuer: Issuer = open_issuer(self.settings, clock=self.clock, passphrase=lambda: PASSPHRASE)

    @classmethod
    def create(cls, path: Path, chain: TestChain, *, database_url: str | None = None) -> "World":
        """Homes for all three, contracts deployed, customers A and B with money at their banks."""
        clock = ManualClock(rpc.head(chain.node).timestamp)
        settings = _settings(path, chain, database_url)
        create_home(settings, PASSPHRASE, light=True).close()
        Bank.create(path / "bank", settings.bank_folder, clock, PASSPHRASE).close()
        Auditor.create(path / "auditor", settings.bank_folder, clock, PASSPHRASE).close()
        world = cls(path, chain, database_url=database_url)
        world.issuer.bind(world.issuer.deployer().run(chain.mine))
        # The deployment's blocks have the machine's own time.
        world.clock.advance(max(0, rpc.head(chain.node).timestamp - world.clock.now()))
        return world

    def close(self) -> None:
        self.issuer.close()
        self.bank.close()
        self.auditor.close()

    # -- time

    def turn(self) -> None:
        """Three blocks, so that what was mined before is final, and one step of everybody."""
        for _ in range(3):
            self.clock.advance(BLOCK_TIME)
            self.chain.mine_at(self.clock.now())
        self.bank.step()
        self.auditor.step()
        self.issuer.service.step()

    def until(self, reached: Callable[[], bool], turns: int = 40) -> None:
        """Turn until something is so. Raises AssertionError, with what waits, if it never is."""
        for _ in range(turns):
            if reached():
                return
            self.turn()
        raise AssertionError(f"not reached in {turns} turns; {self.balances()} {self.orders()}")

    # -- people

    def onboard(self, name: str, account: str, holder: Holder, *, standing: bool = False) -> int:
        """A customer whose wallet is registered; it is verified some turns later."""
        store, policy = self.issuer.store, self.issuer.policy
        with store.unit("add", "operator:test") as unit:
            added = customers.add(unit, policy, name=name, jurisdiction="HK", bank_account=account)
        with store.unit("challenge", "operator:test") as unit:
            given = wallets.challenge(unit, policy, customer_id=added["id"], address=holder.address, standing=standing)
        signature = holder.signer.sign_digest(personal_digest(given["challenge"]))
        assert signature
        with store.unit("register", "operator:test") as unit:
            wallets.register(unit, address=holder.address, text=given["challenge"], controlled=True)
        self.chain.fund(holder.address)
        return int(added["id"])

    def wire(self, account: str, name: str, amount: str) -> str:
        return self.bank.wire(account, name, parse_fen(amount))

    def request_mint(self, customer_id: int, holder: Holder, amount: str) -> int:
        with self.issuer.store.unit("request", "operator:test") as unit:
            order = mints.request(
                unit,
                self.issuer.policy,
                customer_id=customer_id,
                wallet=holder.address,
                value=parse_units(amount),
            )
        return int(order["id"])

    def call(self, holder: Holder, function: str, *arguments: Any) -> str:
        """A holder's own transaction to the token; its hash."""
        node = self.chain.node
        fields = {
            "chainId": rpc.chain_id(node),
            "nonce": rpc.nonce(node, holder.address, "pending"),
            "to": self.token,
            "value": 0,
            "data": TOKEN.call(function, *arguments),
            "gas": 200_000,
            "maxFeePerGas": 10**11,
            "maxPriorityFeePerGas": 10**9,
        }
        signed = holder.signer.sign_transaction(fields)
        rpc.broadcast(node, signed.raw)
        return signed.hash

    # -- what is so

    @property
    def token(self) -> str:
        return self.issuer.deployment.token

    def view(self, function: str, *arguments: Any) -> Any:
        """A view of the token at the newest block."""
        data = rpc.read(self.chain.node, self.token, TOKEN.call(function, *arguments))
        found = TOKEN.output(function, data)
        return found["0"] if list(found) == ["0"] else found

    def balance(self, holder: Holder) -> int:
        return int(self.view("balanceOf", holder.address))

    def balances(self) -> dict[str, int]:
        with self.issuer.store.read() as connection:
            journal.verify(connection)
            return {name: units for name, units in journal.balances(connection).items() if units}

    def orders(self) -> list[tuple[str, str | None]]:
        with self.issuer.store.read() as connection:
            return [(order["state"], order["waits_for"]) for order in mints.every(connection)]

    def minted(self) -> list[dict[str, Any]]:
        """Every Minted event of the chain, from its own logs."""
        head = rpc.head(self.chain.node).number
        logs = rpc.logs(self.chain.node, [self.token], 0, head)
        items = [(contracts.TOKEN.events.get(log.topics[0]), log) for log in logs]
        return [item.decode_log(log.topics, log.data) for item, log in items if item and item.name == "Minted"]


def _settings(path: Path, chain: TestChain, database_url: str | None) -> Settings:
    return Settings(
        issuer_home=path / "issuer",
        bank_folder=path / "folder",
        rpc_url=chain.url,
        issuer_operator="test",
        database_url=database_url or f"sqlite:///{path}/issuer/issuer.db",
    )
