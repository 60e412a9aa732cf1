"""A JSON-RPC proxy in front of a node: records what is asked, refuses what only a development node allows, and can
answer in the node's place."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any
from urllib.request import Request, urlopen

FORBIDDEN_PREFIXES = ("anvil_", "evm_", "hardhat_")
FORBIDDEN = {"eth_accounts", "eth_sendTransaction", "eth_sign", "eth_signTransaction"}

Forward = Callable[[dict[str, Any]], Any]
Intercept = Callable[[dict[str, Any], Forward], Any]
"""Takes the request and a way to ask the node; returns the whole JSON-RPC response, or None to stay silent."""


class Proxy:
    def __init__(self, target: str) -> None:
        self._target = target
        self.methods: list[str] = []
        self.refused: list[str] = []
        self.intercepts: dict[str, Intercept] = {}
        self.otherwise: Intercept | None = None  # for every method that has none of its own
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Two small writes would wait for each other's acknowledgement.
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = proxy.answer(request)
                if answer is None:
                    self.close_connection = True
                    return
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def answer(self, request: dict[str, Any]) -> Any:
        method = request["method"]
        self.methods.append(method)
        if method.startswith(FORBIDDEN_PREFIXES) or method in FORBIDDEN:
            self.refused.append(method)
            return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "forbidden"}}
        intercept = self.intercepts.get(method, self.otherwise)
        return intercept(request, self.forward) if intercept else self.forward(request)

    def forward(self, request: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(self._target, json.dumps(request).encode(), headers)) as response:  # noqa: S310
            return json.loads(response.read())

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def before(target: str) -> Iterator[Proxy]:
    """A proxy before that node, which at the end must not have been asked anything forbidden."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
    assert proxy.refused == []


def error(code: int, message: str) -> Intercept:
    """An answer that refuses with a JSON-RPC error."""
    return lambda request, _: {"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message}}


def result(value: Any) -> Intercept:
    """An answer with this result, whatever the node would say."""
    return lambda request, _: {"jsonrpc": "2.0", "id": request["id"], "result": value}


def silence(_request: dict[str, Any], _forward: Forward) -> None:
    """No answer: the connection ends."""


def rough(choose: Random, share: float) -> Intercept:
    """A bad line to the node: of so many answers each is lost, late, doubled, cut, no JSON, an error or empty."""

    def answer(request: dict[str, Any], forward: Forward) -> Any:
        if choose.random() >= share:
            return forward(request)
        given = forward(request) if choose.random() < 0.7 else None  # or it is lost on its way to the node
        match choose.randrange(7):
            case 0:
                return None
            case 1:
                time.sleep(choose.random() / 20)
                return given
            case 2:
                return given and forward(request)
            case 3:
                return json.dumps(given).encode()[: choose.randrange(1, 30)]
            case 4:
                return b"<html>502 Bad Gateway</html>"
            case 5:
                return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32000, "message": "try again"}}
            case _:
                return {"jsonrpc": "2.0", "id": request["id"], "result": None}

    return answer
