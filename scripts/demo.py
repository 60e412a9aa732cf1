"""The main job, once: money becomes tokens, tokens move between two platforms and become money again.

Real programs do it: an Anvil chain, the mock bank, the auditor and the issuer's daemon, each a process of its own;
what people do is done through the command line. It replaces `.issuer/demo` and leaves it, to be started again.
"""

import contextlib
import io
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from issuer import cli
from issuer.chain import rpc
from issuer.chain.node import HttpNode, NodeError
from issuer.errors import IssuerError, Refused
from issuer.messages import contracts
from issuer.messages.contracts import TOKEN
from issuer.mockbank import cli as mockbank_cli

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".issuer" / "demo"
BIN = Path(sys.executable).parent

A_BANK, B_BANK = "388000000001", "388000000002"
PATIENCE = 60  # seconds that one step may take

DIM, BOLD, GREEN, PLAIN = ("\033[2m", "\033[1m", "\033[32m", "\033[0m") if sys.stdout.isatty() else ("", "", "", "")


class Stage:
    """The processes, and what is said while they work."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *command: str) -> None:
        """Run a program beside this one; what it says is kept in the home."""
        name = "-".join(command)
        with (HOME / f"{name}.out").open("wb") as output:
            process = subprocess.Popen([BIN / command[0], *command[1:]], stdout=output, stderr=output)  # noqa: S603
        self._processes[name] = process
        print(f"         {DIM}$ {' '.join(command)} &{PLAIN}", flush=True)

    def check(self) -> None:
        """Raise Refused if a program has ended that should run on."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise Refused(f"{name} has ended by itself", f"See what it said in {HOME / name}.out.")

    def end(self) -> None:
        for process in reversed(self._processes.values()):
            process.terminate()
            process.wait()

    def say(self, text: str) -> None:
        print(f"{GREEN}{time.monotonic() - self._began:6.1f}s{PLAIN}  {text}", flush=True)

    def until(self, reached: Callable[[], Any], text: str) -> Any:
        """Wait until something is so, then say it. Raises Refused if it takes too long."""
        ends = time.monotonic() + PATIENCE
        while not (found := reached()):
            self.check()
            if time.monotonic() > ends:
                raise Refused(f"this has not come true in {PATIENCE} seconds: {text}", f"See what is in {HOME}.")
            time.sleep(0.2)
        self.say(text)
        return found


def issuer(*arguments: str, shown: bool = True) -> Any:
    """Carry out one `issuer` command line; its answer. Raises Refused."""
    return _carry_out(cli.run, "issuer", arguments, shown=shown)


def mockbank(*arguments: str) -> Any:
    """Carry out one `mockbank` command line; its answer. Raises Refused."""
    return _carry_out(mockbank_cli.run_command, "mockbank", arguments, shown=True)


def _carry_out(run: Callable[[list[str]], int], name: str, arguments: tuple[str, ...], *, shown: bool) -> Any:
    if shown:
        words = (f'"{word}"' if " " in word else word for word in arguments)
        print(f"         {DIM}$ {name} {' '.join(words)}{PLAIN}", flush=True)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = run([*arguments, "--json"])
    answer = json.loads(output.getvalue())
    if status:
        raise Refused(answer["error"]["what"], answer["error"]["do"])
    return answer


def prepare() -> None:
    """An empty home, and the environment that its programs share."""
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    passphrase = HOME / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text(secrets.token_urlsafe(24) + "\n")
    shared = {
        "ISSUER_HOME": str(HOME),
        "MOCKBANK_HOME": str(HOME / "bank"),
        "AUDITOR_HOME": str(HOME / "auditor"),
        "BANK_FOLDER": str(HOME / "bank-folder"),
        "RPC_URL": f"http://127.0.0.1:{_free_port()}",
        "ISSUER_PASSPHRASE_FILE": str(passphrase),
        "MOCKBANK_PASSPHRASE_FILE": str(passphrase),
        "AUDITOR_PASSPHRASE_FILE": str(passphrase),
    }
    os.environ.update(shared)
    lines = [f"export {name}={value!r}" for name, value in shared.items()]
    (HOME / "env").write_text("\n".join([*lines, f"export PATH={str(BIN)!r}:$PATH", ""]))


def start_everything(stage: Stage) -> None:
    issuer("init")
    stage.start("issuer", "chain")
    mockbank("init")
    mockbank("auditor", "init")
    stage.until(_chain_answers, "issuer, bank and auditor have their keys; a chain makes a block a second")
    stage.start("mockbank", "run")
    stage.start("mockbank", "auditor", "run")
    token = issuer("deploy")["token"]
    stage.start("issuer", "run")
    stage.say(f"the contracts are deployed and wired; the token is {token}")


def onboard(stage: Stage) -> None:
    """Platforms A and B, each with a bank account in its own name and a wallet it has signed for; A pays in."""
    for number, (wallet, account) in enumerate((("a", A_BANK), ("b", B_BANK)), start=1):
        name = f"Platform {wallet.upper()} Limited"
        issuer("customer", "add", name, "--jurisdiction", "HK", "--account", account)
        issuer("wallet", "new", wallet)
        issuer("wallet", "challenge", wallet, "--customer", str(number))
        issuer("wallet", "register", wallet, "--sign-with", wallet)
    mockbank("wire", "--from", A_BANK, "--name", "Platform A Limited", "--amount", "1000000.00")
    stage.until(
        lambda: [row["state"] for row in issuer("wallet", "list", shown=False)] == ["verified"] * 2,
        "both wallets are proven, and verified on chain",
    )


def mint(stage: Stage) -> None:
    stage.until(lambda: issuer("deposit", "list", shown=False), "the bank's camt.054 says 1,000,000.00 came from A")
    issuer("mint", "request", "1000000.00", "--customer", "1", "--wallet", "a")
    stage.until(
        lambda: _payout("MINT") == "paid", "pain.001: the money moved from the collection to the reserve account"
    )
    stage.until(lambda: _report() in ("attested", "final"), "bank and auditor signed a reserve report that includes it")
    stage.until(
        lambda: issuer("mint", "show", "1", shown=False)["state"] == "final",
        "1,000,000.000000 OCNH are minted to A, finally",
    )


def pay_and_redeem(stage: Stage) -> None:
    issuer("transfer", "a", "b", "250000.00", "--memo", "invoice 7")
    stage.until(lambda: _holding("b") == 250_000_000_000, "A has paid B 250,000.00 on chain, with the memo invoice 7")
    issuer("redeem", "b", "100000.00")
    stage.until(lambda: issuer("redemption", "list", shown=False), "B's 100,000.00 are burned; they are due in one day")
    stage.until(lambda: _payout("REDEEM") == "paid", "pain.001, pain.002, camt.054: the bank paid B 100,000.00")


def close_the_day(stage: Stage) -> None:
    number = _ask_for_report()
    stage.until(lambda: _report(number) == "final", "a report after the payment is on chain: nothing is left unpaid")
    mockbank("statement")
    stage.until(_reconciled, "the bank has written its statements")
    print(f"         {DIM}$ issuer reconcile{PLAIN}", flush=True)
    stage.until(_reconciled, "reconciled, exactly: chain = books, bank statements = books")
    issuer("audit", "verify")
    stage.say("verified: the log is whole, signed, and extends what is anchored on chain")


def show_refusals(stage: Stage) -> None:
    """Four things that do not happen; the contract's are asked by eth_call, as the key that could do them."""
    with contextlib.closing(HttpNode(os.environ["RPC_URL"])) as node:
        print(f"\n{BOLD}What is refused{PLAIN}")
        order = issuer("mint", "request", "500.00", "--customer", "1", "--wallet", "a")
        waits = issuer("mint", "show", str(order["id"]), shown=False)["waits_for"]
        stage.say(f"a mint without money waits for {waits}")
        issuer("mint", "cancel", str(order["id"]))
        made = json.loads((HOME / "deployment.json").read_text())
        for text, caller, target, data in _forbidden_calls(made):
            stage.say(f"{text}: {_refusal(node, caller, target, data)}")


def _forbidden_calls(made: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    sender, a = _key("sender"), _wallet("a")
    shown = issuer("mint", "show", "1", shown=False)
    orders, reference = [[a, 1_000_000_000_000]], shown["batch_reference"]
    more = contracts.mint_call(shown["number"] + 1, "0x" + "00" * 32, [[a, 1]])
    yield "0.000001 more than the reserve, minted by the minting key itself", sender, made["minter"], more
    again = contracts.mint_call(shown["number"], reference, orders)
    yield "the batch that was minted, minted again", sender, made["minter"], again
    stranger = "0x" + "5e" * 20
    data = TOKEN.call("transfer", stranger, 1)
    yield "a transfer to a wallet that nobody has proven", a, made["token"], data


def _refusal(node: HttpNode, caller: str, target: str, data: str) -> str:
    try:
        rpc.read(node, target, data, sender=caller)
    except NodeError as error:
        name, arguments = contracts.decode_error(error.data or "0x")
        return contracts.explain(name, arguments.values())
    raise Refused("the contract allowed what it must refuse", "Do not use these contracts.")


def show_the_end() -> None:
    status = issuer("status", shown=False)
    (HOME / "status.json").write_text(json.dumps(status, indent=2) + "\n")
    print(f"\n{BOLD}Where it stands{PLAIN}")
    for command in (["status"], ["ledger", "balances"]):
        print(f"         {DIM}$ issuer {' '.join(command)}{PLAIN}", flush=True)
        cli.run(command)
    print(
        f"\n{BOLD}What to try next{PLAIN}, in a shell that knows this home:\n\n"
        f"  . {(HOME / 'env').relative_to(ROOT)}\n"
        "  issuer chain &  mockbank run &  mockbank auditor run &  issuer run &\n"
        "  issuer transfer a b 1.00 --memo hello\n"
        f"  issuer audit trace order:1\n"
        f"  mockbank wire --from {A_BANK} --name 'Platform A Limited' --amount 500.00\n"
        "  issuer deposit list; issuer mint request 500.00 --customer 1 --wallet a\n"
        "  issuer status\n"
    )


def _ask_for_report() -> int:
    """Ask for a report, as soon as the chain has a block later than the last one."""
    for _ in range(PATIENCE * 2):
        try:
            return int(issuer("report", "request", shown=False)["number"])
        except Refused:
            time.sleep(0.5)
    raise Refused("no report can be asked for", f"See what is in {HOME}.")


def _reconciled() -> bool:
    """Whether the books are right. What has just come in, the daemon must take first."""
    try:
        return bool(issuer("reconcile", shown=False))
    except Refused:
        return False


def _payout(kind: str) -> str | None:
    found = [row["state"] for row in issuer("payout", "list", shown=False) if row["kind"] == kind]
    return found[-1] if found else None


def _report(number: int | None = None) -> str | None:
    found = issuer("report", "show", *([] if number is None else [str(number)]), shown=False)
    return str(found["state"]) if found else None


def _holding(wallet: str) -> int:
    token = json.loads((HOME / "deployment.json").read_text())["token"]
    with contextlib.closing(HttpNode(os.environ["RPC_URL"])) as node:
        data = rpc.read(node, token, TOKEN.call("balanceOf", _wallet(wallet)))
    return int(TOKEN.output("balanceOf", data)["0"])


def _wallet(name: str) -> str:
    return _address("wallet", "name", name)


def _key(job: str) -> str:
    return _address("key", "job", job)


def _address(noun: str, column: str, value: str) -> str:
    return str(next(row["address"] for row in issuer(noun, "list", shown=False) if row[column] == value))


def _chain_answers() -> bool:
    with contextlib.closing(HttpNode(os.environ["RPC_URL"])) as node:
        try:
            return rpc.head(node).number >= 0
        except IssuerError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    print(f"{BOLD}Offshore Yuan Sandbox{PLAIN}: NOT LICENSED, testnets only\n")
    stage = Stage()
    try:
        prepare()
        start_everything(stage)
        for act in (onboard, mint, pay_and_redeem, close_the_day, show_refusals):
            act(stage)
        stage.until(
            lambda: not issuer("status", shown=False)["waits"], "every record is sealed in the log; nothing waits"
        )
        show_the_end()
    except IssuerError as error:
        print(f"error[{error.code}]: {error.what}\n{error.do}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        stage.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
