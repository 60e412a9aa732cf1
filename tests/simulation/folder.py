"""The bank folder in memory, with what can go wrong on the way: delay, disorder, repetition, damage, silence.

Nobody's files are lost: what is delayed comes, what is damaged is there whole once the bank was asked for it again.
Notices to the issuer are a stream of their own, because the bank may tell one entry in two of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from random import Random

from issuer import crash
from issuer.errors import Unreachable
from issuer.messages import folder as documents
from issuer.messages.folder import BANK_TO_ISSUER
from issuer.mockbank.folder import Folder


@dataclass
class Post:
    """What lies in the folder, and what of it is there to be read."""

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)  # directory, name: body; in order of appearance
    held: dict[tuple[str, str], int] = field(default_factory=dict)  # not to be seen for so many more steps
    cut: dict[tuple[str, str], int] = field(default_factory=dict)  # of these only so many bytes
    renamed: dict[str, str] = field(default_factory=dict)  # the bank's name of a notice: the issuer's
    written: Callable[[str, str, bytes], None] = lambda _directory, _name, _body: None  # told of each new file

    def names(self, directory: str) -> list[str]:
        """The names of the files that can be seen, in the order in which they were written.

        Bank and auditor see none before those that were written earlier; the issuer must bear any order.
        """
        names = list(self.files.get(directory, {}))
        if directory.endswith("-to-issuer"):
            return [name for name in names if (directory, name) not in self.held]
        return list(takewhile(lambda name: (directory, name) not in self.held, names))

    def read(self, directory: str, name: str) -> bytes:
        body = self.files[directory][name]
        return body[: self.cut.get((directory, name), len(body))]

    def write(self, directory: str, name: str, body: bytes) -> None:
        """Keep a file; the same name always has the same bytes."""
        known = self.files.setdefault(directory, {}).setdefault(name, body)
        assert known == body, f"{directory}/{name} was written with other bytes"
        self.written(directory, name, body)

    def notice(self, name: str, body: bytes) -> None:
        """Put a notice of the bank into the issuer's stream."""
        if name not in self.renamed:
            self.renamed[name] = documents.notice_name(self._notices() + 1)
        told = self.renamed[name]
        self.write(BANK_TO_ISSUER, told, _renumbered(body, name, told))

    def repeat(self, name: str) -> None:
        """Tell the issuer the entries of one of its notices again, in a new one."""
        again = documents.notice_name(self._notices() + 1)
        self.write(BANK_TO_ISSUER, again, _renumbered(self.files[BANK_TO_ISSUER][name], name, again))

    def pass_time(self) -> None:
        """A step goes by: what was held back comes nearer."""
        self.held = {place: steps - 1 for place, steps in self.held.items() if steps > 1}

    def mend(self) -> None:
        """Everything is there, and whole."""
        self.held.clear()
        self.cut.clear()

    def copy(self) -> "Post":
        return Post(files={name: dict(found) for name, found in self.files.items()}, renamed=dict(self.renamed))

    def _notices(self) -> int:
        return sum(1 for name in self.files.get(BANK_TO_ISSUER, {}) if documents.notice_of(name) is not None)


def _renumbered(body: bytes, old: str, new: str) -> bytes:
    """A notice of one name under another: its number stands in its message id, its id and its sequence number."""
    was, becomes = (b"%d<" % (documents.notice_of(name) or 0) for name in (old, new))
    return body.replace(b"NOTICE-" + was, b"NOTICE-" + becomes).replace(b">" + was, b">" + becomes, 2)


class BanksFolder(Folder):
    """The folder as bank and auditor reach it."""

    def __init__(self, post: Post) -> None:
        super().__init__(Path("/nowhere"))
        self._post = post

    def names(self, directory: str) -> list[str]:
        return self._post.names(directory)

    def read(self, directory: str, name: str) -> bytes:
        return self._post.read(directory, name)

    def write(self, directory: str, name: str, body: bytes) -> None:
        with crash.around(f"{directory} file"):
            if directory == BANK_TO_ISSUER and documents.notice_of(name) is not None:
                self._post.notice(name, body)
            else:
                self._post.write(directory, name, body)


@dataclass
class IssuersFolder:
    """The folder as the issuer reaches it (`issuer.bank.folder.BankFolder`)."""

    post: Post
    random: Random
    silent: float = 0  # the probability that a call is not answered; what it was to write may be there or not
    seen: Callable[[str], None] = lambda _: None

    def names(self, folder: str) -> list[str]:
        self._strike()
        return sorted(self.post.names(folder))

    def read(self, folder: str, name: str) -> bytes:
        self._strike()
        return self.post.read(folder, name)

    def write(self, folder: str, name: str, body: bytes) -> None:
        with crash.around(f"write {folder}"):
            self._strike()
            self.post.write(folder, name, body)
        self._strike()

    def _strike(self) -> None:
        if self.silent and self.random.random() < self.silent:
            self.seen("folder silent")
            raise Unreachable("the simulated bank folder does not answer")
