"""What people write on the command line, read before anything is opened. What cannot be read raises a typed error."""

import re
from collections.abc import Callable
from typing import Any

import click

from issuer.cli.session import Session
from issuer.errors import InvalidInput
from issuer.money import parse_units

Command = Callable[..., Any]

_LARGEST_ID = 2**63 - 1
_KEY = re.compile(r"[!-~]{1,128}")
_CASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}")
_HASH = re.compile(r"0x[0-9a-f]{64}")
_SIGNATURE = re.compile(r"0x[0-9a-fA-F]{2,8192}")
_OPERATOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


class Read(click.ParamType[Any]):
    """A parameter read by a function that raises an IssuerError."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        return self._read(value) if isinstance(value, str) else value


def _matching(form: re.Pattern[str], what: str, do: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if form.fullmatch(text) is None:
            raise InvalidInput(f"{text!r} is not {what}", do)
        return text

    return read


def _read_text(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise InvalidInput(f"{text!r} is not printable text", "Write it without control characters.")
    return text


def _read_number(text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,18}", text) is None or int(text) > _LARGEST_ID:
        raise InvalidInput(f"{text!r} is not a number of something here", "Take it from the matching list command.")
    return int(text)


def _read_limit(text: str) -> int:
    return 0 if re.fullmatch(r"0(\.0{1,6})?", text) else parse_units(text)


def _read_account(text: str) -> str:
    """An address, or the name of a local wallet, which is looked up when the home is open."""
    if text.isidentifier() and text.isascii():
        return text
    from issuer.messages.abi import parse_address

    return parse_address(text)


def _read_wallet(text: str) -> str:
    if not (text.isidentifier() and text.isascii()):
        raise InvalidInput(f"{text!r} is not the name of a local wallet", "Use letters, digits and _.")
    return text


def _read_memo(text: str) -> str:
    """A reference of at most 32 bytes as the bytes32 it becomes on chain, or such bytes themselves."""
    if _HASH.fullmatch(text):
        return text
    body = _read_text(text).encode()
    if len(body) > 32:
        raise InvalidInput(f"a memo has at most 32 bytes, not {len(body)}", "Shorten it, or give a hash of it.")
    return "0x" + body.ljust(32, b"\0").hex()


def _read_whole(text: str) -> int:
    if re.fullmatch(r"0|[1-9][0-9]{0,77}", text) is None or int(text) >= 2**256:
        raise InvalidInput(f"{text!r} is no whole number", "Write digits only.")
    return int(text)


def _read_small(text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]?", text) is None:
        raise InvalidInput(f"{text!r} is no small number", "Give 1 to 99.")
    return int(text)


def _read_all_or_amount(text: str) -> int:
    """Zero means all."""
    return 0 if text == "all" else parse_units(text)


TEXT = Read("text", _read_text)
NUMBER = Read("number", _read_number)
AMOUNT = Read("amount", parse_units)
ALL_OR_AMOUNT = Read("amount", _read_all_or_amount)
WHOLE = Read("number", _read_whole)
SMALL = Read("number", _read_small)
LIMIT = Read("amount", _read_limit)
ACCOUNT = Read("address or name", _read_account)
WALLET = Read("name", _read_wallet)
MEMO = Read("memo", _read_memo)
CASE = Read("case", _matching(_CASE, "a case's number", "Use letters, digits, dots, slashes and hyphens."))
HASH = Read("hash", _matching(_HASH, "a 32-byte hash", "A hash is 0x and 64 small hexadecimal digits."))
SIGNATURE = Read("signature", _matching(_SIGNATURE, "a signature", "A signature is 0x and hexadecimal digits."))
_KEY_TYPE = Read("key", _matching(_KEY, "a key of 1 to 128 printable characters", "Use for example a UUID."))
_OPERATOR_TYPE = Read("name", _matching(_OPERATOR, "an operator's name", "Use letters, digits, dots and hyphens."))


SIGNED = {"ignore_unknown_options": True}
"""Context settings of commands with an amount: a negative one is refused as an amount, not taken for an option."""


def answers(command: Command) -> Command:
    """A command that shows something: it takes --json, and the session as its first argument."""
    option = click.option("--json", "as_json", is_flag=True, expose_value=False, help="Answer as JSON.")
    return option(click.pass_obj(command))


def asks(command: Command) -> Command:
    """A command that asks for a change: it also takes --key and --operator."""
    key = click.option(
        "--key",
        "request_key",
        type=_KEY_TYPE,
        expose_value=False,
        callback=_keep_key,
        help="Idempotency key: the same request under it is carried out once. Made and shown if absent.",
    )
    operator = click.option(
        "--operator",
        type=_OPERATOR_TYPE,
        expose_value=False,
        callback=_keep_operator,
        help="Who asks, as the log will name it. Default: ISSUER_OPERATOR, or the login name.",
    )
    return key(operator(answers(command)))


def cases(command: Command) -> Command:
    """A command that uses a power: it also takes --case."""
    option = click.option("--case", type=CASE, required=True, help="The case that it is done under; the log names it.")
    return option(asks(command))


def orders(command: Command) -> Command:
    """A command that orders an act of the contracts: it also takes --prepare."""
    option = click.option(
        "--prepare",
        is_flag=True,
        expose_value=False,
        callback=_keep_prepare,
        help="Order nothing: show the call, for another signer such as a multisig to send.",
    )
    return option(cases(command))


def _keep_prepare(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    session: Session = ctx.obj
    session.prepares = value


def _keep_key(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    session: Session = ctx.obj
    session.key = value


def _keep_operator(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    session: Session = ctx.obj
    session.operator = value
