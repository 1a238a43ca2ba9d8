"""The pages for people in a real browser: what they hold, what moves by itself, and what they say when something is wrong."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.mesh.browsing import CHROMIUM, Page, browsing
from tests.mesh.running import RunningSystem
from tests.mesh.shop import Event, Shop

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not here: apt-get install --no-install-recommends chromium"
)

REPORTS = (
    *("revenue-impact", "sales", "roi", "products", "bots", "bot-flow", "overview"),
    *("popularity", "experiments", "records", "evidence", "ledger"),
)
WATCHING = """
window.streams = [];
window.said = text => text;
const fetched = window.fetch;
window.fetch = async (path, options = {}) => {
  const answer = await fetched(path, options);
  if (!path.startsWith("/v1/") || !answer.ok) return answer;
  const cut = new AbortController();
  const spoken = new TransformStream({ transform: (text, on) => on.enqueue(window.said(text)) });
  if (path === "/v1/live") streams.push({ last: options.headers["last-event-id"] ?? "", cut });
  const body = answer.body.pipeThrough(new TextDecoderStream()).pipeThrough(spoken).pipeThrough(new TextEncoderStream());
  return new Response(body.pipeThrough(new TransformStream(), { signal: cut.signal }), answer);
};
"""
"""Before the page's own scripts: its streams, to be cut, and what changes the text of all answers."""

NOTED = """
const said = {
  recount: { done: "20", total: "80", timeZone: "America/New_York", currencyCode: "EUR" },
  inactiveModels: [{ model: "contact", metrics: ["turnover_per_contact"] }],
};
const noted = text => text.replaceAll('"metadata":{', `"metadata":${JSON.stringify(said).slice(0, -1)},`);
Object.defineProperty(window, "said", { get: () => text => noted(text.replaceAll('"inactiveModels":[]', '"unused":[]')), set: () => {} });
"""
"""Every answer tells of figures that are counted anew and of a model that is not active."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browsing(tmp_path_factory.mktemp("chromium")) as page:
        page.first(WATCHING)
        yield page


def opened(page: Page, mesh: RunningSystem, address: str) -> Page:
    """The page of an address, from the beginning: in the same tab only what comes after # may have changed."""
    page.open("about:blank")
    page.until("location.href === 'about:blank'")
    page.open(f"http://127.0.0.1:{mesh.port}{address}")
    return page


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def bought(number: int, moment: datetime | None = None) -> Event:
    """An order of ten euros, of a moment or of this one."""
    order = {"orderId": f"{number}", "platform": "CUSTOM", "status": "completed", "currencyCode": "EUR"}
    occur_time = at(moment or datetime.now(UTC))
    return {"eventId": f"page-{number}", "occurTime": occur_time, "order": {**order, "totalMicros": "10000000"}}


def test_the_reference_tells_of_every_address(mesh: RunningSystem, browser: Page) -> None:
    described = mesh.client.get("/openapi.json").json()
    page = opened(browser, mesh, "/docs")
    addresses = sum(map(len, described["paths"].values()))
    page.until(f"document.querySelectorAll('section.operation').length === {addresses}")
    named = page.answer("[...document.querySelectorAll('details.card')].map(one => one.id)")
    assert sorted(named) == sorted(described["components"]["schemas"])
    assert page.answer("document.getElementById('problem').hidden")


def test_the_dashboard_is_pushed_what_happens_and_goes_on_where_a_stream_broke(
    mesh: RunningSystem, shop: Shop, browser: Page
) -> None:
    page = opened(browser, mesh, f"/#token={shop.token}")
    page.until("document.getElementById('live').textContent === 'Live'")
    page.until("document.getElementById('hello').checkVisibility()")
    assert "Difference: none, to the cent" in page.text()
    assert shop.token not in page.answer("document.documentElement.outerHTML + location.href")
    shop.append([bought(1)])
    page.until("document.getElementById('totals').innerText.includes('€10.00')")
    page.until("document.querySelector('[aria-labelledby=statement-title]').innerText.includes('€10.00')")
    assert not page.answer("document.getElementById('hello').checkVisibility()")
    before = page.answer("streams.length")
    page.answer("streams.at(-1).cut.abort()")
    shop.append([bought(2)])
    page.until("document.getElementById('totals').innerText.includes('€20.00')")
    streams = page.answer("streams.map(one => one.last)")
    assert (len(streams), streams[before - 1]) == (before + 1, "")
    assert streams[-1].count("-") == 2
    assert page.answer("document.getElementById('problem').hidden")


def test_what_figures_leave_out_and_how_far_they_are_counted_anew_is_said(
    mesh: RunningSystem, shop: Shop, browser: Page
) -> None:
    opened(browser, mesh, "/docs").answer(f"sessionStorage.setItem('touchstone.token', '{shop.token}')")
    noting = browser.first(NOTED)
    try:
        page = opened(browser, mesh, "/?report=sales")
        page.until("document.getElementById('live').textContent === 'Live'")
        page.until("document.querySelector('progress')?.value === 0.25")
        notices = page.answer("document.getElementById('notices').innerText")
        assert "by the days of America/New_York" in notices
        assert "20 of 80 orders and activities" in notices
        assert "the model “contact” is not active: Turnover per contact." in notices
        assert "Turnover per contact" not in page.answer("document.getElementById('totals').innerText")
    finally:
        browser.no_more(noting)


def test_every_report_opens_by_keys_and_fits_a_phone(mesh: RunningSystem, shop: Shop, browser: Page) -> None:
    page = opened(browser, mesh, f"/#token={shop.token}")
    page.size(390, 844)
    for report in REPORTS:
        page.until(f"!!document.querySelector('#reports [data-report={report}]')")
        page.answer(f"document.querySelector('#reports [data-report={report}]').focus()")
        page.press("Enter", 13)
        page.until(f"location.search.includes('{report}') && document.querySelectorAll('#tables section').length > 0")
        page.until("document.getElementById('live').textContent === 'Live'")
        assert page.answer("document.querySelector('#reports [aria-current]').dataset.report") == report
        assert page.answer("document.documentElement.scrollWidth") <= 390, report
        assert page.answer("document.getElementById('problem').hidden"), report


def test_records_are_shown_and_kept_as_a_file(mesh: RunningSystem, shop: Shop, browser: Page) -> None:
    shop.append([bought(7)])
    page = opened(browser, mesh, f"/?report=records#token={shop.token}")
    page.until("document.querySelector('.words tbody')?.innerText.includes('€10.00')")
    # A file that needs nobody to choose where it goes.
    page.answer("""showSaveFilePicker = async ({ suggestedName }) =>
        (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true })""")
    page.answer("document.querySelector('[data-format=csv]').click()")
    kept = page.until("document.getElementById('download').innerText.match(/(.+) is complete: 1 records/)?.[1]")
    read = f"(await (await (await navigator.storage.getDirectory()).getFileHandle('{kept}')).getFile()).text()"
    assert "completed" in page.answer(f"(async () => {read})()")
    # Where browsers can't do that, the file is handed over when it is complete.
    page.answer("showSaveFilePicker = undefined")
    page.answer("document.querySelector('[data-format=json]').click()")
    said = page.until("document.getElementById('download').innerText.match(/(.+json) is complete: 1 records/)?.[1]")
    assert said.startswith(f"touchstone-{shop.tenant}-orders-")


def test_an_order_leads_to_its_evidence_and_a_day_to_its_ledger(mesh: RunningSystem, shop: Shop, browser: Page) -> None:
    before = datetime.now(UTC) - timedelta(days=2)
    chat = {"channel": "CHAT", "action": "MESSAGE", "conversationId": "c-1"}
    known = {"email": "shopper@example.com"}
    touches = [
        {"eventId": f"touch-{minutes}", "occurTime": at(before - timedelta(minutes=minutes)), "identifiers": known}
        | {"interaction": chat | {"answer": answer}}
        for minutes, answer in ((50, "NOT_ANSWERED"), (20, "HELPFUL"))
    ]
    shop.append([*touches, bought(8, before) | {"identifiers": known}])
    shop.settle()
    page = opened(browser, mesh, f"/?report=records#token={shop.token}")
    page.until("!!document.querySelector('#tables tbody a')")
    page.answer("document.querySelector('#tables tbody a').focus()")
    page.press("Enter", 13)
    page.until("document.querySelectorAll('.way li').length === 3")
    assert "Order 8 of api" in page.text()
    shown = page.answer("[...document.querySelectorAll('.way .verdict')].map(one => one.innerText)")
    assert shown == ["The answer did not help · E-mail address", "Credited · E-mail address"]
    assert "20 min before" in page.answer("document.querySelector('.way .credited').innerText")
    assert page.answer("document.activeElement.id") == "figures"

    page.answer("document.querySelector('#reports [data-report=revenue-impact]').click()")
    page.until("document.querySelectorAll('#daily a').length === 30")
    page.answer("document.querySelectorAll('#daily tbody tr')[27].querySelector('a').click()")
    page.until("document.querySelector('.changes tbody')?.innerText.includes('Order told late')")
    assert page.answer("document.querySelector('.changes tbody tr').cells[6].innerText") == "+€10.00"
    page.answer("document.querySelector('[name=since]').value = '2100-01-01T00:00'")
    page.answer("document.querySelector('.chooser form').requestSubmit()")
    page.until("document.getElementById('tables').innerText.includes('Nothing was told of this day after it was over')")
    assert page.answer("document.getElementById('problem').hidden")


def test_what_sells_best_and_what_may_be_said_of_it(mesh: RunningSystem, shop: Shop, browser: Page) -> None:
    bag = {"lineId": "1", "sku": "BAG", "quantity": "12", "netMicros": "6000000"}
    cup = {"lineId": "2", "sku": "CUP", "quantity": "3", "netMicros": "4000000"}
    sold = bought(9)
    shop.append([sold | {"order": sold["order"] | {"lines": [bag, cup]}}])
    shop.settle()
    page = opened(browser, mesh, f"/?report=popularity#token={shop.token}")
    page.until("document.querySelector('blockquote')?.innerText.includes('12 ')")
    ranked = "[...document.querySelectorAll('tr.chosen > *')].map(one => one.innerText)"
    assert page.answer(ranked) == ["BAG", "1", "100.0%", "12", "12", "12"]
    page.answer("[...document.querySelectorAll('#tables a')].find(one => one.innerText === 'CUP').click()")
    page.until("document.getElementById('proof-title')?.innerText.includes('CUP')")
    assert page.answer(ranked)[:2] == ["CUP", "2"]


def test_who_has_no_valid_token_is_told_what_to_do(mesh: RunningSystem, shop: Shop, browser: Page) -> None:
    page = opened(browser, mesh, "/#token=nonsense")
    page.until("document.getElementById('problem').innerText.includes('Paste another one')")
    assert page.answer("document.activeElement.id") == "token"
    page.answer(f"document.getElementById('token').value = '{shop.token}'")
    page.press("Enter", 13)
    page.until("document.getElementById('live').checkVisibility() && document.getElementById('problem').hidden")


def test_a_moment_by_a_zones_clock(mesh: RunningSystem, browser: Page) -> None:
    page = opened(browser, mesh, "/")
    page.until("document.readyState === 'complete'")
    for local, zone, moment in (
        ("2026-03-29T01:30", "Europe/Madrid", "2026-03-29T00:30:00.000Z"),
        ("2026-03-29T03:30", "Europe/Madrid", "2026-03-29T01:30:00.000Z"),
        ("2026-11-20T09:30", "America/St_Johns", "2026-11-20T13:00:00.000Z"),
        ("2026-11-20T00:00", "Pacific/Apia", "2026-11-19T11:00:00.000Z"),
    ):
        instant = f"import('/dashboard/periods.js').then(one => one.instant('{local}', '{zone}'))"
        assert page.answer(instant) == moment, (local, zone)
