"""Which request goes where, and what it passes on the way."""

from datetime import timedelta

from envoy_data_plane.envoy.config.route.v3 import (
    DirectResponseAction,
    HeaderMatcher,
    RetryPolicy,
    RetryPolicyRetryBackOff,
    Route,
    RouteAction,
    RouteConfiguration,
    RouteMatch,
    RouteMatchGrpcRouteMatchOptions,
    VirtualHost,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from gateway.edge import filters

SERVICES = ("ingest", "identity", "attribution", "reporting")
# Every follower answers this one about itself; the caller names it in a header.
MAINTENANCE = "/touchstone.mesh.v1.MaintenanceService/"
MAINTAINED = ("identity", "attribution", "reporting")
SERVICE_HEADER = "touchstone-service"

NEVER = timedelta()
# A delivery that isn't committed by then is better sent again: shops wait 5 to 10 seconds.
DELIVERY_TIMEOUT = timedelta(seconds=30)
# Somebody has clicked and looks at an empty page.
CLICK_TIMEOUT = timedelta(seconds=10)


def _to(cluster: str, *, timeout: timedelta = NEVER) -> RouteAction:
    """Requests that never reached a process are tried again: they can't have done anything."""
    return RouteAction(
        cluster=cluster,
        timeout=timeout,
        retry_policy=RetryPolicy(
            retry_on="connect-failure,refused-stream",
            num_retries=4,
            retry_back_off=RetryPolicyRetryBackOff(
                base_interval=timedelta(milliseconds=100), max_interval=timedelta(seconds=1)
            ),
        ),
    )


def _grpc(prefix: str, *headers: HeaderMatcher) -> RouteMatch:
    return RouteMatch(prefix=prefix, grpc=RouteMatchGrpcRouteMatchOptions(), headers=list(headers))


def _service_route(cluster: str, match: RouteMatch) -> Route:
    return Route(
        match=match,
        route=_to(cluster),
        typed_per_filter_config={
            filters.RATE_LIMIT: filters.turned_on(),
            filters.TOKEN: filters.token_needed(),
            filters.HEADERS: filters.turned_on(),
            filters.BUFFER: filters.unbuffered(),
        },
    )


def _grpc_routes() -> list[Route]:
    maintenance = [
        _service_route(
            name,
            _grpc(MAINTENANCE, HeaderMatcher(name=SERVICE_HEADER, string_match=StringMatcher(exact=name))),
        )
        for name in MAINTAINED
    ]
    services = [_service_route(name, _grpc(f"/touchstone.{name}.v1.")) for name in SERVICES]
    # To a gRPC client, Envoy says this as UNIMPLEMENTED.
    unknown = Route(match=_grpc("/"), direct_response=DirectResponseAction(status=404))
    return [*maintenance, *services, unknown]


def _webhooks() -> Route:
    return Route(
        match=RouteMatch(prefix="/webhooks/"),
        route=_to("web", timeout=DELIVERY_TIMEOUT),
        typed_per_filter_config={filters.BUFFER: filters.largest_body(filters.LARGEST_DELIVERY)},
    )


def _rest() -> Route:
    return Route(
        match=RouteMatch(prefix="/v1/"),
        route=_to("web"),
        typed_per_filter_config={
            filters.CORS: filters.cors(with_cookies=False),
            filters.RATE_LIMIT: filters.turned_on(),
            filters.TOKEN: filters.token_needed(),
            filters.HEADERS: filters.turned_on(),
        },
    )


def _collect() -> Route:
    return Route(
        match=RouteMatch(path="/collect"),
        route=_to("web"),
        typed_per_filter_config={
            filters.CORS: filters.cors(with_cookies=True),
            filters.RATE_LIMIT: filters.turned_on(),
        },
    )


def _links() -> Route:
    return Route(
        match=RouteMatch(prefix="/l/"),
        route=_to("web", timeout=CLICK_TIMEOUT),
        typed_per_filter_config={
            filters.RATE_LIMIT: filters.turned_on(),
            filters.HEADERS: filters.turned_on(),
        },
    )


def routes() -> RouteConfiguration:
    """All of them, the busiest first."""
    everything_else = Route(match=RouteMatch(prefix="/"), route=_to("web"))
    return RouteConfiguration(
        name="edge",
        virtual_hosts=[
            VirtualHost(
                name="edge",
                domains=["*"],
                routes=[_webhooks(), _rest(), _collect(), _links(), *_grpc_routes(), everything_else],
            )
        ],
    )
