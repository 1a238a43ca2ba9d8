"""The door for shops: verifies a delivery's signature, reads it and answers when it is committed."""

import asyncio
import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import grpc
from starlette.types import Message, Receive, Scope, Send
from touchstone.ingest.v1.event_service_pb2 import Delivery

from gateway.web import errors
from gateway.web.coalescer import Coalescer, NotStoredError
from gateway.web.rounds import Rounds
from gateway.web.sources import KnownSource, Sources
from gateway.web.webhooks import woocommerce
from gateway.web.webhooks.signatures import encoded
from gateway.web.webhooks.translation import LARGEST_BODY, Translation, Unusable
from services.chassis import telemetry

PREFIX: Final = "/webhooks/"

LARGEST_READ: Final = 64 * 1024 * 1024
"""Bytes that are read of a body too large to keep, to verify its signature."""

_PATIENCE: Final = 20.0
"""Seconds for which a delivery is tried that would never come again: its shop waits for a minute, the edge for 30."""
_PAUSE: Final = 0.5
_ADDRESS: Final = re.compile(r"/webhooks/([a-z0-9-]{1,63})/([a-z0-9-]{1,63})")
_NOTHING: Final[Mapping[str, str]] = {}
_WELL: Final = errors.Answer(200, b"{}")

_deliveries = telemetry.counter("touchstone.webhook.deliveries", "Deliveries at the door, by what became of them.")


class _HungUpError(Exception):
    """The client went away before its body was complete."""


class WebhookDoor:
    """The ASGI app for `POST /webhooks/{tenant}/{source}`."""

    def __init__(self, sources: Sources, coalescer: Coalescer) -> None:
        self._sources = sources
        self._coalescer = coalescer
        self._rounds = Rounds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one delivery."""
        try:
            answer = await self._answer(scope, receive)
            _deliveries.add(1, {"outcome": "taken"})
        except _HungUpError:
            return
        except NotStoredError:
            answer = errors.answer_to(
                errors.HttpError(
                    503,
                    grpc.StatusCode.UNAVAILABLE,
                    "NOT_STORED",
                    "The delivery could not be stored at the moment: send it again.",
                    {"retry-after": "1"},
                )
            )
            _deliveries.add(1, {"outcome": "not_stored"})
        except Exception as error:  # noqa: BLE001 - every failure has an answer
            answer = errors.answer_to(error)
            _deliveries.add(1, {"outcome": "refused" if answer.http_status < 500 else "failed"})
        await send_answer(send, answer)

    async def _answer(self, scope: Scope, receive: Receive) -> errors.Answer:
        address = _ADDRESS.fullmatch(scope["path"])
        if address is None:
            raise errors.not_found("SOURCE_NOT_FOUND", "There is no such source.")
        if scope["method"] != "POST":
            raise errors.method_not_allowed("POST")
        tenant_id, source = address.groups()
        known = self._sources.fresh(tenant_id, source) or await self._sources.get(tenant_id, source)
        headers = dict(scope["headers"])
        signature = headers.get(known.platform.signature_header, b"")
        body = await _read(receive, headers, known)
        if isinstance(body, _TooLarge):
            if not body.is_signed(signature):
                raise _badly_signed()
            said = Translation(unusable=[Unusable("BODY_TOO_LARGE", b"")])
            await self._store(known, known.platform.topic(headers), headers, said, {"content-digest": body.digest()})
            return _WELL
        if not signature and _is_creation_ping(known, headers, body):
            return _WELL
        await self._rounds.turn()
        known = await self._verified(known, body, signature)
        topic = known.platform.topic(headers)
        await self._store(known, topic, headers, known.platform.read(topic, body, known.reader))
        return _WELL

    async def _verified(self, known: KnownSource, body: bytes, signature: bytes) -> KnownSource:
        now = time.time()
        if known.platform.is_signed(body, signature, known.keys, now):
            return known
        if signature:
            known = await self._sources.renewed(known)
            if known.platform.is_signed(body, signature, known.keys, now):
                return known
        raise _badly_signed()

    async def _store(
        self,
        known: KnownSource,
        topic: str,
        headers: dict[bytes, bytes],
        said: Translation,
        noted: Mapping[str, str] = _NOTHING,
    ) -> None:
        topic_header = known.platform.topic_header
        kept = {topic_header.decode(): topic, **noted} if topic_header else {}
        seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
        fields: dict[str, Any] = {
            "tenant_id": known.tenant_id,
            "source": known.source,
            "receive_time": {"seconds": seconds, "nanos": nanos},
            "topic": topic,
            "trace_parent": _trace_parent(headers),
            "events": said.events,
            "unusable": [{"reason": part.reason, "body": part.body, "headers": kept} for part in said.unusable],
            "privacy_demands": said.privacy_demands,
        }
        await self._insist(Delivery(**fields).SerializeToString(), _PATIENCE if known.platform.sends_once else 0.0)

    async def _insist(self, delivery: bytes, patience: float) -> None:
        give_up = time.monotonic() + patience
        while True:
            try:
                return await self._coalescer.store(delivery)
            except NotStoredError:
                if time.monotonic() >= give_up:
                    raise
            await asyncio.sleep(_PAUSE)


class _TooLarge:
    """A body that isn't kept, but whose signature can be verified all the same."""

    def __init__(self, keys: Iterable[bytes], begun: bytes) -> None:
        self._signing = [hmac.new(key, begun, "sha256") for key in keys]
        self._hash = hashlib.sha256(begun)
        self._size = len(begun)

    def add(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > LARGEST_READ:
            raise errors.too_large(LARGEST_READ)
        self._hash.update(chunk)
        for signing in self._signing:
            signing.update(chunk)

    def is_signed(self, signature: bytes) -> bool:
        return any(hmac.compare_digest(encoded(signing.digest()), signature) for signing in self._signing)

    def digest(self) -> str:
        """What tells the body apart from others that weren't kept (RFC 9530)."""
        return f"sha-256=:{encoded(self._hash.digest()).decode()}:"


async def _read(receive: Receive, headers: dict[bytes, bytes], known: KnownSource) -> bytes | _TooLarge:
    keeps_reading = known.platform.sends_once
    length = headers.get(b"content-length", b"")
    if not keeps_reading and length.isdigit() and len(length) < 20 and int(length) > LARGEST_BODY:
        raise errors.too_large(LARGEST_BODY)
    message = await receive()
    body = _chunk(message)
    dropped: _TooLarge | None = None
    while message.get("more_body"):
        message = await receive()
        chunk = _chunk(message)
        if dropped is not None:
            dropped.add(chunk)
            continue
        body += chunk
        if len(body) > LARGEST_BODY:
            if not keeps_reading:
                raise errors.too_large(LARGEST_BODY)
            dropped = _TooLarge(known.keys, body)
            body = b""
    return body if dropped is None else dropped


def _chunk(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise _HungUpError
    chunk: bytes = message.get("body", b"")
    return chunk


def _is_creation_ping(known: KnownSource, headers: dict[bytes, bytes], body: bytes) -> bool:
    """WooCommerce's greeting when a webhook is made: unsigned, and without any header of its own."""
    return (
        known.platform.sends_once
        and woocommerce.is_creation_ping(body)
        and not any(name.startswith(b"x-wc-") for name in headers)
    )


def _badly_signed() -> errors.HttpError:
    message = "The signature is missing, or none of the source's secrets made it."
    return errors.HttpError(401, grpc.StatusCode.UNAUTHENTICATED, "BAD_SIGNATURE", message)


def _trace_parent(headers: dict[bytes, bytes]) -> str:
    sent = headers.get(b"traceparent")
    if sent is None:
        return ""
    telemetry.continue_trace(sent.decode("latin-1"))
    return telemetry.current_trace_parent()


async def send_answer(send: Send, answer: errors.Answer) -> None:
    """Sends a JSON answer."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.http_status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
