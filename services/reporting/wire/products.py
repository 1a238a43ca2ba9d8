"""Products and how they sell."""

from typing import Any

from touchstone.reporting.v1 import product_pb2

from services.reporting.domain.popularity import SPANS, Popularity, Ranking, best_seller


def popular_product_message(popularity: Popularity) -> product_pb2.PopularProduct:
    """A product of a ranked list."""
    product = popularity.product
    return product_pb2.PopularProduct(
        sku=product.sku,
        product_id=product.product_id,
        display_name=product.display_name,
        total_sales=product.total_sales,
        ranking=_ranking_message(popularity.rankings[0]),
        **_units(product.units),
    )


def social_proof_message(sku: str, popularity: Popularity) -> product_pb2.SocialProof:
    """What was asked for by a name, without a sentence."""
    product = popularity.product
    return product_pb2.SocialProof(
        sku=sku,
        product_sku=product.sku,
        display_name=product.display_name,
        best_seller=best_seller(popularity.rankings) is not None,
        total_sales=product.total_sales,
        rankings=map(_ranking_message, popularity.rankings),
        **_units(product.units),
    )


def _units(units: tuple[int, ...]) -> dict[str, Any]:
    """The fields that tell units over each span."""
    return {f"units_{days}_days": count for days, count in zip(SPANS, units, strict=True)}


def _ranking_message(ranking: Ranking) -> product_pb2.Ranking:
    return product_pb2.Ranking(
        by=product_pb2.Ranking.By.ValueType(ranking.by),
        days=ranking.days,
        sold=ranking.sold,
        rank=ranking.rank,
        ranked=ranking.ranked,
        percentile=ranking.percentile,
    )
