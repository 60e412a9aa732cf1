"""The stranger's verifier on a whole world: what it says when everything is true, and what it needs."""

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from packaging.requirements import Requirement

from issuer import verify
from issuer.audit.folder import LogFolder
from issuer.money import parse_units
from issuer.tlog import checkpoint, merkle
from issuer.verify import Seen, Unknown
from tests import anvil, stranger
from tests.anvil import ROOT
from tests.world import World

EARLIER = 40
"""Blocks of the chain before the issuer's first."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with anvil.run() as chain:
        chain.mine(EARLIER)
        world = World.create(tmp_path_factory.mktemp("world"), chain)
        stranger.live(world)
        yield world
        world.close()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class CompressingHandler(QuietHandler):
    """Compresses whether or not it is asked to, as tlog-tiles allows."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        body = gzip.compress(path.read_bytes()) if path.is_file() else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(params=[QuietHandler, CompressingHandler])
def server(world: World, request: pytest.FixtureRequest) -> Iterator[str]:
    """The log folder as it lies, behind a static file server."""
    handler = partial(request.param, directory=world.issuer.home.log)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_true_story_holds_in_every_statement(world: World) -> None:
    verdict = stranger.check(world)
    assert verdict.failure == ""
    assert (verdict.orders, verdict.mints, verdict.redemptions) == (2, 2, 1)
    assert (verdict.minted, verdict.redeemed) == (parse_units("1000000"), parse_units("100000"))
    assert (verdict.supply, verdict.reserve, verdict.paid) == tuple(
        parse_units(amount) for amount in ("900000", "900000", "100000")
    )
    assert verdict.quorum == "2 of 2"
    assert verdict.pending == 0
    assert 0 < verdict.anchored < verdict.size
    assert (verdict.powers, verdict.outside) == (3, 0)  # two wallets verified, one account frozen


def test_the_log_may_lie_behind_a_static_file_server(world: World, server: str) -> None:
    near, far = stranger.check(world), stranger.check(world, server)
    assert far.failure == ""
    assert (far.size, far.root, far.supply) == (near.size, near.root, near.supply)
    assert 0 < far.checkpoints < near.checkpoints  # a server lists no files: only the anchored ones are asked for


class GrowingLog(verify.Source):
    """A folder that grows whenever its `checkpoint` was read, and loses partial files once they are listed."""

    def __init__(self, world: World, path: Path) -> None:
        super().__init__(str(stranger.publish(path, stranger.bodies(world), stranger.signer(world))))
        self._records, self._signer = stranger.bodies(world), stranger.signer(world)
        self._folder = LogFolder(path, self._signer.verifier)
        self.grow()

    def grow(self) -> None:
        self._records.append(stranger.record("lock.cleared", f"lock:{len(self._records)}", None))
        note = checkpoint.sign(len(self._records), merkle.root(self._records), self._signer)
        self._folder.extend(note, lambda start, end: self._records[start:end])

    def read(self, path: str) -> bytes | None:
        found = super().read(path)
        if path == "checkpoint":
            self.grow()
        return found

    def _narrower(self, path: str, width: int) -> list[int]:
        found = super()._narrower(path, width)
        for older in found:
            (Path(self._place) / f"{path}.p/{older}").unlink()
        return found


def test_a_log_that_grows_while_it_is_read_holds(world: World, tmp_path: Path) -> None:
    source, key = GrowingLog(world, tmp_path / "log"), verify.Key.parse(stranger.vkey(world))
    node = verify.Node(world.chain.url)
    verdict, _ = verify.verify(node, source, world.token, key, seen=None, grace=0, say=lambda _: None)
    assert verdict.failure == ""


def test_the_next_run_must_find_what_this_one_saw(world: World) -> None:
    _, seen = stranger.run(world)
    assert seen is not None
    again = stranger.check(world, seen=seen)
    assert (again.failure, again.seen) == ("", seen.size)


def test_only_the_token_s_own_time_is_read(world: World) -> None:
    """A public chain is millions of blocks old when an issuer begins; the first block is found by halving."""
    node = Listening(world.chain.url)
    verdict = check_with(world, node)
    assert verdict.failure == ""
    assert EARLIER < verdict.first_block <= EARLIER + 2
    assert min(node.first_blocks) == verdict.first_block
    assert sum(method == "eth_getCode" for method in node.asked) < 20


class Listening(verify.Node):
    """Remembers what it was asked."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked: list[str] = []
        self.first_blocks: list[int] = []

    def ask(self, method: str, *params: Any) -> Any:
        self.asked.append(method)
        if method == "eth_getLogs":
            self.first_blocks.append(int(params[0]["fromBlock"], 16))
        return super().ask(method, *params)


class Amnesiac(Listening):
    """Says that no contract was ever there before its newest block, as some nodes do that keep no old states."""

    def ask(self, method: str, *params: Any) -> Any:
        answer = super().ask(method, *params)
        newest = hex(int(super().ask("eth_blockNumber"), 16))
        return "0x" if method == "eth_getCode" and params[1] != newest else answer


def test_a_node_that_forgot_when_the_contracts_came_is_read_from_the_first_block(world: World) -> None:
    verdict = check_with(world, Amnesiac(world.chain.url))
    assert (verdict.failure, verdict.first_block) == ("", 0)


def test_a_reader_may_say_since_when_to_such_a_node(world: World) -> None:
    node = Amnesiac(world.chain.url)
    verdict = check_with(world, node, since=EARLIER)
    assert (verdict.failure, verdict.first_block) == ("", EARLIER)
    with pytest.raises(Unknown, match=r"the token was there before block .* say an earlier one"):
        check_with(world, node, since=world.chain.number() - 3)


def check_with(world: World, node: verify.Node, say: verify.Say = lambda _: None, *, since: int = 0) -> verify.Verdict:
    key, source = verify.Key.parse(stranger.vkey(world)), verify.Source(str(world.issuer.home.log))
    return verify.verify(node, source, world.token, key, seen=None, grace=0, since=since, say=say)[0]


def test_it_is_one_file_that_runs_alone(world: World, tmp_path: Path) -> None:
    """With nothing but the standard library and what ``pip install web3 cryptography`` brings; it remembers."""
    program, packages = tmp_path / "verify.py", tmp_path / "packages"
    program.write_text((ROOT / "issuer" / "verify.py").read_text())
    link_packages(packages, {"web3", "cryptography"})
    options = ["--rpc", world.chain.url, "--token", world.token, "--key", str(world.issuer.home.log_key)]
    options += ["--log", str(world.issuer.home.log), "--state", str(tmp_path / "seen.json")]
    code = (
        f"import runpy, sys; sys.path.append({str(packages)!r}); runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    )
    run = partial(subprocess.run, capture_output=True, text=True, check=True, cwd=tmp_path)
    alone = run([sys.executable, "-I", "-S", "-c", code, str(program), *options])
    assert "VERIFIED: all 16 statements hold" in alone.stdout
    assert alone.stderr == ""
    second = run([sys.executable, "-I", "-S", "-c", code, str(program), *options, "--json"])
    assert json.loads(second.stdout)["seen"] == Seen(**json.loads((tmp_path / "seen.json").read_text())).size


def link_packages(folder: Path, wanted: set[str]) -> None:
    """A folder of what these packages and all that they need have installed, and of nothing else."""
    folder.mkdir()
    done = set[str]()
    while names := wanted - done:
        for name in names:
            done.add(name)
            found = distribution(name)
            needed = [Requirement(text) for text in found.requires or []]
            wanted |= {need.name for need in needed if need.marker is None or need.marker.evaluate({"extra": ""})}
            for top in {file.parts[0] for file in found.files or [] if file.parts[0] not in ("..", "__pycache__")}:
                with suppress(FileExistsError):
                    (folder / top).symlink_to(Path(str(found.locate_file(top))))
    assert "issuer" not in {entry.name for entry in folder.iterdir()}


def test_a_verdict_says_what_it_found_and_what_nobody_can_know(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--rpc", world.chain.url, "--token", world.token, "--key", stranger.vkey(world)]
    arguments += ["--log", str(world.issuer.home.log), "--state", str(tmp_path / "seen.json")]
    assert verify.main(arguments) == 0
    said = capsys.readouterr().out
    attestors = [party._key.address.lower() for party in (world.bank, world.auditor) if party._key]
    for line in (
        "mints          2 orders in 2 mints, 1,000,000.000000 CNH",
        "redemptions    1, 100,000.000000 CNH",
        "supply         900,000.000000 CNH",
        "owed           900,000.000000 CNH: supply, and redemptions not yet paid",
        "reserve        900,000.000000 CNH: 0.000000 more than is owed",
        f"attestors      quorum 2 of 2: {', '.join(sorted(attestors))}; 0 changes since the deployment; "
        "0 signatures by contracts",
        *(f"{statement:4}  {statement.meaning}" for statement in verify.Statement if statement != 5),
        "   5  the records lead to the root that this verifier saw last time: this is the first time",
        "   -  that the money is at the bank: attestors have signed for it (quorum 2 of 2), nobody else",
        "   -  that you are shown the log that others are shown: keep what was seen with --state, and compare it",
    ):
        assert f"{line}\n" in said
    assert verify.main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["failure"], told["statement"], told["orders"], told["seen"]) == ("", 0, 2, told["size"])
    assert not any("others are shown" in what for what in told["unproven"])


def test_the_document_names_the_statements_as_the_program_does() -> None:
    rows = re.findall(r"^\| ([0-9]+) \| (.*?) \|", (ROOT / "docs" / "verify.md").read_text(), re.MULTILINE)
    assert [(int(number), text) for number, text in rows] == [(item, item.meaning) for item in verify.Statement]


def test_it_says_how_far_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To a person at a terminal, and to nobody else."""
    said = list[str]()
    check_with(world, verify.Node(world.chain.url), said.append)
    kinds = [text.split()[0] for text in said]
    assert list(dict.fromkeys(kinds)) == ["looking", "blocks", "records", "comparing"]
    verify._progress()("blocks 1 of 2")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    verify._progress()("blocks 1 of 2")
    assert "blocks 1 of 2" in capsys.readouterr().err


def test_the_exit_status_tells_false_from_unknown(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--rpc", world.chain.url, "--token", world.token, "--key", stranger.vkey(world)]
    assert verify.main([*arguments, "--log", str(world.issuer.home.log)]) == 0
    assert verify.main([*arguments, "--log", str(tmp_path)]) == 1
    assert "FALSE: statement 1 (signed): the log has no file checkpoint" in capsys.readouterr().out
    assert verify.main([*arguments, "--log", str(tmp_path / "nowhere")]) == 2
    assert "cannot look: there is no folder" in capsys.readouterr().err
    swapped = [*arguments[:3], arguments[3].swapcase().replace("X", "x", 1), *arguments[4:]]
    with pytest.raises(SystemExit, match="2"):
        verify.main([*swapped, "--log", str(world.issuer.home.log)])
    assert "wrong checksum" in capsys.readouterr().err
    arguments[1] = "http://127.0.0.1:9"
    assert verify.main([*arguments, "--log", str(world.issuer.home.log)]) == 2
    assert "cannot look: http://127.0.0.1:9 does not answer" in capsys.readouterr().err
    assert verify.main([*arguments, "--log", str(world.issuer.home.log), "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["statement"], told["failure"].startswith("cannot look: ")) == (None, True)


def test_a_node_that_gives_few_logs_at_once_is_asked_again(world: World) -> None:
    """Public nodes refuse long ranges; the answer must be the same."""
    asked = []

    class Narrow(verify.Node):
        def ask(self, method: str, *params: object) -> object:
            if method == "eth_getLogs":
                wanted = params[0]
                assert isinstance(wanted, dict)
                span = int(wanted["toBlock"], 16) - int(wanted["fromBlock"], 16)
                asked.append(span)
                if span > 10:
                    raise Unknown("query exceeds max block range 10")
            return super().ask(method, *params)

    verdict = check_with(world, Narrow(world.chain.url))
    assert verdict.failure == ""
    assert verdict.supply == parse_units("900000")
    assert max(asked) > 10


def test_a_witness_cosigns_what_holds_and_extends_what_it_saw(world: World, tmp_path: Path) -> None:
    """C2SP cosignature/v1: the line binds the time and the whole checkpoint; others' lines stay as they are."""
    arguments = ["--rpc", world.chain.url, "--token", world.token, "--key", stranger.vkey(world)]
    arguments += ["--state", str(tmp_path / "seen.json"), "--grace", "0"]
    arguments += ["--witness", str(tmp_path / "witness.key"), "--witness-name", "example.org/witness"]
    assert verify.main([*arguments, "--log", str(world.issuer.home.log)]) == 0
    own, _ = verify.witness_key(tmp_path / "witness.key", "example.org/witness")
    note = (tmp_path / "seen.checkpoint").read_text()
    assert (verify.cosigned(note, own) or 0) > 1_700_000_000
    assert verify.cosigned(note.replace("\n\n", "\nmore\n\n", 1), own) is None
    verify.open_checkpoint(note, verify.Key.parse(stranger.vkey(world)), "the cosigned checkpoint")

    (tmp_path / "seen.checkpoint").unlink()
    forked = [*stranger.bodies(world)[:-1], stranger.record("lock.cleared", "lock:1", None)]
    log = stranger.publish(tmp_path / "log", forked, stranger.signer(world))
    assert verify.main([*arguments, "--log", str(log)]) == 1
    assert not (tmp_path / "seen.checkpoint").exists()


def test_an_event_may_lack_its_record_only_while_it_is_new() -> None:
    """Excused: what is not final, or not older than the patience allows; never what a recorded event follows."""

    def event(block: int, time: int) -> verify.Event:
        return verify.Event(block, 0, "Minted", "0x", "0x", time, {})

    late = verify.Late(final=10, until=1000)
    late.excuse(event(11, 900), verify.Statement.MINTED, "not final")
    late.excuse(event(10, 1001), verify.Statement.MINTED, "new")
    assert late.pending == 2
    with pytest.raises(verify.Untrue, match="final and old on chain"):
        late.excuse(event(10, 1000), verify.Statement.MINTED, "final and old")
    late.recorded(event(12, 1200))
    with pytest.raises(verify.Untrue, match="before a recorded one on chain"):
        late.excuse(event(11, 1100), verify.Statement.MINTED, "before a recorded one")
