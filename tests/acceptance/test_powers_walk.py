"""The powers as an operator uses them: every command of docs/powers.md, in its order, in one shell and small world."""

import os
import time
from pathlib import Path

from issuer.chain.signer import LocalSigner
from issuer.money import parse_units
from tests import anvil, document, stranger
from tests.world import A_BANK, B_BANK, PASSPHRASE, Holder, World


class Wallet(Holder):
    """A wallet whose key lies in the issuer's home, under a name."""

    def __init__(self, signer: LocalSigner) -> None:
        self.signer = signer


def test_the_commands_work_as_written(tmp_path: Path) -> None:
    with anvil.run() as chain:
        world = World.create(tmp_path / "world", chain)
        try:
            a, b = (_wallet(world, name) for name in ("a", "b"))
            customer = world.onboard("Platform A", A_BANK, a)
            world.onboard("Platform B", B_BANK, b)
            world.wire(A_BANK, "Platform A", "1000000.00")
            world.request_mint(customer, a, "1000000.00")
            world.until(lambda: world.orders() == [("final", None)])
            world.call(a, "transfer", b.address, parse_units("250000"))
            world.turn()
            output = walk(tmp_path, world)
            world.turn()
            verdict = stranger.check(world)
        finally:
            world.close()
    assert "Ordered, not done yet: it is done when `issuer act list` shows it final." in output
    assert "Nothing was ordered: this is what another signer, such as a multisig, is to send." in output
    assert (verdict.failure, verdict.outside, verdict.redeemed) == ("", 0, parse_units("250000"))


def _wallet(world: World, name: str) -> Wallet:
    world.issuer.create_holder(name)
    return Wallet(world.issuer.keystore.signer(name))


def walk(path: Path, world: World) -> str:
    """What the shell says, while time passes for everybody."""
    environment = {
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "RPC_URL": world.chain.url,
        "ISSUER_HOME": str(world.path / "issuer"),
        "ISSUER_OPERATOR": "ann",
        "ISSUER_PASSPHRASE": PASSPHRASE,
        "AUDITOR_PASSPHRASE": PASSPHRASE,
        "BANK_FOLDER": str(world.path / "folder"),
    }
    with document.shell("".join(document.blocks("powers.md")), path, environment) as running:
        ends = time.monotonic() + document.PATIENCE
        while running.poll() is None and time.monotonic() < ends:
            world.turn()
            time.sleep(0.5)
    return document.said(running, path)
