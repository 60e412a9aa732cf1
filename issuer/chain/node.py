"""The node port: raw JSON-RPC to one Ethereum node, and its HTTP implementation."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

from issuer.errors import Misconfigured, Unreachable

HEX = re.compile("0x(?:[0-9a-fA-F]{2})*")
"""Bytes as nodes write them."""


class NodeError(Unreachable):
    """The node answered with a JSON-RPC error; what it means depends on what was asked.

    To who does not know better it is no answer: a node that has had enough questions stops no other door.
    """

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
        # web3 takes most of a second to import; commands that never ask a node must not wait for it.
        import requests
        from web3 import HTTPProvider

        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Misconfigured("the RPC address is not an http or https URL", "Set RPC_URL to the node's address.")
        self._host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
        self._session = requests.Session()
        # The environment's proxy and certificates are looked up once, and not for every question.
        given = self._session.merge_environment_settings(url, {}, None, None, None)
        self._session.proxies, self._session.verify = given["proxies"], given["verify"]
        self._session.trust_env = False
        # Nobody is followed to another address.
        self._session.max_redirects = 0
        # No retries in here: whoever asks decides what silence means.
        self._provider = HTTPProvider(
            url, {"timeout": timeout}, session=self._session, exception_retry_configuration=None
        )

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
        try:
            answer: Any = self._provider.make_request(method, params)
        except (OSError, ValueError, RecursionError) as error:
            # requests' errors are OSErrors and print the whole address; a broken body is one of the others.
            raise Unreachable(f"the node at {self._host} did not answer {method}: {type(error).__name__}") from None
        if not isinstance(answer, dict):
            raise Unreachable(f"the node at {self._host} answered {method} with something that is not JSON-RPC")
        return answer


def _refusal(method: str, error: Any) -> NodeError:
    if not isinstance(error, dict):
        return NodeError(method, 0, _said(error))
    code, message = _code(error.get("code")), _said(error.get("message", ""))
    return NodeError(method, code, message, data_text(error.get("data")))


def _code(code: Any) -> int:
    """An error's code; zero if it is no number."""
    try:
        return int(code)
    except (TypeError, ValueError, OverflowError):
        return 0


def _said(message: Any) -> str:
    """An error's message, without what no database holds as text."""
    return str(message).encode(errors="replace").decode().replace("\0", "")


def data_text(data: Any) -> str | None:
    """Reverted bytes as nodes give them: plain hex, or wrapped in an object."""
    if isinstance(data, dict):
        return data_text(data.get("data"))
    return data if isinstance(data, str) and HEX.fullmatch(data) else None
