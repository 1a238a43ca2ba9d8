"""Whatever is asked for as a destination: what is kept leads to one of the tenant's hosts, to every reader of URLs."""

import re
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.identity.domain import links
from services.kernel.failures import InvalidArgumentError

HOSTS = ("shop.example", "xn--caf-dma.example", "localhost:8000", "10.0.0.7")
BELOW = re.compile(r"(?:[a-z0-9-]+\.)*shop\.example|(?:[a-z0-9-]+\.)*xn--caf-dma\.example|10\.0\.0\.7")
BELOW_HERE = re.compile(r"(?:[a-z0-9-]+\.)*localhost")

# Addresses put together from the pieces that tricks are made of, so that many are nearly right.
PIECES = (
    *("https://", "http://", "HTTPS://", "//", "/", ":", "@", "?", "#", "\\", "%2f", "%40", "%5c", "%00", ".", "-"),
    *("shop.example", "Shop.Example", "café.example", "xn--caf-dma.example", "localhost", "10.0.0.7", "127.0.0.1"),
    *("evil.example", "evil", ":443", ":8000", ":80", "www.", "user:password@", "\t", "\n", " ", "\0", "[::1]"),
    *(
        "\u3002",
        "\uff0e",
        "\uff0f",
        "\uff20",
        "\u2024",
        "\u00ad",
        "\u200d",
        "\u0131",
        "ß",
        "\u017f",
        "\u212a",
        "o\u0308",
    ),
    *("/cart", "?next=", "#top", "%41", "é"),
)
tricks = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=5).map("".join)
nearly = st.builds("{}{}{}{}".format, st.sampled_from(["https://", "http://"]), tricks, st.sampled_from(HOSTS), tricks)
honest = st.builds(
    "{}/{}".format,
    st.sampled_from(["https://shop.example", "https://a.B.café.example", "http://localhost:8000", "https://10.0.0.7"]),
    st.lists(st.sampled_from([piece for piece in PIECES if piece.isprintable() and piece not in "\\ "])).map("".join),
)


def kept_of(typed: str) -> str | None:
    try:
        return links.checked_destination(typed, HOSTS)
    except InvalidArgumentError:
        return None


def read_by_others(kept: str) -> list[tuple[str, str, int | None, str]]:
    """What two readers that know nothing of ours find in an address: scheme, host, port, user."""
    split, url = urlsplit(kept), httpx.URL(kept)
    return [
        (split.scheme, split.hostname or "", split.port, split.username or ""),
        (url.scheme, url.raw_host.decode(), url.port, url.userinfo.decode()),
    ]


@given(st.one_of(tricks, nearly, honest, st.text()))
@settings(max_examples=600)
def test_what_is_kept_leads_to_a_host_of_the_tenant_and_nowhere_else(typed: str) -> None:
    kept = kept_of(typed)
    if kept is None:
        return
    assert re.fullmatch(r"[!-~]+", kept)
    assert not set(kept) & set('\\"<>`{|}^ ')
    for scheme, host, port, user in read_by_others(kept):
        local = BELOW_HERE.fullmatch(host)
        assert local or BELOW.fullmatch(host)
        assert port == (8000 if local else None)
        assert scheme == "https" or local
        assert not user


@given(st.one_of(tricks, nearly, honest))
@settings(max_examples=300)
def test_what_is_kept_stays_as_it_is_when_it_is_looked_at_again(typed: str) -> None:
    kept = kept_of(typed)
    if kept is None:
        return
    assert kept_of(kept) == kept
    assert links.is_allowed(kept, HOSTS)
    assert not links.is_allowed(kept, ())


@given(st.lists(st.sampled_from("abc-1"), min_size=1, max_size=8).map("".join), st.text("/?=&%ab1", max_size=20))
@settings(max_examples=200)
def test_honest_addresses_are_taken(label: str, rest: str) -> None:
    assume(not label.startswith("-") and not label.endswith("-"))
    assume("%" not in rest)
    path = rest if rest.startswith(("/", "?")) or not rest else f"/{rest}"
    for host in ("shop.example", f"{label}.shop.example"):
        kept = links.checked_destination(f"https://{host}{path}", HOSTS)
        assert urlsplit(kept).hostname == host
        assert kept.removeprefix(f"https://{host}").lstrip("/") == path.lstrip("/")


@given(st.integers(0, links.LINK_IDS - 1), st.integers(0, links.LINK_IDS - 1))
def test_no_two_numbers_name_the_same_link(one: int, other: int) -> None:
    assert (links.link_id(one) == links.link_id(other)) == (one == other)


def test_the_pieces_do_make_addresses_that_are_taken() -> None:
    taken = [kept_of(f"https://{below}shop.example/{rest}") for below in ("", "www.") for rest in PIECES]
    assert sum(kept is not None for kept in taken) > len(PIECES)
    with pytest.raises(InvalidArgumentError):
        links.checked_destination("https://evil.example/", HOSTS)
