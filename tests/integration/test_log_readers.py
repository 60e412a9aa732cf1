"""The log folder behind a static file server, read by a client that knows nothing but the C2SP's texts."""

import base64
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from issuer import verify
from issuer.audit.folder import LogFolder
from issuer.tlog import checkpoint, merkle
from issuer.tlog.note import Signer, Verifier
from tests import anvil, c2sp, stranger
from tests.c2sp import Client, Key, Rejected
from tests.world import World

SIZES = (300, 65_536, 70_000)
"""A log grows over the edges of a bundle, of a tile of level 1, and to tlog-tiles' own example."""


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder)) as server:
        thread = Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def entry(index: int) -> bytes:
    return b"entry %d" % index


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
    verifier = Verifier(name="example.com/log", public_key=key.public_key().public_bytes_raw())
    path = tmp_path_factory.mktemp("log")
    (path / "vkey").write_text(verifier.vkey)
    log = LogFolder(path / "log", verifier)
    entries = [entry(index) for index in range(SIZES[-1])]
    for size in SIZES:
        note = checkpoint.sign(size, merkle.root(entries[:size]), Signer(verifier=verifier, sign=key.sign))
        log.extend(note, lambda start, end: entries[start:end])
    return path


@pytest.fixture
def client(folder: Path) -> Iterator[Client]:
    with served(folder / "log") as prefix:
        yield Client(prefix, Key.read((folder / "vkey").read_text()))


# -- the reader itself, on what others have published


def test_the_reader_opens_a_note_that_others_signed() -> None:
    """From golang.org/x/mod/sumdb/note."""
    key = Key.read("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    line = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    note = f"{text}\n\u2014 PeterNeumann {line}\n".encode()
    assert c2sp.open_note(note, key) == (text.encode(), None)
    with pytest.raises(Rejected):
        c2sp.open_note(note.replace(b"answer", b"ANSWER"), key)


def test_the_reader_knows_a_cosigner_s_key_and_time() -> None:
    """A witness's published key (transparency-dev/formats), and the time in the example of tlog-cosignature."""
    key = Key.read("remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2")
    assert key.kind == 4
    line = "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
    blob = base64.b64decode(line)
    assert (len(blob), *struct.unpack(">Q", blob[4:12])) == (76, 1679315147)


def test_the_reader_hashes_and_names_as_others_do() -> None:
    """A leaf from golang.org/x/mod/sumdb/tlog; the name from tlog-tiles."""
    assert base64.b64encode(c2sp.leaf(b"hello world")) == b"TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0="
    assert c2sp.path_of(0, 1234067) == "tile/0/x001/x234/067"
    assert c2sp.path_of("entries", 273, 112) == "tile/entries/273.p/112"


# -- our log, read by it


def test_any_entry_is_proven_from_tiles(client: Client) -> None:
    size, root = client.head()
    assert size == SIZES[-1]
    client.require_root(size, root)
    for index in (0, 255, 256, 65_535, 65_536, 69_999):
        assert client.require_included(index, size, root) == entry(index)


def test_a_proof_takes_few_files(client: Client) -> None:
    """The checkpoint, one tile a level from the leaf up and along the right edge, the entry's bundle."""
    size, root = client.head()
    client.require_included(12_345, size, root)
    assert len(client.fetched) <= 8


def test_every_checkpoint_is_a_beginning_of_the_last(client: Client) -> None:
    size, root = client.head()
    for old in SIZES:
        was, then = client.head(c2sp.path_of("", old).replace("tile//", "checkpoints/"))
        assert was == old
        client.require_root(size, then, of=old)
    with pytest.raises(Rejected):
        client.require_root(size, root, of=SIZES[0])


def test_the_tiles_of_a_past_checkpoint_are_still_there(client: Client) -> None:
    """Or the full ones that replaced them, as tlog-tiles allows."""
    assert c2sp.leaf(entry(69_999)) == client.get("tile/0/273.p/112")[-32:]
    assert len(client.get("tile/1/000")) == 8192
    assert len(client.get("tile/1/001.p/17")) == 17 * 32
    assert len(client.get("tile/2/000.p/1")) == 32


def test_another_key_is_refused(client: Client) -> None:
    other = Verifier(name="example.com/log", public_key=bytes(range(32)))
    with pytest.raises(Rejected, match="there is no signature"):
        Client(client.prefix, Key.read(other.vkey)).head()


# -- the log of a world that lived


def test_the_reader_and_the_verifier_agree_on_a_whole_world(tmp_path: Path) -> None:
    """The anchored checkpoints of a real life, every record, and the line that our witness adds."""
    with anvil.run() as chain:
        world = World.create(tmp_path / "world", chain)
        stranger.live(world)
        arguments = ["--rpc", chain.url, "--token", world.token, "--key", stranger.vkey(world)]
        arguments += ["--state", str(tmp_path / "seen.json"), "--log", str(world.issuer.home.log), "--grace", "0"]
        arguments += ["--witness", str(tmp_path / "witness.key"), "--witness-name", "example.org/witness"]
        assert verify.main(arguments) == 0
        anchors = verify._anchors(verify.Node(chain.url), world.token.lower(), 0, chain.number(), lambda _: None)
        with served(world.issuer.home.log) as prefix:
            client = Client(prefix, Key.read(stranger.vkey(world)))
            size, root = client.head()
            records = [body for number in range(-(-size // 256)) for body in client.bundle(number, size)]
            for index in range(size):
                client.require_included(index, size, root)
            for anchored, known, _ in anchors:
                client.require_root(size, known, of=anchored)
        assert records == stranger.bodies(world)
        assert len(anchors) >= 3
        world.close()
    own, _ = verify.witness_key(tmp_path / "witness.key", "example.org/witness")
    note = (tmp_path / "seen.checkpoint").read_bytes()
    text, at = c2sp.open_note(note, Key.read(own.text))
    assert (text, None) == c2sp.open_note(note, client.key)
    assert at == verify.cosigned(note.decode(), own)
