"""Answers `touchstone.reporting.v1.ProductService`."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import grpc
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.reporting.v1 import product_pb2
from touchstone.reporting.v1 import product_service_pb2 as pb
from touchstone.reporting.v1 import product_service_pb2_grpc as pb_grpc

from services.chassis import callers
from services.kernel.failures import NotFoundError
from services.reporting import answers
from services.reporting.domain.paging import page_size, read_token, write_token
from services.reporting.domain.periods import read_date
from services.reporting.domain.popularity import By, read_ranked_by
from services.reporting.domain.sentences import locale_of, read_locale, said
from services.reporting.domain.tenants import Tenant
from services.reporting.store import products
from services.reporting.wire.products import popular_product_message, social_proof_message
from services.reporting.wire.settings import language_of

Context = grpc.aio.ServicerContext[Any, Any]


class ProductServicer(pb_grpc.ProductServiceServicer):
    """How well products sell. `engine_of` answers the state to read."""

    def __init__(self, engine_of: Callable[[], AsyncEngine]) -> None:
        self._engine_of = engine_of

    async def ListPopularProducts(
        self,
        request: pb.ListPopularProductsRequest,
        context: Context,
    ) -> pb.ListPopularProductsResponse:
        """A page of products, the most sold first."""
        tenant_id, (by, days) = callers.tenant_id(), read_ranked_by(request.by, request.days)
        async with answers.moment(self._engine_of()) as connection:
            tenant = await answers.read_tenant(connection, tenant_id)
            as_of = _day(request.as_of, tenant)
            # With the day that was meant: after midnight there is another list.
            listed_by = f"{tenant_id}\0{by}\0{days}\0{as_of}".encode()
            offset = read_token(request.page_token, listed_by)
            limit = page_size(request.page_size, default=20, largest=1_000)
            page = await products.read_popular(connection, tenant, as_of, by, days, offset=offset, limit=limit)
        end = offset + len(page.products)
        return pb.ListPopularProductsResponse(
            products=map(popular_product_message, page.products),
            next_page_token=write_token(end, listed_by) if page.products and end < page.total_size else "",
            by=product_pb2.Ranking.By.ValueType(page.by),
            days=days if page.by is By.UNITS else 0,
            as_of=as_of.isoformat(),
            total_size=page.total_size,
        )

    async def GetSocialProof(
        self,
        request: pb.GetSocialProofRequest,
        context: Context,
    ) -> pb.GetSocialProofResponse:
        """What can be said of a product."""
        async with answers.moment(self._engine_of()) as connection:
            tenant = await answers.read_tenant(connection, callers.tenant_id())
            asked = request.language_code
            locale = read_locale(asked) if asked else locale_of(language_of(tenant.settings))
            as_of = _day(request.as_of, tenant)
            popularity = await products.read_popularity(connection, tenant, as_of, request.sku)
        if popularity is None:
            raise NotFoundError("PRODUCT_NOT_FOUND", "No product of the shop goes by this name.")
        proof = social_proof_message(request.sku, popularity)
        proof.as_of = as_of.isoformat()
        if sentence := said(popularity, locale):
            proof.sentence, proof.language_code = sentence, locale.language
        return pb.GetSocialProofResponse(social_proof=proof)


def _day(told: str, tenant: Tenant) -> date:
    """The day asked about; today in the tenant's zone where none is."""
    return read_date("asOf", told) if told else datetime.now(tenant.zone).date()
