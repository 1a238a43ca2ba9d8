"""A channel in whose place another one steps when what it was opened with has changed."""

from collections.abc import Callable
from typing import Any, Final, Generic, Self, TypeVar

import grpc

T = TypeVar("T")


class RenewingChannel(grpc.aio.Channel, Generic[T]):
    """Opens a channel with what `present` answers, and another one as soon as that is something else.

    What is under way goes on where it began: a follower's stream lasts as long as its connection, and the next one is
    made over the new channel. The old ones stay open for them, idle: renewals are months apart.
    """

    def __init__(self, present: Callable[[], T], open_: Callable[[T], grpc.aio.Channel]) -> None:
        self._present = present
        self._open: Final = open_
        self._opened_with = present()
        self._channels = [open_(self._opened_with)]

    def current(self) -> grpc.aio.Channel:
        """The channel that calls are made over now."""
        if (now := self._present()) is not self._opened_with:
            self._opened_with = now
            self._channels.append(self._open(now))
        return self._channels[-1]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Closes them all."""
        for channel in self._channels:
            await channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """The state of the present channel."""
        return self.current().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Returns when the present channel has another state."""
        await self.current().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Returns when the present channel is connected."""
        await self.current().channel_ready()

    def unary_unary(self, *what: Any, **more: Any) -> Any:
        """A call of one request and one answer."""
        return self._calling("unary_unary", what, more)

    def unary_stream(self, *what: Any, **more: Any) -> Any:
        """A call of one request and many answers."""
        return self._calling("unary_stream", what, more)

    def stream_unary(self, *what: Any, **more: Any) -> Any:
        """A call of many requests and one answer."""
        return self._calling("stream_unary", what, more)

    def stream_stream(self, *what: Any, **more: Any) -> Any:
        """A call of many requests and many answers."""
        return self._calling("stream_stream", what, more)

    def _calling(self, kind: str, what: tuple[Any, ...], more: dict[str, Any]) -> Callable[..., Any]:
        """Calls over the channel that there is when it is called: stubs are made once."""
        made_over: grpc.aio.Channel | None = None
        made: Callable[..., Any] | None = None

        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal made_over, made
            channel = self.current()
            if made is None or made_over is not channel:
                made_over, made = channel, getattr(channel, kind)(*what, **more)
            return made(*arguments, **options)

        return call
