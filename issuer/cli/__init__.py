"""The command line `issuer`: nouns and verbs. A command's module is read only when the command is used.

A refusal is one sentence about what is wrong and one about what to do, on stderr, with exit status 1 (2 for a wrong
command line); with --json it is an object on stdout: {"error": {"code", "what", "do"}}.
"""

import json
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from issuer.cli.session import Session
from issuer.errors import IssuerError

_INTERRUPTED = 130

_SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Start": {
        "init": ("installation", "Make a home: settings, database and keys."),
        "chain": ("chain", "Run the local chain of this home."),
        "deploy": ("installation", "Deploy the contracts; what exists is left alone."),
        "run": ("daemon", "Run the service until it is told to end."),
        "step": ("daemon", "Run one step of the service."),
        "backup": ("backup", "Copy the database, while the service may run."),
        "restore": ("backup", "Put a copy in its place, in recovery."),
        "move": ("move", "Move the database to PostgreSQL."),
        "upgrade": ("move", "Bring the database to this version."),
    },
    "Customers": {
        "customer": ("customer", "Who may have tokens issued and redeemed."),
        "wallet": ("wallet", "Addresses whose control a customer has proven."),
    },
    "Money and tokens": {
        "deposit": ("deposit", "Money that came in."),
        "mint": ("mint", "Orders for tokens: ask, approve, follow."),
        "redemption": ("redemption", "Tokens that were burned, and what is owed for them."),
        "payout": ("payout", "Every payment ordered from the bank."),
        "report": ("report", "What bank and auditor have signed about the reserve."),
        "transfer": ("holder", "Send tokens from a local wallet."),
        "redeem": ("holder", "Redeem tokens of a local wallet."),
    },
    "Powers": {
        "freeze": ("power", "Freeze accounts, at once."),
        "unfreeze": ("power", "Propose to unfreeze an account."),
        "seize": ("power", "Propose to seize a frozen balance under a case."),
        "stop": ("power", "Stop transfers, mints or redemptions, at once."),
        "resume": ("power", "Propose to resume what is stopped."),
        "limit": ("limit", "The limits of the minting keys."),
        "attestor": ("attestor", "Who signs reserve reports."),
        "role": ("role", "Who may do what."),
        "token": ("token", "The token's parameters; retire it."),
        "act": ("act", "What was ordered of the contracts, and what waits there."),
        "recovery": ("backup", "What a restored database still lacks."),
        "lock": ("lock", "What stops the service, why, and what lifts it."),
        "key": ("key", "The home's keys: list them, resume a halted one."),
        "transaction": ("transaction", "Transactions that wait: list them, give one up."),
    },
    "Look": {
        "status": ("status", "How things stand, and what waits for whom."),
        "ledger": ("ledger", "The books."),
        "audit": ("audit", "The log: show, trace, verify."),
        "verify": ("verify", "Check log and chain as a stranger does."),
        "receipt": ("receipt", "What a customer takes home, to be checked anywhere."),
        "reconcile": ("reconcile", "Compare chain, books and bank statement, exactly."),
    },
}


class _Root(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        return [name for section in _SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        for section in _SECTIONS.values():
            if cmd_name in section:
                module = import_module(f"issuer.cli.{section[cmd_name][0]}")
                command: click.Command = getattr(module, cmd_name)
                return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, section in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, help_) for name, (_, help_) in section.items()], col_max=13)


_root = _Root(
    name="issuer",
    help="""Run an issuer of a fully reserved offshore-yuan stablecoin: a sandbox, on testnets only.

    \b
    A first run, each in its own terminal where it stays:
      issuer init && issuer chain        a home with its keys, and a local chain
      mockbank init && mockbank run      a bank to wire from
      mockbank auditor init, then run    the second signer of reserve reports
      issuer deploy && issuer run        the contracts, then the service

    Everything that answers takes --json. Every request takes --key: the same request under the same key is carried
    out once, and answered alike for ever. Amounts are CNH, such as 1000000.00. Settings: see `.env.example`.
    """,
)


def main() -> None:
    """The program `issuer`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line; its exit status. Errors are printed, never raised."""
    session = Session(as_json="--json" in arguments)
    try:
        _root.main(list(arguments), prog_name="issuer", standalone_mode=False, obj=session)
    except click.UsageError as error:
        _print_usage_error(error, session)
        return error.exit_code
    except IssuerError as error:
        return _refuse(error.code, error.what, error.do, session)
    except click.Abort:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        return _refuse(*_describe(error), session)
    finally:
        session.close()
    return 0


def _print_usage_error(error: click.UsageError, session: Session) -> None:
    if session.as_json:
        do = f"See `{error.ctx.command_path if error.ctx else 'issuer'} --help`."
        _refuse("usage", error.format_message(), do, session)
    else:
        error.show()


def _refuse(code: str, what: str, do: str, session: Session) -> int:
    if session.as_json:
        try:
            click.echo(json.dumps({"error": {"code": code, "what": what, "do": do}}))
            return 1
        except OSError:
            # Nothing can be said there, which may be the very error.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    click.echo(f"error[{code}]: {what}\n{do}", err=True)
    return 1


def _describe(error: Exception) -> tuple[str, str, str]:
    """An error that no part expected, without its traceback."""
    if type(error).__module__.startswith("sqlalchemy"):
        reason = str(getattr(error, "orig", error)).strip().partition("\n")[0]
        return "unreachable", f"the database refused: {reason}", "Check the database, then try again."
    if isinstance(error, OSError):
        return "unreachable", str(error), "Check the file or the service it names, then try again."
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__} in {place.name} ({place.filename}:{place.lineno}): {error}"
    return "defect", what, "This is a defect of the program; PYTHONDEVMODE=1 shows all of it."
