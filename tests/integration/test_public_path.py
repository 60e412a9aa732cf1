"""The way to a public testnet: Sepolia's chain id, epochs of 32 slots, blocks that come when they come, a funded key
and nothing that only a development node offers."""

from pathlib import Path

import pytest

from issuer.chain import network, rpc
from issuer.chain.keystore import Job, Keystore
from issuer.chain.node import HttpNode
from issuer.errors import Refused
from issuer.messages import contracts
from issuer.store.unit import Store
from tests import anvil, proxy, sandbox
from tests.clock import ManualClock
from tests.sandbox import CNH, Sandbox

SEPOLIA = 11155111
EPOCH = 32
KEY = bytes.fromhex("42" * 32)


def test_deploy_report_and_mint_to_final(tmp_path: Path, clock: ManualClock) -> None:
    keys = Keystore(tmp_path / "keys", sandbox.PASSPHRASE)
    deployer = keys.adopt(Job.DEPLOYER, KEY, light=True)
    with anvil.run(chain_id=SEPOLIA, epoch=EPOCH) as chain, proxy.before(chain.url) as gate:
        node = HttpNode(gate.url)
        assert network.identify(node).name == "Sepolia"
        with pytest.raises(Refused, match=f"{deployer} has too little gas money"):
            sandbox.deployer(node, tmp_path).advance()
        chain.fund(deployer)
        deployment = sandbox.deployer(node, tmp_path).run(chain.mine)
        assert rpc.nonce(node, sandbox.FAUCET) == 0
        public = tmp_path / "deployments" / f"{SEPOLIA}-{deployment.token}"
        assert Path(f"{public}.json").read_bytes() == (tmp_path / "deployment.json").read_bytes()
        assert '"language": "Solidity"' in Path(f"{public}.input.json").read_text()

        store = Store(f"sqlite:///{tmp_path}/issuer.db", clock)
        store.migrate()
        world = Sandbox(chain, gate, node, keys, deployment, store, clock)
        alice = keys.create_holder("alice", light=True)
        world.emit("verify", accounts=[alice])
        world.emit("report", **world.report(reserve=CNH))
        assert world.sender.send() == 2
        chain.mine()
        minting = world.emit("mint", reference="0x" + "ab" * 32, orders=[[alice, CNH]])
        assert world.sender.send() == 1
        chain.mine(2 * EPOCH)
        world.watcher.collect()
        world.outcomes.collect()
        assert not [fact for fact in world.take() if fact.kind == "minted"], "two epochs are not over"
        chain.mine()
        world.watcher.collect()
        world.outcomes.collect()
        found = {fact.kind: fact.payload for fact in world.take()}
        assert found["minted"]["orders"] == [[alice, CNH]]
        assert (found["sent"]["intent_id"], found["sent"]["outcome"]) == (minting, "done")
        supply = rpc.read(node, deployment.token, contracts.TOKEN.call("totalSupply"), "finalized")
        assert int(supply, 16) == CNH
        world.close()
