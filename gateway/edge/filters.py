"""The filters of the edge: off unless a route turns them on, so that a webhook passes as few as possible."""

from datetime import timedelta

from betterproto2 import Message
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation, HeaderMutationRemoveOnMatch
from envoy_data_plane.envoy.config.core.v3 import (
    DataSource,
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
    RuntimeFractionalPercent,
)
from envoy_data_plane.envoy.config.route.v3 import FilterConfig
from envoy_data_plane.envoy.extensions.filters.http.buffer.v3 import Buffer, BufferPerRoute
from envoy_data_plane.envoy.extensions.filters.http.cors.v3 import Cors, CorsPolicy
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation as HeaderMutationFilter
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import Mutations
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import (
    JwtAuthentication,
    JwtCacheConfig,
    JwtHeader,
    JwtProvider,
    JwtRequirement,
    PerRouteConfig,
)
from envoy_data_plane.envoy.extensions.filters.http.local_ratelimit.v3 import LocalRateLimit
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher
from envoy_data_plane.envoy.type.v3 import FractionalPercent, FractionalPercentDenominatorType, TokenBucket
from envoy_data_plane.google.protobuf import Any

CORS = "envoy.filters.http.cors"
RATE_LIMIT = "envoy.filters.http.local_ratelimit"
TOKEN = "envoy.filters.http.jwt_authn"  # noqa: S105  a filter's name
HEADERS = "envoy.filters.http.header_mutation"
BUFFER = "envoy.filters.http.buffer"
ROUTER = "envoy.filters.http.router"

MEGABYTE = 1_000_000
LARGEST_BODY = 10 * MEGABYTE
# A shop's delivery over 5 MB is the web server's to judge: one shop is refused, another answered 200 and parked.
LARGEST_DELIVERY = 20 * MEGABYTE

# Far above what one installation answers: it stops a client that runs wild, and nobody else.
REQUESTS_PER_SECOND = 5000

_ISSUED_TOKEN = "issued"  # noqa: S105  a requirement's name
# Headers by which a caller names a tenant or a service; every other of these names is for us to set.
_CALLERS_HEADERS = ("touchstone-tenant", "touchstone-service")
# Ours: where people reach this installation, as whoever asks has found it.
_ORIGIN_HEADER = "touchstone-origin"


def cors(*, with_cookies: bool) -> Any:
    """Any origin may call: without cookies a token must be known, and with them the web server knows the origins."""
    return Any.pack(
        CorsPolicy(
            allow_origin_string_match=[StringMatcher(safe_regex=RegexMatcher(regex=".*"))],
            allow_methods="GET, POST, PUT, PATCH, DELETE",
            allow_headers="authorization, content-type, last-event-id, touchstone-tenant",
            expose_headers="content-disposition, touchstone-next, touchstone-records",
            max_age="86400",
            allow_credentials=with_cookies,
        )
    )


def turned_on() -> Any:
    """The filter as it is described in `http_filters`."""
    return Any.pack(FilterConfig(config=Any()))


def token_needed() -> Any:
    """A token that one of the JWKS' keys has signed. What it allows is decided by the service that gets it."""
    return Any.pack(PerRouteConfig(requirement_name=_ISSUED_TOKEN))


def largest_body(size: int) -> Any:
    """Another limit than LARGEST_BODY, in bytes."""
    return Any.pack(BufferPerRoute(buffer=Buffer(max_request_bytes=size)))


def unbuffered() -> Any:
    """For streams: their messages pass as they come, and the services limit each."""
    return Any.pack(BufferPerRoute(disabled=True))


def _rate_limit() -> LocalRateLimit:
    """One bucket for all requests that it is turned on for."""
    always = RuntimeFractionalPercent(
        default_value=FractionalPercent(numerator=100, denominator=FractionalPercentDenominatorType.HUNDRED)
    )
    return LocalRateLimit(
        stat_prefix="edge",
        token_bucket=TokenBucket(
            max_tokens=REQUESTS_PER_SECOND,
            tokens_per_fill=REQUESTS_PER_SECOND,
            fill_interval=timedelta(seconds=1),
        ),
        filter_enabled=always,
        filter_enforced=always,
        rate_limited_as_resource_exhausted=True,
    )


def _copied(name: str, value: str) -> HeaderMutation:
    return HeaderMutation(
        append=HeaderValueOption(
            header=HeaderValue(key=name, value=value),
            append_action=HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
        )
    )


def _removed(prefix: str) -> HeaderMutation:
    return HeaderMutation(remove_on_match=HeaderMutationRemoveOnMatch(key_matcher=StringMatcher(prefix=prefix)))


def _own_headers_removed() -> HeaderMutationFilter:
    """Takes away headers that only we may set; those that callers may set are put aside meanwhile."""
    aside = {name: f"kept-{name}" for name in _CALLERS_HEADERS}
    return HeaderMutationFilter(
        mutations=Mutations(
            request_mutations=[
                _removed("kept-touchstone-"),
                *(_copied(kept, f"%REQ({name})%") for name, kept in aside.items()),
                _removed("touchstone-"),
                _removed("x-touchstone-"),
                *(_copied(name, f"%REQ({kept})%") for name, kept in aside.items()),
                _removed("kept-touchstone-"),
                _copied(_ORIGIN_HEADER, "%REQ(:scheme)%://%REQ(:authority)%"),
            ]
        )
    )


def _tokens() -> JwtAuthentication:
    return JwtAuthentication(
        providers={
            "jwks": JwtProvider(
                # Whatever is signed by a key of the file passes; services check issuer, tenant and scope as well.
                local_jwks=DataSource(filename="${JWKS_FILE}"),
                require_expiration=True,
                forward=True,
                # Only here: a token in an address would end up in other people's logs.
                from_headers=[JwtHeader(name="Authorization", value_prefix="Bearer ")],
                jwt_cache_config=JwtCacheConfig(jwt_cache_size=1000),
            )
        },
        requirement_map={_ISSUED_TOKEN: JwtRequirement(provider_name="jwks")},
        bypass_cors_preflight=True,
    )


def _filter(name: str, configuration: Message, *, disabled: bool = True) -> HttpFilter:
    return HttpFilter(name=name, typed_config=Any.pack(configuration), disabled=disabled)


def http_filters() -> list[HttpFilter]:
    """In the order that a request passes them: a body is only taken in from those who may send it."""
    return [
        _filter(CORS, Cors()),
        _filter(RATE_LIMIT, _rate_limit()),
        _filter(TOKEN, _tokens()),
        _filter(HEADERS, _own_headers_removed()),
        # Whole requests only reach the web server, so that slow senders hold a buffer here and no worker there.
        _filter(BUFFER, Buffer(max_request_bytes=LARGEST_BODY), disabled=False),
        _filter(ROUTER, Router(suppress_envoy_headers=True), disabled=False),
    ]
