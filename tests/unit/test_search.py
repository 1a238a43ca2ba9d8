"""The search for what is left of people: it finds every form, and takes no part of another number for a name."""

import base64

from tests.mesh.people import Person, Search, _forms, raw_values

SOMEBODY = Person(tag="", number=10_000_700)


def search() -> Search:
    return Search({form: value for value in raw_values([SOMEBODY]) for form in _forms(value.encode())})


def test_a_value_is_found_in_every_form_wherever_it_stands() -> None:
    for value in raw_values([SOMEBODY]):
        content = value.encode()
        for form in (content, content.hex().encode(), content.hex().upper().encode(), base64.b64encode(b"x" + content)):
            for before in range(9):
                found = search().found(b"." * before + form + b"123")
                # In base64, a capital letter at the beginning may look like a small one.
                assert value.lower() in {one.lower() for one in found}


def test_a_number_is_found_as_a_whole_and_in_text_as_a_part_too() -> None:
    customer = SOMEBODY.ids["customerId"]
    assert search().numbers([7, int(customer), 9]) == {customer}
    assert search().numbers([int(f"1{customer}"), int(f"{customer}1")]) == set()
    assert search().found(f"1{customer}1".encode()) == {customer}
