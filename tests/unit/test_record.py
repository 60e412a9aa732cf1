"""Records and their canonical form, against the rfc8785 package."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from issuer.audit.record import Record, canonical, decode
from issuer.errors import InvalidInput, MalformedDocument

KEYS = st.text(st.characters(max_codepoint=127), max_size=6)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=12)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))
OBJECTS = st.none() | st.dictionaries(KEYS, VALUES, max_size=4)


def record(**changes: Any) -> Record:
    fields: dict[str, Any] = {
        "actor": "service",
        "action": "deposit.taken",
        "subject": "deposit:1",
        "before": None,
        "evidence": [],
    }
    return Record(**{"at": 1_790_000_000, "after": {"units": 5}, **fields, **changes})


@given(VALUES)
def test_the_bytes_are_those_of_rfc_8785(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        2**53,
        -(2**53),
        b"bytes",
        {1: "number"},
        {"é": "not ASCII"},
        {"deep": [{"deeper": (1, 2.5)}]},
        "half \ud800",
        {"half": "\udfff"},
        {1, 2},
        object(),
    ],
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        canonical(value)


def test_a_record_is_exactly_the_members_of_version_1() -> None:
    assert record(evidence=("0xab",)).encode() == (
        b'{"action":"deposit.taken","actor":"service","after":{"units":5},"at":1790000000,"before":null,'
        b'"evidence":["0xab"],"subject":"deposit:1","v":1}'
    )


@pytest.mark.usefixtures("stack_overflows")
def test_nesting_is_refused_before_it_is_followed() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidInput, match="deep"):
        canonical(deep)
    with pytest.raises(MalformedDocument, match="deep"):
        decode(b"[" * 100_000)


@pytest.fixture
def stack_overflows() -> Iterator[None]:
    """A recursion limit beyond the stack, as the elliptic-curve library under eth-account sets it."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    yield
    sys.setrecursionlimit(limit)


def test_brackets_in_text_do_not_nest() -> None:
    written = record(after={"text": '[{"\\' * 50})
    assert decode(written.encode()) == written


@given(OBJECTS, OBJECTS, st.lists(st.text(max_size=9), max_size=3))
def test_a_record_reads_back(before: Any, after: Any, evidence: list[str]) -> None:
    written = record(before=before, after=after, evidence=evidence)
    assert decode(written.encode()) == written


BODY = record().encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"1",
        b"{}",
        BODY[:-1],
        b" " + BODY,
        BODY.replace(b'"v":1', b'"v":2'),
        BODY.replace(b'"v":1', b'"v":1,"w":1'),
        BODY.replace(b'"at":1790000000,', b""),
        BODY.replace(b'"units":5', b'"units":5.0'),
        BODY.replace(b'"units":5', b'"units":5,"units":5'),
        BODY.replace(b'"units":5', b'"b":5,"a":5'),
        b"[" * 100_000,
        b'{"v":' * 100_000,
        b'"' + b'\\"' * 30_000,
        BODY.replace(b"5", b"[" * 20 + b"]" * 20),
    ],
)
def test_what_is_not_a_canonical_record_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedDocument):
        decode(body)


def test_a_record_that_no_bundle_can_hold_is_refused() -> None:
    with pytest.raises(InvalidInput, match="65535"):
        record(after={"text": "x" * 65_536}).encode()
