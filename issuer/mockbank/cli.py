"""The command line `mockbank`: the other end of the bank folder. What a command needs is imported when it runs."""

import fcntl
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from dotenv import load_dotenv

from issuer.errors import Conflict, InvalidInput, IssuerError, Misconfigured
from issuer.money import format_fen, format_units, parse_fen
from issuer.pace import Pace

if TYPE_CHECKING:
    from issuer.mockbank.auditor import Auditor
    from issuer.mockbank.bank import Bank

_INTERRUPTED = 130
_PATIENCE = 2.0  # seconds after a pass that could not be done

Step = Callable[[], int]


def _folder_default() -> str:
    return os.environ.get("BANK_FOLDER") or str(Path(os.environ.get("ISSUER_HOME") or ".issuer") / "bank-folder")


_json = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
_folder = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=_folder_default,
    help="The bank folder, shared with issuer and auditor. Default: $BANK_FOLDER, or the issuer's own default.",
)


def _home(variable: str, default: str) -> Callable[..., Any]:
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        envvar=variable,
        default=default,
        show_default=True,
        help=f"Where its database and its key lie; also {variable}.",
    )


_bank_home = _home("MOCKBANK_HOME", ".mockbank")
_auditor_home = _home("AUDITOR_HOME", ".auditor")


@click.group(context_settings={"max_content_width": 100})
def cli() -> None:
    """A bank to try an issuer against: accounts, ISO 20022 messages in a folder of files, signed reserve reports.

    \b
    Start a bank and an auditor:
      mockbank init                  accounts, books and the key that signs reserve reports
      mockbank auditor init          the second signer, with its own home and key
      mockbank run                   the bank, until Ctrl-C; `mockbank auditor run` in another terminal
    Then be a customer:
      mockbank wire --from 990000000001 --name "Platform A Limited" --amount 1000000.00
    And let things go wrong:
      mockbank return 100000000000   a payout comes back
      mockbank recall BK0000000001   a wire is taken back

    Passphrases: MOCKBANK_PASSPHRASE and AUDITOR_PASSPHRASE, or a file named by MOCKBANK_PASSPHRASE_FILE and
    AUDITOR_PASSPHRASE_FILE, or a prompt. Amounts are in yuan with at most two decimals, such as 1000000.00.
    """


@cli.command()
@_bank_home
@_folder
@click.option("--collection", default="012875000000001", show_default=True, help="Account that receives wires.")
@click.option("--reserve", default="012875000000002", show_default=True, help="Account that backs tokens.")
@click.option("--operating", default="012875000000003", show_default=True, help="The issuer's own account.")
@click.option("--operating-balance", default="1000000.00", show_default=True, help="Money on it at the start.")
@_json
def init(
    home: Path, folder: Path, collection: str, reserve: str, operating: str, operating_balance: str, as_json: bool
) -> None:
    """Make a bank: a home with its books and its key, and the issuer's three accounts.

    Doing it again with the same options changes nothing.
    """
    from issuer.clock import SystemClock
    from issuer.mockbank.bank import Bank

    with Bank.create(
        home,
        folder,
        SystemClock(),
        _passphrase("MOCKBANK", confirm=True),
        collection=collection,
        reserve=reserve,
        operating=operating,
        operating_fen=_fen(operating_balance),
    ) as bank:
        answer = {"home": str(home), "folder": str(bank.home.folder.path), "attestor": bank.attestor}
    _answer(answer, as_json, f"The bank in {home} signs as {answer['attestor']}. Start it with `mockbank run`.")


@cli.command()
@_bank_home
def run(home: Path) -> None:
    """Serve the folder until Ctrl-C: book orders, write notices and statements, sign reports."""
    with _bank(home, key=True) as bank:
        _serve(home, bank.step, f"The bank serves {bank.home.folder.path}. End it with Ctrl-C.")


@cli.command()
@_bank_home
@_json
def step(home: Path, as_json: bool) -> None:
    """Do one pass over the folder, and say how many files were taken and written."""
    with _bank(home, key=True) as bank:
        _answer_step(bank.step(), as_json)


@cli.command("open")
@click.argument("account")
@click.option("--name", required=True, help="The holder's name.")
@click.option("--balance", default="0.00", show_default=True, help="Money on it at the start.")
@_bank_home
@_json
def open_(account: str, name: str, balance: str, home: Path, as_json: bool) -> None:
    """Open a customer's ACCOUNT, which can never pay more than it holds.

    An account that is not open is opened by its first wire, and holds whatever that wire needs.
    """
    balance_fen = _fen(balance)
    with _bank(home) as bank:
        bank.open_account(account, name, balance_fen)
    answer = {"account": account, "name": name, "balance": format_fen(balance_fen)}
    _answer(answer, as_json, f"Account {account} of {name} holds {answer['balance']} CNY.")


@cli.command()
@click.argument("account")
@_bank_home
@_json
def close(account: str, home: Path, as_json: bool) -> None:
    """Close a customer's ACCOUNT: payments to it are rejected with AC04."""
    with _bank(home) as bank:
        bank.close_account(account)
    _answer({"account": account}, as_json, f"Payments to {account} are rejected from now on.")


@cli.command()
@click.option("--from", "sender", required=True, help="The customer's account.")
@click.option("--name", required=True, help="The sender's name, as the issuer will see it.")
@click.option("--amount", required=True, help="Such as 1000000.00.")
@click.option("--text", default="", help="Remittance text.")
@_bank_home
@_json
def wire(sender: str, name: str, amount: str, text: str, home: Path, as_json: bool) -> None:
    """Be a customer who pays into the issuer's collection account."""
    amount_fen = parse_fen(amount)
    with _bank(home) as bank:
        reference = bank.wire(sender, name, amount_fen, text)
    answer = {"reference": reference, "account": sender, "name": name, "amount": format_fen(amount_fen)}
    _answer(answer, as_json, f"{answer['amount']} CNY from {name} ({sender}) are booked as {reference}.")


@cli.command()
@click.argument("reference")
@_bank_home
@_json
def recall(reference: str, home: Path, as_json: bool) -> None:
    """Take back the wire with this REFERENCE: the collection account is debited."""
    with _bank(home) as bank:
        reversal = bank.recall(reference)
    _answer({"reference": reversal, "reverses": reference}, as_json, f"{reference} is reversed by {reversal}.")


@cli.command("return")
@click.argument("redemption", type=int, required=False)
@click.option("--end-to-end", help="Instead: the end-to-end id of any payout.")
@_bank_home
@_json
def return_(redemption: int | None, end_to_end: str | None, home: Path, as_json: bool) -> None:
    """Let the payout of a REDEMPTION come back, with its fee, as when the customer's account does not take it."""
    if (redemption is None) == (end_to_end is None):
        raise InvalidInput("exactly one payout comes back", "Give a redemption id, or --end-to-end and an id.")
    with _bank(home) as bank:
        reversal = bank.give_back(redemption_id=redemption, end_to_end_id=end_to_end)
    _answer({"reference": reversal}, as_json, f"The payout came back as {reversal}.")


@cli.command()
@click.option("--account", help="Only this account; otherwise collection and reserve.")
@_bank_home
@_json
def statement(account: str | None, home: Path, as_json: bool) -> None:
    """Write a camt.053 up to now. One is written by itself when a day ends in Hong Kong."""
    with _bank(home) as bank:
        drawn = bank.statement(account)
    rows = [
        {
            "sequence": each.sequence,
            "account": each.account,
            "opening": format_fen(each.opening_fen),
            "closing": format_fen(each.closing_fen),
            "entries": len(each.entries),
        }
        for each in drawn
    ]
    line = "Statement {sequence} of {account}: {opening} to {closing} CNY, {entries} entries."
    _answer({"statements": rows}, as_json, "\n".join(line.format(**row) for row in rows))


@cli.command()
@_bank_home
@_json
def balances(home: Path, as_json: bool) -> None:
    """Show every account, and what the bank attests of the reserve."""
    with _bank(home) as bank:
        accounts, figures = bank.accounts(), bank.figures()
    rows = [
        {"account": each.number, "name": each.name, "role": each.role.value, "balance": format_fen(each.balance_fen)}
        for each in accounts
    ]
    sums = {name: format_units(getattr(figures, name)) for name in ("reserve", "paid", "credited")}
    lines = [f"{row['role']:<11} {row['account']:<34} {row['balance']:>20}  {row['name']}" for row in rows]
    lines += [f"{name:<46} {value:>24} CNH" for name, value in sums.items()]
    _answer({"accounts": rows, "attested": sums}, as_json, "\n".join(lines))


@cli.group()
def auditor() -> None:
    """The second signer: it adds up the bank's notices itself before it signs the bank's report."""


@auditor.command("init")
@_auditor_home
@_folder
@click.option("--collection", default="012875000000001", show_default=True, help="The issuer's collection account.")
@click.option("--reserve", default="012875000000002", show_default=True, help="The account that is attested.")
@_json
def auditor_init(home: Path, folder: Path, collection: str, reserve: str, as_json: bool) -> None:
    """Make an auditor: a home with its own books and its own key."""
    from issuer.clock import SystemClock
    from issuer.mockbank.auditor import Auditor

    passphrase = _passphrase("AUDITOR", confirm=True)
    with Auditor.create(home, folder, SystemClock(), passphrase, collection=collection, reserve=reserve) as found:
        answer = {"home": str(home), "folder": str(found.home.folder.path), "attestor": found.attestor}
    done = f"The auditor in {home} signs as {answer['attestor']}. Start it with `mockbank auditor run`."
    _answer(answer, as_json, done)


@auditor.command("run")
@_auditor_home
def auditor_run(home: Path) -> None:
    """Read notices and statements, and answer requests for reports, until Ctrl-C."""
    with _auditor(home) as found:
        _serve(home, found.step, f"The auditor reads {found.home.folder.path}. End it with Ctrl-C.")


@auditor.command("step")
@_auditor_home
@_json
def auditor_step(home: Path, as_json: bool) -> None:
    """Do one pass over the folder; what contradicts itself is said."""
    with _auditor(home) as found:
        done, findings = found.step(), found.findings()
    _answer({"files": done, "findings": findings}, as_json, "\n".join([f"{done} files.", *findings]))


def main() -> None:
    """The program `mockbank`."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Carry out one command line; its exit status. Errors are printed, never raised."""
    as_json = "--json" in arguments
    # The issuer reads its settings there too, so that both find the same bank folder.
    load_dotenv(Path(".env"))
    try:
        cli.main(arguments, prog_name="mockbank", standalone_mode=False)
    except click.UsageError as error:
        if not as_json:
            error.show()
        else:
            _refuse("usage", error.format_message(), "See `mockbank --help`.", as_json)
        return error.exit_code
    except IssuerError as error:
        return _refuse(error.code, error.what, error.do, as_json)
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except OSError as error:
        return _refuse("unreachable", str(error), "Check the file it names, then try again.", as_json)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        do = "This is a defect of the program; PYTHONDEVMODE=1 shows all of it."
        return _refuse("defect", f"{type(error).__name__}: {error}", do, as_json)
    return 0


def _refuse(code: str, what: str, do: str, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps({"error": {"code": code, "what": what, "do": do}}))
    else:
        click.echo(f"error[{code}]: {what}\n{do}", err=True)
    return 1


def _answer(answer: dict[str, Any], as_json: bool, text: str) -> None:
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False) if as_json else text)


def _answer_step(files: int, as_json: bool) -> None:
    _answer({"files": files}, as_json, f"{files} files.")


def _bank(home: Path, *, key: bool = False) -> "Bank":
    from issuer.clock import SystemClock
    from issuer.mockbank.bank import Bank

    return Bank.open(home, SystemClock(), _passphrase("MOCKBANK") if key else None)


def _auditor(home: Path) -> "Auditor":
    from issuer.clock import SystemClock
    from issuer.mockbank.auditor import Auditor

    return Auditor.open(home, SystemClock(), _passphrase("AUDITOR"))


def _passphrase(party: str, *, confirm: bool = False) -> str:
    """From the environment, a file, or a prompt. Raises Misconfigured for a file that cannot be read or is empty."""
    set_ = os.environ.get(f"{party}_PASSPHRASE")
    if set_:
        return set_
    file = os.environ.get(f"{party}_PASSPHRASE_FILE")
    if file:
        return _read_passphrase(f"{party}_PASSPHRASE_FILE", Path(file))
    if not sys.stdin.isatty():
        raise Misconfigured("there is no passphrase", f"Set {party}_PASSPHRASE or {party}_PASSPHRASE_FILE.")
    return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))


def _read_passphrase(variable: str, file: Path) -> str:
    try:
        text = file.read_text().rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{variable} cannot be read: {error}", "Name a readable text file.") from None
    if not text:
        raise Misconfigured(f"{variable} is empty", "Write the passphrase on its first line.")
    return text


def _fen(text: str) -> int:
    return 0 if text in ("0", "0.00") else parse_fen(text)


def _serve(home: Path, step: Step, greeting: str) -> None:
    """Do a home's work until the process is told to end. Raises Conflict if another process does it already."""
    with (home / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"another process serves {home} already", "End that one first, or use it.") from None
        click.echo(greeting)
        _repeat(step)


def _repeat(step: Step) -> None:
    """Repeat a pass until the process is told to end. What cannot be done now is said once and tried again."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    said, pace = "", Pace()
    while not ended.is_set():
        try:
            pause, trouble = pace.after(step()), ""
        except IssuerError as error:
            pause, trouble = _PATIENCE, f"error[{error.code}]: {error.what}\n{error.do}"
        if trouble and trouble != said:
            click.echo(trouble, err=True)
        said = trouble
        ended.wait(pause)
