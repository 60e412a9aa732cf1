"""The log folder by itself: it grows only by what extends it, proves every record, and shows every tampering."""

import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from issuer import files
from issuer.audit.folder import LogFolder
from issuer.audit.verify import Anchor, Statement, Verdict, verify
from issuer.errors import BrokenInvariant, NotFound
from issuer.tlog import checkpoint, merkle, tiles
from issuer.tlog.merkle import CompactRange, InvalidProof
from issuer.tlog.note import Signer, UnverifiedNote, Verifier


def signer(seed: int = 1, name: str = "example.com/log") -> Signer:
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return Signer(verifier=Verifier(name=name, public_key=key.public_key().public_bytes_raw()), sign=key.sign)


KEY = signer()


def records(count: int) -> list[bytes]:
    return [f"record {index}".encode() for index in range(count)]


def note(entries: list[bytes], key: Signer = KEY) -> str:
    return checkpoint.sign(len(entries), merkle.root(entries), key)


def grow(folder: LogFolder, entries: list[bytes]) -> int:
    return folder.extend(note(entries), lambda start, end: entries[start:end])


def log(path: Path, *sizes: int) -> LogFolder:
    folder = LogFolder(path / "log", KEY.verifier)
    for size in sizes:
        grow(folder, records(size))
    return folder


def names(path: Path) -> list[str]:
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())


def test_the_folder_has_the_layout_of_a_tiled_log(tmp_path: Path) -> None:
    log(tmp_path, 3, 5)
    assert names(tmp_path / "log") == [
        "checkpoint",
        "checkpoints/003",
        "checkpoints/005",
        "tile/0/000.p/3",
        "tile/0/000.p/5",
        "tile/entries/000.p/3",
        "tile/entries/000.p/5",
    ]


def test_partial_files_go_once_the_full_ones_are_there(tmp_path: Path) -> None:
    log(tmp_path, 3, 256)
    assert names(tmp_path / "log" / "tile") == ["0/000", "1/000.p/1", "entries/000"]


def test_growing_again_by_nothing_changes_nothing(tmp_path: Path) -> None:
    folder = log(tmp_path, 5)
    assert grow(folder, records(5)) == 0
    assert folder.past_sizes() == [5]


def test_an_empty_folder_is_the_empty_log(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path / "nothing", KEY.verifier)
    assert verify(folder).holds
    assert folder.log.consistency(0, 0) == []
    with pytest.raises(InvalidProof):
        folder.log.inclusion(0, 0)


@given(st.lists(st.integers(1, 600), min_size=1, max_size=4), st.data())
def test_every_record_and_every_growth_is_proved(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], data: st.DataObject
) -> None:
    sizes = [sum(steps[: count + 1]) for count in range(len(steps))]
    folder = log(tmp_path_factory.mktemp("folder"), *sizes)
    size = data.draw(st.sampled_from(sizes))
    entries = records(size)
    index = data.draw(st.integers(0, size - 1))
    proof = folder.log.inclusion(index, size)
    merkle.verify_inclusion(merkle.leaf_hash(entries[index]), index, size, merkle.root(entries), proof)
    old = data.draw(st.sampled_from([older for older in sizes if older <= size]))
    old_root = merkle.root(records(old))
    merkle.verify_consistency(old, old_root, size, merkle.root(entries), folder.log.consistency(old, size))
    verdict = verify(folder)
    assert (verdict.holds, verdict.size, verdict.checkpoints) == (True, sizes[-1], len(sizes))
    assert list(folder.log.entries(sizes[-1])) == records(sizes[-1])


@pytest.mark.parametrize("lost", ["checkpoint", "checkpoints/005"])
def test_a_checkpoint_of_which_a_power_cut_kept_one_file_stays_published(tmp_path: Path, lost: str) -> None:
    """Its two files are synced together: the disk may have kept either of them alone."""
    folder = log(tmp_path, 3, 5)
    path = tmp_path / "log" / lost
    if lost == "checkpoint":
        path.write_text(note(records(3)))
    else:
        path.unlink()
    assert folder.end().size == 5
    grow(folder, records(9))
    assert folder.past_sizes() == [3, 5, 9]
    assert folder.log.past(5).root == merkle.root(records(5))
    assert (verify(folder).holds, folder.log.checkpoint().size) == (True, 9)


def test_names_that_a_killed_process_did_not_sync_are_synced_before_it_counts_as_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the renames and the syncs of the folders: all is there, and a power cut may still take it."""
    folder, synced, sync = log(tmp_path, 3), list[Path](), files.sync

    def killed(path: Path) -> None:
        if path.is_dir() and folder.log.checkpoint().size == 5:
            raise KeyboardInterrupt
        sync(path)

    monkeypatch.setattr(files, "sync", killed)
    with pytest.raises(KeyboardInterrupt):
        grow(folder, records(5))
    monkeypatch.setattr(files, "sync", synced.append)
    assert grow(folder, records(5)) == 0
    assert folder.end().size == 5
    assert sorted(synced) == [tmp_path / "log", tmp_path / "log/checkpoints"]


def test_a_proof_beyond_what_is_published_is_refused(tmp_path: Path) -> None:
    folder = log(tmp_path, 5)
    with pytest.raises(InvalidProof, match="5 records, not 6"):
        folder.log.inclusion(0, 6)
    with pytest.raises(InvalidProof, match="5 records, not 6"):
        folder.log.consistency(5, 6)
    with pytest.raises(NotFound):
        folder.log.past(4)


def test_a_large_log_written_at_once_is_the_same_as_one_that_grew(tmp_path: Path) -> None:
    """Longer than what is held in memory at once, so that tiles of three levels are carried on."""
    entries = [index.to_bytes(4) for index in range(66_000)]
    grown, whole = LogFolder(tmp_path / "grown", KEY.verifier), LogFolder(tmp_path / "whole", KEY.verifier)
    grow(grown, entries[:65_000])
    grow(grown, entries)
    grow(whole, entries)
    full = [name for name in names(tmp_path / "whole") if ".p/" not in name and not name.startswith("checkpoints")]
    assert len(full) == 2 * 257 + 1 + 1
    for name in full:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "grown" / name).read_bytes()
    assert verify(whole).holds


def test_appending_reads_nothing_old(tmp_path: Path) -> None:
    """It goes on when every full bundle and full tile of leaves is gone, and asks for the open bundle's records."""
    entries, asked = [index.to_bytes(4) for index in range(66_300)], list[int]()
    folder = LogFolder(tmp_path / "log", KEY.verifier)
    folder.extend(note(entries[:66_000]), lambda start, end: entries[start:end])
    for kind in ("0", "entries"):
        for old in (tmp_path / "log" / "tile" / kind).rglob("[0-9][0-9][0-9]"):
            old.unlink()

    def given(start: int, end: int) -> list[bytes]:
        asked.append(start)
        return entries[start:end]

    folder.extend(note(entries), given)
    assert asked == [66_000 // 256 * 256]
    assert folder.log.checkpoint().root == merkle.root(entries)
    assert CompactRange.read(folder.log.nodes(66_300), 66_300).root() == merkle.root(entries)


def test_the_root_needs_the_memory_of_a_logarithm() -> None:
    """For 2^14 leaves no more is held at once than for 2^8, but for a few hashes."""

    def peak(leaves: int) -> int:
        tracemalloc.start()
        tree = merkle.CompactRange()
        for index in range(leaves):
            tree.append(merkle.leaf_hash(index.to_bytes(4)))
        assert len(tree.root()) == 32
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(2**14 - 1) < peak(2**8 - 1) + 16 * 100


# -- what does not extend the log is not taken


def test_a_smaller_checkpoint_is_not_taken(tmp_path: Path) -> None:
    folder = log(tmp_path, 5)
    with pytest.raises(BrokenInvariant, match="size 4 does not extend the published one of size 5"):
        grow(folder, records(4))


def test_another_root_of_the_same_size_is_not_taken(tmp_path: Path) -> None:
    folder = log(tmp_path, 5)
    with pytest.raises(BrokenInvariant, match="size 5 does not extend"):
        grow(folder, [*records(4), b"forked"])


@pytest.mark.parametrize("size", [5, 256, 300])
def test_a_fork_is_not_taken(tmp_path: Path, size: int) -> None:
    """Whether the records that differ lie in a bundle that is still open or in one that is full."""
    folder = log(tmp_path, size)
    forked = [*records(size + 3)]
    forked[size - 1] = b"forked"
    with pytest.raises(BrokenInvariant):
        grow(folder, forked)
    assert folder.log.checkpoint().size == size
    assert verify(folder).holds


def test_records_that_do_not_have_the_signed_root_are_not_taken(tmp_path: Path) -> None:
    folder = log(tmp_path, 5)
    with pytest.raises(BrokenInvariant, match="first 9 records do not have the root"):
        folder.extend(note(records(9)), lambda start, end: [*records(8), b"edited"][start:end])
    assert verify(folder).size == 5


def test_missing_records_are_not_taken(tmp_path: Path) -> None:
    folder = log(tmp_path, 5)
    with pytest.raises(BrokenInvariant, match="has 7 of the log's records 0 to 9"):
        folder.extend(note(records(9)), lambda start, end: records(9)[start : end - 2])


@pytest.mark.parametrize(("size", "later"), [(5, 8), (5, 700), (998, 1_002), (1_300, 2_100)])
def test_nothing_is_published_beside_a_larger_checkpoint(tmp_path: Path, size: int, later: int) -> None:
    """In a copy of which `checkpoint` is older than the last past one."""
    folder = log(tmp_path, size, later)
    shutil.copy(tmp_path / "log" / tiles.checkpoint_path(size), tmp_path / "log/checkpoint")
    with pytest.raises(BrokenInvariant, match=f"size {later - 1} does not extend the published one of size {later}"):
        grow(folder, records(later - 1))
    with pytest.raises(BrokenInvariant, match=f"first {later} records do not have the root"):
        grow(folder, [*records(later - 1), *records(3)])
    assert folder.end().size == later
    assert grow(folder, records(later + 2)) == later + 2 - size
    assert verify(folder).holds


@pytest.mark.parametrize("later", [1_000_000, 1_000_300, 1_234_567])
def test_the_end_is_found_where_its_name_grows_longer(tmp_path: Path, later: int) -> None:
    folder, first = log(tmp_path, 5), checkpoint.sign(999_500, bytes(32), KEY)
    (tmp_path / "log/checkpoint").write_text(first)
    for size in (999_500, later):
        path = tmp_path / "log" / tiles.checkpoint_path(size)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(checkpoint.sign(size, bytes(32), KEY))
    assert folder.end().size == later


def test_a_checkpoint_by_another_key_is_not_taken(tmp_path: Path) -> None:
    folder = log(tmp_path, 5)
    with pytest.raises(UnverifiedNote):
        folder.extend(note(records(9), signer(2)), lambda start, end: records(9)[start:end])


# -- every tampering is found


def edit_entry(path: Path) -> None:
    replace(path / "tile/entries/000", b"record 7", b"record X")


def edit_entry_and_leaf(path: Path) -> None:
    edit_entry(path)
    replace(path / "tile/0/000", merkle.leaf_hash(b"record 7"), merkle.leaf_hash(b"record X"))


def edit_entry_and_tree(path: Path) -> None:
    edit_entry_and_leaf(path)
    old, new = records(256), records(256)
    new[7] = b"record X"
    replace(path / "tile/1/000.p/1", merkle.root(old), merkle.root(new))


def swap_entries(path: Path) -> None:
    replace(path / "tile/entries/000", b"record 7", b"record ?")
    replace(path / "tile/entries/000", b"record 8", b"record 7")
    replace(path / "tile/entries/000", b"record ?", b"record 8")


def cut_bundle(path: Path) -> None:
    bundle = path / "tile/entries/001.p/44"
    bundle.write_bytes(bundle.read_bytes()[:-12])


def insert_entry(path: Path) -> None:
    bundle = path / "tile/entries/001.p/44"
    bundle.write_bytes(bundle.read_bytes() + b"\0\1x")


def remove_bundle(path: Path) -> None:
    (path / "tile/entries/000").unlink()


def remove_tile(path: Path) -> None:
    (path / "tile/0/000").unlink()


def edit_upper_tile(path: Path) -> None:
    (path / "tile/1/000.p/1").write_bytes(b"\1" * 32)


def roll_back(path: Path) -> None:
    shutil.copy(path / "checkpoints/290", path / "checkpoint")


def roll_back_with_history(path: Path) -> None:
    roll_back(path)
    (path / "checkpoints/300").unlink()


def roll_back_with_records(path: Path) -> None:
    """A larger checkpoint was published, and what it covers is held back."""
    roll_back(path)
    for kind in ("0", "entries"):
        shutil.rmtree(path / "tile" / kind / "001.p")
    LogFolder(path / "again", KEY.verifier).extend(note(records(290)), lambda start, end: records(290)[start:end])
    shutil.copytree(path / "again" / "tile", path / "tile", dirs_exist_ok=True)


def roll_back_beside_a_fork(path: Path) -> None:
    roll_back(path)
    (path / "checkpoints/300").write_text(note([*records(299), b"forked"]))


def fork_history(path: Path) -> None:
    forked = [*records(289), b"forked"]
    (path / "checkpoints/290").write_text(note(forked))


def misplace_history(path: Path) -> None:
    shutil.copy(path / "checkpoints/300", path / "checkpoints/290")


def sign_with_another_key(path: Path) -> None:
    (path / "checkpoint").write_text(note(records(300), signer(2)))


def sign_for_another_log(path: Path) -> None:
    (path / "checkpoint").write_text(note(records(300), signer(1, "example.com/other")))


def garble_checkpoint(path: Path) -> None:
    (path / "checkpoint").write_bytes(b"\xff\xfe")


def replace(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) >= 1
    path.write_bytes(content.replace(old, new, 1))


@pytest.mark.parametrize(
    ("tamper", "statement", "what"),
    [
        (edit_entry, Statement.RECORDS, "record 7 does not have the hash that tile/0/000 holds"),
        (edit_entry_and_leaf, Statement.ROOTS, "first 290 records do not have the root that was signed"),
        (edit_entry_and_tree, Statement.ROOTS, "first 290 records do not have the root that was signed"),
        (swap_entries, Statement.RECORDS, "record 7 does not have the hash"),
        (cut_bundle, Statement.RECORDS, "records 256 to 300: not a bundle of 44"),
        (insert_entry, Statement.RECORDS, "records 256 to 300: not a bundle of 44"),
        (remove_bundle, Statement.RECORDS, "records 0 to 256: the log has no file tile/entries/000"),
        (remove_tile, Statement.RECORDS, "the log has no file tile/0/000"),
        (edit_upper_tile, Statement.TILES, "hash 0 of tile/1/000.p/1"),
        (roll_back_with_history, Statement.WHOLE, "300 records is anchored, but this one ends after 290"),
        (roll_back_with_records, Statement.RECORDS, "the log has no file tile/entries/001.p/44"),
        (roll_back_beside_a_fork, Statement.ROOTS, "first 300 records do not have the root that was signed"),
        (fork_history, Statement.ROOTS, "first 290 records do not have the root that was signed"),
        (misplace_history, Statement.SIGNED, "checkpoints/290 is of size 300"),
        (sign_with_another_key, Statement.SIGNED, "not signed by example.com/log"),
        (sign_for_another_log, Statement.SIGNED, "not signed by example.com/log"),
        (garble_checkpoint, Statement.SIGNED, "not UTF-8"),
    ],
)
def test_tamper_with_the_folder(
    tmp_path: Path, tamper: Callable[[Path], None], statement: Statement, what: str
) -> None:
    folder = log(tmp_path, 290, 300)
    anchor = Anchor(size=300, root=merkle.root(records(300)))
    assert verify(folder, anchors=[anchor]).holds
    tamper(tmp_path / "log")
    verdict = verify(folder, anchors=[anchor])
    assert verdict.failure is not None
    assert verdict.failure.statement is statement
    assert what in verdict.failure.what


def test_a_copy_made_while_the_log_grew_is_whole(tmp_path: Path) -> None:
    """Nothing that was published is left out of what is checked, though `checkpoint` covers less."""
    folder = log(tmp_path, 290, 300)
    roll_back(tmp_path / "log")
    verdict = verify(folder, anchors=[Anchor(size=300, root=merkle.root(records(300)))])
    assert (verdict.failure, verdict.size) == (None, 300)


def test_a_log_that_grows_while_it_is_verified_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is that is read first."""
    folder, sizes = log(tmp_path, 290), iter(range(291, 400))
    grown = LogFolder(tmp_path / "log", KEY.verifier)
    for name in ("checkpoint", "note"):
        read = getattr(folder.log, name)

        def and_grow(*arguments: str, read: Callable[..., object] = read) -> object:
            found = read(*arguments)
            grow(grown, records(next(sizes)))
            return found

        monkeypatch.setattr(folder.log, name, and_grow)
    assert verify(folder).failure is None
    assert next(sizes) > 292


def test_tamper_by_showing_a_fork_that_the_anchor_does_not_know(tmp_path: Path) -> None:
    """A second, complete log under the same key is perfect by itself; only who remembers the first finds it out."""
    folder = LogFolder(tmp_path / "fork", KEY.verifier)
    grow(folder, [*records(299), b"forked"])
    assert verify(folder).holds
    verdict = verify(folder, anchors=[Anchor(size=300, root=merkle.root(records(300)))])
    assert failed(verdict, Statement.ANCHORED, "first 300 records do not have the root that is anchored")


def failed(verdict: Verdict, statement: Statement, what: str) -> bool:
    return verdict.failure is not None and verdict.failure.statement is statement and what in verdict.failure.what


def test_records_after_the_last_anchor_are_counted_apart(tmp_path: Path) -> None:
    folder = log(tmp_path, 5, 9)
    verdict = verify(folder, anchors=[Anchor(size=5, root=merkle.root(records(5)))])
    assert (verdict.holds, verdict.size, verdict.anchored) == (True, 9, 5)
    assert verdict.root == "0x" + merkle.root(records(9)).hex()


def test_a_tile_of_the_folder_is_what_the_specification_says(tmp_path: Path) -> None:
    log(tmp_path, 300)
    path = tmp_path / "log" / "tile"
    assert (path / "0/000").read_bytes() == b"".join(map(merkle.leaf_hash, records(256)))
    assert (path / "1/000.p/1").read_bytes() == merkle.root(records(256))
    assert (path / "entries/001.p/44").read_bytes() == tiles.encode_entries(records(300)[256:])
