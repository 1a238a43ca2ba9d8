"""Which values identify somebody, and how addresses are compared."""

import pytest

from services.kernel.identifiers import names_nobody, normal_email, normal_phone


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "null",
        "undefined",
        "Anonymous",
        "GUEST",
        "0",
        "-1",
        "0000",
        "00000000-0000-0000-0000-000000000000",
        "test@test.com",
    ],
)
def test_software_writes_these_where_it_knows_nobody(value: str) -> None:
    assert names_nobody(value)


@pytest.mark.parametrize("value", ["1", "10", "sess_01", "0x1", "a0000"])
def test_these_name_somebody(value: str) -> None:
    assert not names_nobody(value)


def test_addresses_are_trimmed_and_lowered_and_keep_their_tag() -> None:
    assert normal_email("  Zoe.OConnor+shop@Example.test ") == "zoe.oconnor+shop@example.test"
    assert normal_email("") is None
    assert normal_email("TEST@test.com") is None
    assert normal_email("no address") is None


def test_phones_become_international_or_nothing() -> None:
    assert normal_phone("+34 612 34 56 78", "") == "+34612345678"
    assert normal_phone("612 34 56 78", "es") == "+34612345678"
    assert normal_phone("612 34 56 78", "") is None
    assert normal_phone("123", "ES") is None
    assert normal_phone("0", "ES") is None
