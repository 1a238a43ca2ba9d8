# ruff: noqa: E401, E701, E702, I001
# fmt: off
# Kept as it was first measured with: figures of other days stay comparable.
"""The reference: the same webhook in one process, no gRPC: verify, parse, translate, commit in groups, then answer.

usage: DATABASE_URL=postgresql://… SECRET=… uvicorn single_process:app --port 18081 --loop uvloop --http httptools --no-access-log
Needs uvicorn, uvloop, httptools, orjson, psycopg[binary]. Keep it as fast as it is: a slower reference flatters.
"""
import asyncio, base64, hashlib, hmac, os
from decimal import Decimal
import orjson, psycopg

SECRET = os.environ["SECRET"].encode()
waiting: list[tuple[tuple, asyncio.Future]] = []
bell = asyncio.Event()

def micros(text: str) -> int:
    return int(Decimal(text) * 1_000_000)

def translate(body: bytes) -> tuple[str, str, bytes]:
    """order id, time, and what an attribution system keeps of the order, with the e-mail as a keyed hash"""
    o = orjson.loads(body)
    ids = {a["name"]: a["value"] for a in o["note_attributes"]}
    kept = {"id": o["id"], "at": o["created_at"], "updated": o["updated_at"], "status": o["financial_status"], "currency": o["currency"], "total": micros(o["total_price"]),
            "email": hmac.digest(b"tenant key", o["email"].strip().lower().encode(), "sha256").hex(), "session": ids.get("_touchstone_session_id"), "visitor": ids.get("_touchstone_visitor_id"),
            "lines": [{"sku": x["sku"], "product": x["product_id"], "quantity": x["quantity"], "total": micros(x["price"]) * x["quantity"] - sum(micros(d["amount"]) for d in x["discount_allocations"])} for x in o["line_items"]]}
    return hashlib.sha256(body).hexdigest(), o["created_at"], orjson.dumps(kept)

async def writer() -> None:
    c = await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"])
    await c.execute("create table if not exists reference_head(partition_id int primary key, position bigint not null)")
    await c.execute("create table if not exists reference_log(partition_id int, position bigint, event_id text, occur_time timestamptz, body bytea, primary key(partition_id, position), unique(partition_id, event_id))")
    await c.execute("insert into reference_head values (1, 0) on conflict do nothing"); await c.commit()
    while True:
        await bell.wait(); bell.clear()
        batch, waiting[:] = waiting[:], []
        if not batch: continue
        head = (await (await c.execute("update reference_head set position = position + %s where partition_id = 1 returning position", (len(batch),))).fetchone())[0]
        await c.execute("insert into reference_log select 1, x.p, x.e, x.t, x.b from unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::bytea[]) x(p, e, t, b) on conflict do nothing",
                        (list(range(head - len(batch) + 1, head + 1)), [r[0] for r, _ in batch], [r[1] for r, _ in batch], [r[2] for r, _ in batch]))
        await c.commit()
        for _, f in batch:
            if not f.done(): f.set_result(None)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            m = await receive()
            if m["type"] == "lifespan.startup": app.task = asyncio.create_task(writer())
            await send({"type": m["type"] + ".complete"})
            if m["type"] == "lifespan.shutdown": return
    m = await receive(); body = m.get("body", b"")
    while m.get("more_body"): m = await receive(); body += m.get("body", b"")
    sent = dict(scope["headers"]).get(b"x-shopify-hmac-sha256", b"")
    status = 401
    if hmac.compare_digest(base64.b64encode(hmac.digest(SECRET, body, "sha256")), sent):
        f = asyncio.get_running_loop().create_future(); waiting.append((translate(body), f)); bell.set(); await f
        status = 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})
