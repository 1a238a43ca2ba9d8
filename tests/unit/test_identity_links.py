"""Where a tracked link may lead, what it is called, and how long it works."""

from datetime import timedelta

import pytest

from services.identity.domain import links
from services.kernel.failures import InvalidArgumentError

HOSTS = ("shop.example", "xn--caf-dma.example", "localhost:8000", "127.0.0.1:3000", "10.0.0.7", "staging.example:8443")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://shop.example/cart?id=7#top", "https://shop.example/cart?id=7#top"),
        ("https://shop.example", "https://shop.example/"),
        ("https://shop.example?q=1", "https://shop.example/?q=1"),
        ("HTTPS://Shop.EXAMPLE/Cart", "https://shop.example/Cart"),
        ("https://www.shop.example/", "https://www.shop.example/"),
        ("https://a.b.shop.example/", "https://a.b.shop.example/"),
        ("https://shop.example:443/x", "https://shop.example/x"),
        ("https://staging.example:8443/x", "https://staging.example:8443/x"),
        ("https://eu.staging.example:8443/x", "https://eu.staging.example:8443/x"),
        ("https://café.example/menú", "https://xn--caf-dma.example/men%C3%BA"),
        ("https://CAFÉ.example/a%20b", "https://xn--caf-dma.example/a%20b"),
        ("http://localhost:8000/shop", "http://localhost:8000/shop"),
        ("http://eu.localhost:8000/", "http://eu.localhost:8000/"),
        ("http://127.0.0.1:3000/", "http://127.0.0.1:3000/"),
        ("https://shop.example//evil.example/", "https://shop.example//evil.example/"),
        (
            "https://shop.example/login?next=https://evil.example",
            "https://shop.example/login?next=https://evil.example",
        ),
    ],
)
def test_addresses_on_the_tenants_hosts_are_kept_in_one_form(typed: str, kept: str) -> None:
    assert links.checked_destination(typed, HOSTS) == kept
    assert links.is_allowed(kept, HOSTS)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "shop.example/cart",
        "//shop.example/cart",
        "/cart",
        "https:shop.example",
        "https:/shop.example",
        "https:///shop.example",
        "javascript:alert(1)//https://shop.example",
        "ftp://shop.example/",
        "data:text/html,x",
        "http://shop.example/",
        "https://evil.example/",
        "https://evilshop.example/",
        "https://shop.example.evil.example/",
        "https://shop.example@evil.example/",
        "https://evil.example#@shop.example/",
        "https://evil.example?@shop.example/",
        "https://evil.example\\@shop.example/",
        "https://shop.example\\.evil.example/",
        "https://shop.example\\evil",
        "https://user:password@shop.example/",
        "https://@shop.example/",
        "https://shop.example:8443/",
        "https://shop.example:80/",
        "https://shop.example:/",
        "https://shop.example:443443/",
        "https://shop.example:44٣/",
        "https://staging.example/",
        "http://localhost/",
        "http://localhost:9000/",
        "http://127.0.0.1.shop.example/",
        "http://localhost.shop.example:8000/",
        "https://shop.example./",
        "https://.shop.example/",
        "https://shop..example/",
        "https://shop%2eexample/",
        "https://evil.example%2f.shop.example/",
        "https://evil.example%00.shop.example/",
        "https://x.10.0.0.7/",
        "https://[::1]/",
        "https://2130706433/",
        "https://shоp.example/",  # noqa: RUF001 - a Cyrillic o, which is the point
        "https://evil.example／.shop.example/",  # noqa: RUF001 - a wide slash
        "https://evil.example＠shop.example/",  # noqa: RUF001 - a wide at sign
        "https://xn--shp-5cd.example/",
        " https://shop.example/",
        "https://shop.example/ ",
        "https://shop.example/a b",
        "https://shop.example/\t",
        "https://shop.example/\r\nSet-Cookie: a=b",
        "https://shop.ex\nample/",
        "https://shop.example/\u200b",
        "https://shop.example/\u202e",
        "https://shop.example/\0",
        "https://shop.example/" + "a" * 2_048,
    ],
)
def test_everything_else_is_refused(typed: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        links.checked_destination(typed, HOSTS)
    [violation] = refused.value.violations
    assert violation.field == "destination"
    assert "evil" not in refused.value.message


def test_without_hosts_nothing_is_allowed() -> None:
    with pytest.raises(InvalidArgumentError, match="linkHosts"):
        links.checked_destination("https://shop.example/", ())


def test_a_host_that_is_one_word_has_nobody_below_it() -> None:
    assert links.checked_destination("https://intranet/", ["intranet"]) == "https://intranet/"
    for typed in ("https://evil.com/", "https://evil.intranet/"):
        with pytest.raises(InvalidArgumentError):
            links.checked_destination(typed, ["com", "intranet"])


def test_a_host_that_is_taken_from_the_list_is_allowed_no_more() -> None:
    assert links.is_allowed("https://shop.example/", ["shop.example"])
    assert not links.is_allowed("https://shop.example/", ["other.example"])


def test_link_ids_are_long_enough_and_all_different() -> None:
    assert links.LINK_IDS > 2**60
    numbers = [0, 1, 30, 31, 961, links.LINK_IDS // 2, links.LINK_IDS - 1]
    names = [links.link_id(number) for number in numbers]
    assert len(set(names)) == len(numbers)
    assert {len(name) for name in names} == {13}
    assert not set("".join(names)) & set("01ilo")
    assert all(name.isascii() and name.isalnum() and name == name.lower() for name in names)


@pytest.mark.parametrize("span", [timedelta(0), timedelta(seconds=-1), timedelta(days=365, microseconds=1)])
def test_a_lifetime_has_bounds(span: timedelta) -> None:
    with pytest.raises(InvalidArgumentError, match="lifetime"):
        links.checked_lifetime(span)


def test_a_lifetime_is_ninety_days_unless_told() -> None:
    assert links.checked_lifetime(None) == timedelta(days=90)
    for span in (timedelta(seconds=1), timedelta(days=365)):
        assert links.checked_lifetime(span) == span


@pytest.mark.parametrize("conversation_id", ["", "c" * 257, "null", " Undefined ", "000", "a\0b"])
def test_a_conversation_must_have_an_id(conversation_id: str) -> None:
    with pytest.raises(InvalidArgumentError, match="conversationId"):
        links.check_conversation(conversation_id)


def test_conversations_of_any_other_name_are_taken() -> None:
    for conversation_id in ("c", "c" * 256, "34600123456@s.whatsapp.net", "ñ"):
        links.check_conversation(conversation_id)


@pytest.mark.parametrize("touchpoint", ["w" * 65, "whats\napp", "\0"])
def test_a_touchpoint_is_a_name(touchpoint: str) -> None:
    with pytest.raises(InvalidArgumentError, match="touchpoint"):
        links.check_touchpoint(touchpoint)
    links.check_touchpoint("whatsapp")
    links.check_touchpoint("")


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        ("https://t.shop.example", "https://t.shop.example/l/abc"),
        ("https://t.shop.example/", "https://t.shop.example/l/abc"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/l/abc"),
        ("http://[::1]:8080", "http://[::1]:8080/l/abc"),
        ("", None),
        ("t.shop.example", None),
        ("https://t.shop.example/l", None),
        ("https://user@t.shop.example", None),
        ("javascript://x", None),
        ("https://t.shop.example\n", None),
    ],
)
def test_the_address_of_a_link(origin: str, told: str | None) -> None:
    assert links.address(origin, "abc") == told
