"""A whole world in one process that goes on whatever fails: what fails is tried again, as a daemon does."""

from collections.abc import Callable
from pathlib import Path
from random import Random

from issuer.chain import rpc
from issuer.errors import BrokenInvariant, IssuerError, Misconfigured
from issuer.operations import wallets
from issuer.operations.redemptions import DEFAULT_INSTRUCTION
from issuer.store.states import WalletState
from tests.anvil import TestChain
from tests.faults import exact
from tests.integration.test_workers import account
from tests.world import BLOCK_TIME, Holder, World

NAMES = ("Platform A", "Platform B", "Platform C")


class RoughWorld(World):
    """Customers with standing instructions: what they wire is minted, and what they burn is paid."""

    blocks = 3  # in a turn: as many as finality takes

    def __init__(self, path: Path, chain: TestChain, *, database_url: str | None = None) -> None:
        super().__init__(path, chain, database_url=database_url)
        self.holders = [Holder(0xA0 + number) for number in range(len(NAMES))]
        self.refused: list[str] = []

    def begin(self) -> None:
        """Customers whose wallets are verified."""
        for number, name in enumerate(NAMES):
            self.onboard(name, account(number), self.holders[number], standing=True)
        self.until(lambda: self._verified() == len(NAMES))

    @property
    def books(self) -> Path:
        """The bank's own database."""
        return self.path / "bank" / "books.db"

    def truth(self) -> exact.Truth:
        return exact.Truth(self.issuer, self.books)

    def turn(self) -> None:
        self.pass_time()
        self.attempt(self.issuer.service.step)

    def pass_time(self) -> None:
        """Blocks, and a step of bank and auditor."""
        self.clock.advance(self.blocks * BLOCK_TIME)
        if self.blocks > 3:
            self.chain.ask("anvil_mine", hex(self.blocks - 3), hex(BLOCK_TIME))
        for left in (2, 1, 0):
            # A chain that was taken back and made again may be ahead of the clock.
            latest = rpc.head(self.chain.node).timestamp
            self.chain.mine_at(max(latest + 1, self.clock.now() - left * BLOCK_TIME))
        self.clock.seconds = max(self.clock.now(), rpc.head(self.chain.node).timestamp)
        for step in (self.bank.step, self.auditor.step):
            self.attempt(step)

    def attempt(self, step: Callable[[], object]) -> None:
        try:
            step()
        except (BrokenInvariant, Misconfigured):
            raise
        except IssuerError as error:
            self.refused.append(error.what)

    def live(self, choose: Random) -> None:
        """Something happens: money comes in, or tokens are burned."""
        number = choose.randrange(len(NAMES))
        holder, cents = self.holders[number], choose.randrange(1, 10_000_00)
        held = self.balance(holder) // 10_000
        if held and choose.random() < 0.4:
            self.call(holder, "redeem", choose.randrange(1, held + 1) * 10_000, DEFAULT_INSTRUCTION)
        else:
            self.wire(account(number), NAMES[number], f"{cents // 100}.{cents % 100:02}")

    def settle(self, turns: int = 60) -> exact.Truth:
        """Go on until everything that came in is minted and everything burned is paid; then all must agree."""
        self.until(lambda: exact.settled(self.issuer, self.books), turns)
        self.bank_day()
        return exact.check(self.issuer, self.books)

    def bank_day(self) -> None:
        """A day ends, so that the bank sends statements to compare with."""
        self.clock.advance(86400)
        self.turn()
        self.turn()

    def _verified(self) -> int:
        with self.issuer.store.read() as connection:
            return sum(row["state"] == WalletState.VERIFIED for row in wallets.every(connection))
