"""The node port, against a real Anvil behind a proxy that answers in its place where a test says so."""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from issuer.chain import network, rpc
from issuer.chain.node import HttpNode, NodeError
from issuer.errors import Misconfigured, Unreachable
from tests import anvil, proxy
from tests.anvil import TestChain
from tests.proxy import Proxy


@pytest.fixture
def gate(anvil: TestChain) -> Iterator[Proxy]:
    with proxy.before(anvil.url) as found:
        yield found


@pytest.fixture
def node(gate: Proxy) -> Iterator[HttpNode]:
    found = HttpNode(gate.url)
    yield found
    found.close()


def test_silence_is_unreachable(gate: Proxy, node: HttpNode) -> None:
    gate.intercepts["eth_blockNumber"] = proxy.silence
    with pytest.raises(Unreachable, match="eth_blockNumber"):
        node.call("eth_blockNumber")


def test_no_server_is_unreachable_and_the_address_stays_secret() -> None:
    node = HttpNode(f"http://127.0.0.1:{anvil.free_port()}/v3/secret-key", timeout=1)
    with pytest.raises(Unreachable) as caught:
        node.call("eth_blockNumber")
    assert "secret-key" not in str(caught.value) + repr(node)
    node.close()


def test_the_environment_s_proxy_is_asked(gate: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.intercepts["eth_chainId"] = proxy.result("0x7a69")
    monkeypatch.setenv("http_proxy", gate.url)
    monkeypatch.setenv("no_proxy", "another.example")
    node = HttpNode("http://node.example:8545")
    assert rpc.chain_id(node) == 31337
    assert gate.methods == ["eth_chainId"]
    node.close()


class Server(BaseHTTPRequestHandler):
    """Says what it was asked with, under the status that its path names."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(int(self.path.rpartition("/")[2]))
        self.send_header("Location", "/200")
        self.end_headers()
        told = {"result": [self.headers[name] for name in ("Authorization", "Content-Type")]}
        self.wfile.write(json.dumps(told).encode())

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    """Where it listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as listening:
        threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}).start()
        yield f"127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


def test_a_name_and_password_in_the_address_are_sent(server: str) -> None:
    node = HttpNode(f"http://ann:se%3Acret@{server}/200")
    assert node.call("eth_chainId") == ["Basic " + b64encode(b"ann:se:cret").decode(), "application/json"]
    node.close()


@pytest.mark.parametrize("status", [307, 401, 429, 500])
def test_another_status_is_unreachable(server: str, status: int) -> None:
    node = HttpNode(f"http://{server}/{status}")
    with pytest.raises(Unreachable, match="eth_chainId"):
        node.call("eth_chainId")
    node.close()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'"text"', b'{"jsonrpc": "2.0", "id": 1}'])
def test_a_garbled_answer_is_unreachable(gate: Proxy, node: HttpNode, body: bytes) -> None:
    gate.intercepts["eth_blockNumber"] = lambda _request, _forward: body
    with pytest.raises(Unreachable):
        node.call("eth_blockNumber")


def test_an_error_keeps_its_number_and_message(gate: Proxy, node: HttpNode) -> None:
    gate.intercepts["eth_blockNumber"] = proxy.error(-32005, "limit exceeded")
    with pytest.raises(NodeError) as caught:
        node.call("eth_blockNumber")
    assert (caught.value.number, caught.value.message) == (-32005, "limit exceeded")


@pytest.mark.parametrize("code", [None, "many", {}, 1e400])
def test_an_error_whose_code_or_message_is_none_is_one(gate: Proxy, node: HttpNode, code: object) -> None:
    error = {"code": code, "message": "slow\0 down \ud800", "data": "0xzz"}
    gate.intercepts["eth_blockNumber"] = lambda request, _: {"jsonrpc": "2.0", "id": request["id"], "error": error}
    with pytest.raises(NodeError) as caught:
        node.call("eth_blockNumber")
    assert (caught.value.number, caught.value.message, caught.value.data) == (0, "slow down ?", None)


@pytest.mark.parametrize("answer", [None, "soon", "0xzz", {}, [], 7])
def test_an_answer_of_another_type_is_no_answer(gate: Proxy, node: HttpNode, answer: object) -> None:
    gate.intercepts["eth_getTransactionCount"] = proxy.result(answer)
    with pytest.raises(Unreachable):
        rpc.nonce(node, "0x" + "11" * 20)


def test_blocks_by_number_hash_and_tag(anvil: TestChain, node: HttpNode) -> None:
    anvil.mine(3)
    head = rpc.head(node)
    assert head.number == 3
    assert rpc.block(node, 3) == rpc.block(node, head.hash) == head
    parent = rpc.block(node, 2)
    assert parent is not None
    assert parent.hash == head.parent
    assert rpc.block(node, 4) is None
    assert rpc.block(node, "0x" + "00" * 32) is None


def test_a_block_is_final_once_two_more_lie_on_it(anvil: TestChain, node: HttpNode) -> None:
    anvil.mine(5)
    final = rpc.block(node, "finalized")
    assert final is not None
    assert final.number == 3


def test_a_missing_receipt_is_none(node: HttpNode) -> None:
    assert rpc.receipt(node, "0x" + "11" * 32) is None


def test_the_local_chain_is_named_by_its_genesis(node: HttpNode) -> None:
    found = network.identify(node)
    genesis = rpc.block(node, 0)
    assert genesis is not None
    assert (found.chain_id, found.genesis, found.is_local) == (31337, genesis.hash, True)


@pytest.mark.parametrize("chain_id", [1, 10, 56, 137, 8453, 42161, 31338])
def test_a_chain_that_is_no_known_testnet_is_refused(gate: Proxy, node: HttpNode, chain_id: int) -> None:
    gate.intercepts["eth_chainId"] = proxy.result(hex(chain_id))
    with pytest.raises(Misconfigured, match=f"chain {chain_id} "):
        network.identify(node)


def test_another_chain_behind_the_address_is_refused(gate: Proxy, node: HttpNode) -> None:
    home = network.identify(node)
    gate.intercepts["eth_chainId"] = proxy.result(hex(11155111))
    with pytest.raises(Misconfigured, match="this home belongs to chain 31337"):
        network.require(node, chain_id=home.chain_id, genesis=home.genesis)


def test_the_same_chain_id_with_another_genesis_is_refused(node: HttpNode) -> None:
    with pytest.raises(Misconfigured, match="genesis"):
        network.require(node, chain_id=31337, genesis="0x" + "00" * 32)


@pytest.mark.parametrize("url", ["", "localhost:8545", "ws://127.0.0.1:8545", "http://"])
def test_a_url_of_no_node_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured):
        HttpNode(url)


@pytest.mark.parametrize(
    "reverted",
    [
        {"returnData": "0xdeadbeef", "error": {"code": -3200, "message": "execution failed"}},
        {"returnData": "0x", "error": {"code": 3, "message": "execution reverted", "data": "0xdeadbeef"}},
    ],
    ids=["anvil", "geth"],
)
def test_reverted_bytes_are_found_where_a_node_puts_them(
    gate: Proxy, node: HttpNode, reverted: dict[str, object]
) -> None:
    calls = [{"status": "0x0", "gasUsed": "0x5208", **reverted}]
    gate.intercepts["eth_simulateV1"] = proxy.result([{"calls": calls}])
    call = rpc.Call(sender="0x" + "11" * 20, target="0x" + "22" * 20, data="0x")
    (found,) = rpc.simulate(node, [call], "latest")
    assert (found.succeeded, found.data, found.gas_used) == (False, "0xdeadbeef", 21_000)


@pytest.mark.parametrize("answer", [None, [], [{}], [{"calls": []}], [{"calls": [{"status": "0x1"}]}], "0x"])
def test_half_a_simulation_is_no_answer(gate: Proxy, node: HttpNode, answer: object) -> None:
    gate.intercepts["eth_simulateV1"] = proxy.result(answer)
    call = rpc.Call(sender="0x" + "11" * 20, target="0x" + "22" * 20, data="0x")
    with pytest.raises(Unreachable):
        rpc.simulate(node, [call], "latest")
