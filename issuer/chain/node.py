"""The node port: raw JSON-RPC to one Ethereum node, and its HTTP implementation."""

import itertools
import json
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

from issuer.errors import IssuerError, Misconfigured, Unreachable

_REFUSED = 300  # from this HTTP status on, there is no answer; nobody is followed to another address


class NodeError(IssuerError):
    """The node answered with a JSON-RPC error; what it means depends on what was asked."""

    code: ClassVar[str] = "node-refusal"
    remedy: ClassVar[str] = "See the node's own message; the same request may be answered later or by another node."

    def __init__(self, method: str, number: int, message: str, data: str | None = None) -> None:
        super().__init__(f"the node refused {method}: {message} ({number})")
        self.method = method
        self.number = number  # JSON-RPC error code
        self.message = message
        self.data = data  # returned bytes of a reverted call, 0x-hex


class Node(Protocol):
    """What the chain door needs of a node. A test or a simulation stands here."""

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The result of one JSON-RPC call. Raises Unreachable without an answer, NodeError if it is an error."""
        ...


class HttpNode:
    """A node behind an HTTP address. The address may hold an access key, so only its host is ever shown."""

    def __init__(self, url: str, *, timeout: int = 20) -> None:
        """``timeout`` in seconds, for connecting and for each answer. Raises Misconfigured for a URL of no node."""
        # It takes a while to import; commands that never ask a node must not wait for it.
        import requests
        from requests.adapters import HTTPAdapter

        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Misconfigured("the RPC address is not an http or https URL", "Set RPC_URL to the node's address.")
        self._host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
        self._timeout = timeout
        self._numbers = itertools.count(1)
        self._session = requests.Session()
        # All questions go the same way: the environment's proxy and certificates, the address and the headers are
        # worked out once, and not for each, which would take longer than the local node does.
        first = self._session.prepare_request(requests.Request("POST", url, json={}))
        way = self._session.merge_environment_settings(url, {}, None, None, None)
        door = self._session.get_adapter(url)
        if not isinstance(door, HTTPAdapter):
            raise AssertionError("requests opens http and https by its own adapter")
        self._pool = door.get_connection_with_tls_context(first, way["verify"], way["proxies"], way["cert"])
        self._target = door.request_url(first, way["proxies"])
        self._headers = {name: str(value) for name, value in first.headers.items() if name != "Content-Length"}

    def __repr__(self) -> str:
        return f"HttpNode({self._host})"

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        answer = self._ask(method, list(params))
        error = answer.get("error")
        if error is not None:
            raise _refusal(method, error)
        if "result" not in answer:
            raise Unreachable(f"the node at {self._host} gave no answer to {method}")
        return answer["result"]

    def close(self) -> None:
        self._session.close()

    def _ask(self, method: str, params: list[Any]) -> dict[str, Any]:
        from urllib3.exceptions import HTTPError

        asked: dict[str, Any] = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": params}
        try:
            response = self._pool.urlopen(
                "POST",
                self._target,
                json.dumps(asked),
                self._headers,
                retries=False,  # whoever asks decides what silence means
                timeout=self._timeout,
                assert_same_host=False,  # a proxy is asked for another one
            )
            answer: Any = json.loads(response.data) if response.status < _REFUSED else None
        except (HTTPError, OSError, ValueError) as error:
            # The errors' own texts print the whole address; a broken body is a ValueError.
            raise Unreachable(f"the node at {self._host} did not answer {method}: {type(error).__name__}") from None
        if not isinstance(answer, dict):
            raise Unreachable(f"the node at {self._host} answered {method} with something that is not JSON-RPC")
        return answer


def _refusal(method: str, error: Any) -> NodeError:
    if not isinstance(error, dict):
        return NodeError(method, 0, str(error))
    data = error.get("data")
    return NodeError(method, int(error.get("code", 0)), str(error.get("message", "")), data_text(data))


def data_text(data: Any) -> str | None:
    """Reverted bytes as nodes give them: plain hex, or wrapped in an object."""
    if isinstance(data, dict):
        return data_text(data.get("data"))
    return data if isinstance(data, str) and data.startswith("0x") else None
