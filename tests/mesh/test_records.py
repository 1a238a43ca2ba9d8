"""Records and files of conversations and of runs through journeys, through the public doors."""

import csv
import io
from collections.abc import Callable
from datetime import datetime

import openpyxl
import pytest

from tests.mesh.shop import Shop

DAYS = {"startDate": "2026-11-01", "endDate": "2026-11-30"}


@pytest.fixture(scope="module")
def talking(open_shop: Callable[[], Shop]) -> Shop:
    """A shop with three conversations and two runs through a journey."""
    shop = open_shop()
    told = []
    for number in (1, 2, 3):
        talk = {"conversationId": f"c-{number}", "botName": "Ada", "touchpoint": "website", "originType": "AD"}
        told.append(("STARTED", number, {"conversation": talk | {"step": "STARTED", "actor": "VISITOR"}}))
        closing = {"step": "CLOSED", "actor": "AGENT" if number == 2 else "BOT"}
        told.append(("CLOSED", number, {"conversation": talk | closing}))
    for number in (1, 2):
        run = {"journeyId": "welcome", "runId": str(number)}
        told.append(("RUN", number, {"journey": run | {"step": "STARTED"}}))
    told.append(("DONE", 1, {"journey": {"journeyId": "welcome", "runId": "1", "step": "COMPLETED"}}))
    results = shop.append(
        [
            {
                "eventId": f"{name}-{number}",
                "occurTime": f"2026-11-0{number}T10:00:0{place}Z",
                "identifiers": {"visitorId": f"v-{number}"},
                **payload,
            }
            for place, (name, number, payload) in enumerate(told)
        ]
    )
    assert {one["status"] for one in results} == {"ACCEPTED"}
    shop.settle()
    return shop


def test_conversations_and_runs_are_listed_by_pages_and_narrowed(talking: Shop) -> None:
    asked = DAYS | {"status": ["COMPLETED_AUTOMATICALLY", "OPEN"], "originType": "AD", "bot": "Ada", "pageSize": 1}
    first = talking.client.get("/v1/records/conversations", params=asked).json()
    second = talking.client.get(
        "/v1/records/conversations", params=asked | {"pageToken": first["nextPageToken"]}
    ).json()
    assert [one["conversationId"] for one in first["records"] + second["records"]] == ["c-1", "c-3"]
    assert (first["totalSize"], second.get("nextPageToken", "")) == ("2", "")
    assert int(first["metadata"]["asOf"]["eventPosition"]) > 0
    runs = talking.client.get("/v1/records/journeys", params=DAYS | {"journey": "welcome"}).json()["records"]
    assert [(one["runId"], one["status"], one["notifications"]) for one in runs] == [
        ("1", "COMPLETED", 0),
        ("2", "RUNNING", 0),
    ]
    refused = talking.client.get("/v1/records/conversations", params=DAYS | {"status": "WON"})
    assert refused.status_code == 400


def test_files_come_in_parts_and_again_as_they_were(talking: Shop) -> None:
    path = "/v1/exports/conversations"
    whole = talking.client.get(path, params=DAYS | {"format": "csv"})
    assert whole.headers["content-disposition"].endswith('-conversations-2026-11-01-2026-11-30.csv"')
    assert (whole.headers["touchstone-records"], whole.headers.get("touchstone-next")) == ("3", None)
    first = talking.client.get(path, params=DAYS | {"format": "csv", "maxRecords": 2})
    rest = talking.client.get(path, params=DAYS | {"format": "csv", "after": first.headers["touchstone-next"]})
    rows = [row for part in (first, rest) for row in csv.DictReader(io.StringIO(part.text, newline=""))]
    assert rows == list(csv.DictReader(io.StringIO(whole.text, newline="")))
    assert [row["status"] for row in rows] == ["COMPLETED_AUTOMATICALLY", "CLOSED_BY_AGENT", "COMPLETED_AUTOMATICALLY"]
    for format_ in ("csv", "xlsx", "json", "ndjson"):
        once, again = (talking.client.get(path, params=DAYS | {"format": format_}).content for _ in range(2))
        assert once == again
    sheet = openpyxl.load_workbook(
        io.BytesIO(talking.client.get("/v1/exports/journeys", params=DAYS | {"format": "xlsx"}).content)
    )
    assert sheet["journeys"]["A2"].value == datetime(2026, 11, 1, 11, 0, 6)  # noqa: DTZ001 - a sheet's times have no zone
