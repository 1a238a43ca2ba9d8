"""Bodies read into declared shapes: what is passed over is JSON all the same, what is wrong is named."""

import contextlib
import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.web.webhooks.fields import UnusableError
from gateway.web.webhooks.shapes import NOT_TOLD, BodyOf, Foreign, Gone, Shape, Told


class Part(Shape):
    amount: Told = None


class Item(Shape):
    id: Told = None
    part: Part | Gone = None


class Whole(Shape):
    own: Told
    foreign: Foreign = NOT_TOLD
    id: Told = None
    part: Part | Gone = None
    items: list[Item] | None = None


BODY = BodyOf(Whole)


def read(**told):
    return BODY.read(orjson.dumps({"own": 1, **told}))


def refused(body):
    with pytest.raises(UnusableError) as caught:
        BODY.read(body)
    return str(caught.value)


def test_what_is_not_looked_at_is_passed_over():
    whole = read(id=7, unknown={"deep": [1, {"er": None}]}, items=[{"id": "a", "unknown": [[]]}])
    assert (whole.id, [item.id for item in whole.items]) == (7, ["a"])


@pytest.mark.parametrize("gone", [{}, {"part": None}, {"part": []}])
def test_an_object_that_is_not_there(gone):
    assert not read(**gone).part


@pytest.mark.parametrize("wrong", [b"5", b"1.5", b'"x"', b"true"])
def test_what_is_no_object_or_list_is_named_by_its_path_alone(wrong):
    assert refused(b'{"own": 1, "part": %b}' % wrong) == "INVALID_FIELD: part"
    assert refused(b'{"own": 1, "part": [%b]}' % wrong) == "INVALID_FIELD: part"
    assert refused(b'{"own": 1, "items": %b}' % wrong) == "INVALID_FIELD: items"
    assert refused(b'{"own": 1, "items": [{}, {}, %b]}' % wrong) == "INVALID_FIELD: items[2]"
    assert refused(b'{"own": 1, "items": [{}, {"part": %b}]}' % wrong) == "INVALID_FIELD: items[1].part"


@pytest.mark.parametrize(
    "body",
    [
        b'{"own": null, "foreign": null}',
        b'{"id": 1}',
        # Its topic is told by names, whatever else is wrong with it.
        b'{"own": 1, "foreign": 1, "items": 5}',
        b'{"items": 5}',
        b'{"own": 1, "items": 5, "foreign": null}',
    ],
)
def test_a_body_of_another_topic(body):
    assert refused(body) == "TOPIC_MISMATCH"


def test_a_name_with_null_is_told():
    assert read(own=None).own is None


@pytest.mark.parametrize("body", [b"null", b"[]", b"[{}]", b'"x"', b"1"])
def test_what_holds_no_object(body):
    assert refused(body) == "NOT_AN_OBJECT"


@pytest.mark.parametrize(
    "value",
    [
        rb'"\ud800"',
        rb'"\udc00x"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\xc0\x80"',
        b'"\0"',
        b'"\t"',
        rb'"\x41"',
        b"NaN",
        b"01",
        b"1.",
        b"[1,]",
        b"[" * 100_000,
        b"",
    ],
)
@pytest.mark.parametrize("name", [b"id", b"unknown"])
def test_no_json_anywhere_is_no_json(name, value):
    assert refused(b'{"own": 1, "%b": %b}' % (name, value)) == "INVALID_JSON"
    # Also after something else that is wrong.
    assert refused(b'{"own": 1, "items": 5, "%b": %b}' % (name, value)) == "INVALID_JSON"


def test_a_nul_that_nobody_looks_at_does_no_harm():
    assert BODY.read(rb'{"own": 1, "unknown": "\u0000", "id": "\ud83d\ude00"}').id == "😀"


def test_numbers_are_never_rounded():
    assert read(id=2**64 - 1).id == 2**64 - 1
    assert BODY.read(b'{"own": 1, "id": 18446744073709551617}').id == 2**64 + 1


SAMPLE = json.dumps(
    {"own": 1, "id": "é", "unknown": ["ü", {"a": "\U0001f600\\", "b": [1.5, -2, True]}], "items": [{"part": {}}]}
)


@settings(max_examples=300, deadline=None)
@given(st.booleans(), st.integers(0, 500), st.binary(max_size=3), st.integers(0, 2))
def test_it_takes_nothing_that_is_no_json(escaped, place, put, cut):
    body = SAMPLE.encode() if escaped else orjson.dumps(orjson.loads(SAMPLE))
    place %= len(body)
    body = body[:place] + put + body[place + cut :]
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        assert refused(body) == "INVALID_JSON"
    else:
        with contextlib.suppress(UnusableError):
            BODY.read(body)
