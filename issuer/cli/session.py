"""One command line's dealings: its settings, the home it opens when it needs it, and how it asks."""

import secrets
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from issuer.errors import Misconfigured, NotFound

if TYPE_CHECKING:
    from issuer.cli.home import Issuer
    from issuer.operations.requests import Answer
    from issuer.settings import Settings
    from issuer.store.unit import Unit

    Act = Callable[[Unit], dict[str, Any]]


class Session:
    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.key: str | None = None  # of the request, if the caller gave one
        self.operator: str | None = None
        self.prepares = False  # an act is only shown, for another signer to send

    @cached_property
    def settings(self) -> "Settings":
        from issuer.settings import load

        return load()

    @cached_property
    def issuer(self) -> "Issuer":
        from issuer.cli.home import open_issuer

        return open_issuer(self.settings, passphrase=self.passphrase)

    @property
    def caller(self) -> str:
        """Who acts, as the log names a person."""
        return f"operator:{self.operator or self.settings.issuer_operator}"

    def passphrase(self) -> str:
        """From the settings, or else from the person at the terminal. Raises Misconfigured without either."""
        from issuer.settings import passphrase

        found = passphrase(self.settings)
        return prompt_passphrase() if found is None else found

    def ask(self, operation: str, body: Mapping[str, Any], act: "Act") -> None:
        """Have a request carried out once for its key, and show the answer."""
        self._show(*self._carry_out(operation, body, lambda: act))

    def ask_prepared(self, operation: str, body: Mapping[str, Any], prepare: "Callable[[], Act]") -> None:
        """The same for an act that something must be looked up for outside, unless its answer is known already."""
        self._show(*self._carry_out(operation, body, prepare))

    def ask_then(self, operation: str, body: Mapping[str, Any], act: "Act", then: Callable[[], object]) -> None:
        """The same for what ends outside the database, once the request is recorded.

        A repetition ends it again, and only answers once there is nothing left to end.
        """
        key, given = self._carry_out(operation, body, lambda: act)
        try:
            then()
        except NotFound:
            if not given.replayed:
                raise
        self._show(key, given)

    def ask_sent(
        self, operation: str, body: Mapping[str, Any], prepare: "Callable[[], Act]", send: Callable[[str], None]
    ) -> None:
        """The same for bytes that the answer holds as `signed`: sent once it is kept, and again by a repetition."""
        from issuer.operations.requests import Answer

        key, given = self._carry_out(operation, body, prepare)
        send(given.body["signed"])
        shown = {name: value for name, value in given.body.items() if name != "signed"}
        self._show(key, Answer(body=shown, replayed=given.replayed))

    def _carry_out(self, operation: str, body: Mapping[str, Any], prepare: "Callable[[], Act]") -> "tuple[str, Answer]":
        from issuer.operations import requests

        key = self.key or secrets.token_hex(8)
        asked = requests.Request(caller=self.caller, key=key, operation=operation, body=dict(body))
        store = self.issuer.store
        return key, requests.find(store, asked) or requests.carry_out(store, asked, prepare())

    def _show(self, key: str, given: "Answer") -> None:
        from issuer.cli import answer

        answer.given(given.body, key=key, replayed=given.replayed, as_json=self.as_json)

    def close(self) -> None:
        if "issuer" in self.__dict__:
            self.issuer.close()


def prompt_passphrase(*, confirm: bool = False) -> str:
    """Ask the person at the terminal. Raises Misconfigured if there is none."""
    if not sys.stdin.isatty():
        raise Misconfigured(
            "the passphrase of this home's keys is not set",
            "Set ISSUER_PASSPHRASE or ISSUER_PASSPHRASE_FILE, or run the command in a terminal.",
        )
    text: str = click.prompt("Passphrase of this home's keys", hide_input=True, confirmation_prompt=confirm, err=True)
    return text
