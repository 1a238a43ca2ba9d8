"""An RPC that answers with a file in parts (google.api.HttpBody), over HTTP: a download."""

from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.descriptor import MethodDescriptor
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from touchstone.reporting.v1.record_service_pb2 import ExportFile

from gateway.web.rest.streams import Call, while_connected

RECORDS_HEADER: Final = "touchstone-records"
"""The header that says how many records a file has, for whoever shows how far it is."""
NEXT_HEADER: Final = "touchstone-next"
"""The header that says where the next part begins, `after` which token; absent where nothing is left behind a file."""


def is_file(rpc: MethodDescriptor) -> bool:
    """True for an RPC whose answer is a file."""
    return rpc.server_streaming and rpc.output_type.full_name == HttpBody.DESCRIPTOR.full_name


class _Download(StreamingResponse):
    """Parts of a call, which ends with the response, however that ends."""

    def __init__(self, call: Call, parts: AsyncIterator[bytes], headers: dict[str, str]) -> None:
        super().__init__(parts, headers=headers)
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the parts."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._call.cancel()


async def answer(request: Request, call: Call) -> Response:
    """The file. Raises what happens before its first part.

    Whoever closes the connection cancels the call. A call that fails later leaves the answer without its end, which
    every client takes for the failure that it is.
    """
    first: Any = await while_connected(request, call, call.read())
    if first is grpc.aio.EOF:
        return Response(b"")
    headers = {"content-type": first.content_type, "cache-control": "no-store, no-transform"}
    file = ExportFile()
    for extension in first.extensions:
        if extension.Unpack(file):
            headers["content-disposition"] = f'attachment; filename="{file.name}"'
            headers[RECORDS_HEADER] = str(file.records)
            if file.next:
                headers[NEXT_HEADER] = file.next
    return _Download(call, _parts(call, first), headers)


async def _parts(call: Call, first: Any) -> AsyncIterator[bytes]:
    message = first
    while message is not grpc.aio.EOF:
        if message.data:
            yield message.data
        message = await call.read()
