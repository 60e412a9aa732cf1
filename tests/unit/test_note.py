"""Signed notes and checkpoints against published examples, and everything that is not one.

The key and the note of PeterNeumann are those of golang.org/x/mod/sumdb/note, which c2sp.org/signed-note describes.
"""

from base64 import b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import InvalidInput, MalformedDocument
from issuer.tlog import checkpoint, merkle, note
from issuer.tlog.checkpoint import Checkpoint
from issuer.tlog.note import Signer, UnverifiedNote, Verifier

VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SEED = b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
LINE = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
OTHER = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
NOTE = f"{TEXT}\n{LINE}"


def signer(name: str, seed: bytes = b"\1" * 32) -> Signer:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return Signer(verifier=Verifier(name=name, public_key=key.public_key().public_bytes_raw()), sign=key.sign)


PETER = note.parse_vkey(VKEY)
LOG = signer("example.com/log")


def test_the_published_key_signs_the_published_note() -> None:
    assert note.sign(TEXT, signer("PeterNeumann", SEED)).encode() == NOTE
    assert signer("PeterNeumann", SEED).verifier.vkey == VKEY


def test_the_published_note_verifies() -> None:
    assert note.verify(NOTE, PETER).text == TEXT


def test_signatures_of_unknown_keys_are_kept_and_ignored() -> None:
    found = note.verify(NOTE + OTHER, PETER)
    assert [signature.name for signature in found.signatures] == ["PeterNeumann", "EnochRoot"]
    assert found.encode() == NOTE + OTHER


def test_a_note_without_the_expected_signature_is_not_read() -> None:
    with pytest.raises(UnverifiedNote, match="not signed by PeterNeumann"):
        note.verify(f"{TEXT}\n{OTHER}", PETER)


@pytest.mark.parametrize("changed", [NOTE.replace("think", "thunk"), NOTE.replace("ZJku", "ZJkv"), "\n" + NOTE])
def test_a_signature_over_another_text_does_not_hold(changed: str) -> None:
    with pytest.raises(UnverifiedNote, match="does not hold"):
        note.verify(changed, PETER)


def test_one_false_signature_of_the_key_spoils_the_note() -> None:
    with pytest.raises(UnverifiedNote, match="does not hold"):
        note.verify(NOTE + LINE.replace("ZJku", "ZJkv"), PETER)


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "\n",
        "\n\n",
        TEXT,
        f"{TEXT}\n",
        f"{TEXT}{LINE}",
        NOTE[:-1],
        f"{NOTE}\n",
        f"\x01{NOTE}",
        f"{TEXT}\r\n\n{LINE}",
        f"\ud800{NOTE}",
        f"{NOTE}Unexpected line.\n",
        f"{TEXT}\n{LINE.replace('—', '-')}",
        f"{TEXT}\n{LINE.replace('PeterNeumann', 'Peter Neumann')}",
        f"{TEXT}\n{LINE.replace('PeterNeumann', 'Peter+Neumann')}",
        f"{TEXT}\n{LINE}".replace("PeterNeumann", "Peter\u2003Neumann"),
        f"{TEXT}\n{LINE.replace('x08go', 'x08go=')}",
        f"{TEXT}\n{LINE.replace('nAM=', 'nAN=')}",
        f"{TEXT}\n— PeterNeumann x08gow==\n",
        f"{TEXT}\n— PeterNeumann \n",
        f"{TEXT}\n{LINE * 101}",
        f"{'x' * 1_000_000}\n\n{LINE}",
    ],
)
def test_what_is_not_a_note_is_refused(malformed: str) -> None:
    with pytest.raises(MalformedDocument):
        note.verify(malformed, PETER)


@given(st.text())
def test_any_text_is_a_note_or_a_typed_error(text: str) -> None:
    for encoded in (text, f"{text}\n{LINE}", f"{TEXT}\n{text}", f"{TEXT}\n— {text}\n"):
        with pytest.raises((MalformedDocument, UnverifiedNote)):
            note.verify(encoded, PETER)


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "\ud800\n"])
def test_a_text_that_cannot_be_a_note_is_not_signed(text: str) -> None:
    with pytest.raises(InvalidInput):
        note.sign(text, LOG)


def test_a_signer_with_another_private_key_is_found_out() -> None:
    broken = Signer(verifier=LOG.verifier, sign=Ed25519PrivateKey.generate().sign)
    with pytest.raises(UnverifiedNote):
        note.sign(TEXT, broken)


def test_a_mangled_key_is_refused() -> None:
    cut = [VKEY[start:end] for start in range(len(VKEY)) for end in range(start, len(VKEY) + 1)]
    turned = [VKEY[:at] + chr(ord(char) + 1) + VKEY[at + 1 :] for at, char in enumerate(VKEY)]
    for mangled in {*cut, *turned} - {VKEY}:
        with pytest.raises(InvalidInput):
            note.parse_vkey(mangled)


@pytest.mark.parametrize(
    "vkey",
    [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_a_key_of_another_length_or_algorithm_is_refused(vkey: str) -> None:
    with pytest.raises(InvalidInput):
        note.parse_vkey(vkey)


@given(st.integers(0, 2**63), st.binary(min_size=32, max_size=32))
def test_a_signed_checkpoint_reads_back(size: int, root: bytes) -> None:
    signed = checkpoint.sign(size, root, LOG)
    assert checkpoint.verify(signed, LOG.verifier) == Checkpoint(origin="example.com/log", size=size, root=root)


def test_the_published_checkpoint_text() -> None:
    """The example of c2sp.org/tlog-checkpoint."""
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    found = checkpoint.parse(text)
    assert (found.origin, found.size) == ("example.com/behind-the-sofa", 20852163)
    assert found.text == text


def test_a_checkpoint_of_another_log_by_the_same_key_is_refused() -> None:
    text = Checkpoint(origin="example.com/other", size=0, root=merkle.EMPTY_ROOT).text
    with pytest.raises(UnverifiedNote, match=r"of the log 'example\.com/other'"):
        checkpoint.verify(note.sign(text, LOG).encode(), LOG.verifier)


ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"log\n1\n{ROOT}",
        f"log\n1\n{ROOT}\nextension\n",
        f"\n1\n{ROOT}\n",
        f"log\n01\n{ROOT}\n",
        f"log\n-1\n{ROOT}\n",
        f"log\n+1\n{ROOT}\n",
        f"log\n1.0\n{ROOT}\n",
        f"log\n١\n{ROOT}\n",
        f"log\n99999999999999999999\n{ROOT}\n",
        f"log\n1\n{ROOT[:-4]}\n",
        f"log\n1\n{ROOT}{ROOT}\n",
        f"log\n1\n{ROOT.replace('2I=', '2J=')}\n",
        "log\n1\n!\n",
    ],
)
def test_what_is_not_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(MalformedDocument):
        checkpoint.parse(text)
