"""The tenants' settings and models, as they stand in the event log, and which of them decide credits."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import numbers, texts


class RuleDocuments(NamedTuple):
    """A tenant's settings and models, each as it was last told and where; None before the first.

    `edition` is that of these documents. While its credits are not complete, `held_edition` is the one in force, with
    the documents that made it; None when nothing is coming.
    """

    settings: bytes | None = None
    settings_position: int = 0
    models: bytes | None = None
    models_position: int = 0
    edition: int = 0
    held_edition: int | None = None
    held_settings: bytes | None = None
    held_models: bytes | None = None


class Coming(NamedTuple):
    """An edition whose credits are not complete: the order, by id and source, up to which they are."""

    tenant_id: str
    after_order_id: str
    after_source: str


class ModelSetRow(NamedTuple):
    """A set of models that was told, as it was numbered."""

    tenant_id: str
    position: int
    event_id: str
    models: bytes


_READ = text(
    """SELECT tenant_id, settings, settings_position, models, models_position, edition,
              held_edition, held_settings, held_models
       FROM tenant_rules WHERE tenant_id = ANY(CAST(:tenant_ids AS text[]))"""
)

# A newer edition than the one that was coming starts over with the first order.
_SAVE = text(
    """INSERT INTO tenant_rules (tenant_id, settings, settings_position, models, models_position, edition,
                                 held_edition, held_settings, held_models, partition_id)
       SELECT *, :partition
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:settings AS bytea[]),
                   CAST(:settings_positions AS bigint[]), CAST(:models AS bytea[]),
                   CAST(:models_positions AS bigint[]), CAST(:editions AS bigint[]),
                   CAST(:held_editions AS bigint[]), CAST(:held_settings AS bytea[]), CAST(:held_models AS bytea[]))
       ON CONFLICT (tenant_id) DO UPDATE
       SET settings = excluded.settings, settings_position = excluded.settings_position,
           models = excluded.models, models_position = excluded.models_position, edition = excluded.edition,
           held_edition = excluded.held_edition, held_settings = excluded.held_settings,
           held_models = excluded.held_models, partition_id = excluded.partition_id,
           after_order_id = CASE WHEN tenant_rules.edition = excluded.edition THEN tenant_rules.after_order_id
                                 ELSE '' END,
           after_source = CASE WHEN tenant_rules.edition = excluded.edition THEN tenant_rules.after_source ELSE '' END,
           done = CASE WHEN tenant_rules.edition = excluded.edition THEN tenant_rules.done ELSE 0 END"""
)

_PARTITIONS_COMING = text("SELECT DISTINCT partition_id FROM tenant_rules WHERE held_edition IS NOT NULL")

_NEXT_COMING = text(
    """SELECT tenant_id, after_order_id, after_source FROM tenant_rules
       WHERE partition_id = :partition AND held_edition IS NOT NULL ORDER BY edition, tenant_id LIMIT 1"""
)

_ADVANCE = text(
    """UPDATE tenant_rules SET after_order_id = :order_id, after_source = :source, done = done + :count
       WHERE tenant_id = :tenant_id"""
)

_COME_INTO_FORCE = text(
    """UPDATE tenant_rules SET held_edition = NULL, held_settings = NULL, held_models = NULL,
           after_order_id = '', after_source = '', done = 0
       WHERE tenant_id = :tenant_id"""
)

_DONE = text("SELECT done FROM tenant_rules WHERE tenant_id = :tenant_id AND held_edition IS NOT NULL")

_READ_MODEL_SETS = text(
    """SELECT tenant_id, position, event_id, models FROM model_set
       WHERE tenant_id = ANY(CAST(:tenant_ids AS text[])) ORDER BY tenant_id, position"""
)

_FIND_MODEL_SET = text(
    """SELECT tenant_id, position, event_id, models FROM model_set
       WHERE tenant_id = :tenant_id AND event_id = :event_id ORDER BY position LIMIT 1"""
)

_ADD_MODEL_SETS = text(
    """INSERT INTO model_set (tenant_id, position, event_id, models)
       SELECT * FROM unnest(CAST(:tenant_ids AS text[]), CAST(:positions AS bigint[]), CAST(:event_ids AS text[]),
                            CAST(:models AS bytea[]))
       ON CONFLICT DO NOTHING"""
)


async def read_rules(connection: AsyncConnection, tenant_ids: Iterable[str]) -> dict[str, RuleDocuments]:
    """The documents of each tenant asked for."""
    wanted = sorted(set(tenant_ids))
    rows = await connection.execute(_READ, {"tenant_ids": wanted})
    found = {row.tenant_id: RuleDocuments(*row[1:]) for row in rows}
    return {tenant_id: found.get(tenant_id, RuleDocuments()) for tenant_id in wanted}


async def save_rules(connection: AsyncConnection, partition: int, documents: Mapping[str, RuleDocuments]) -> None:
    """Replaces the documents of these tenants of a partition."""
    every = list(documents.values())
    await connection.execute(
        _SAVE,
        {
            "partition": partition,
            "tenant_ids": list(documents),
            "settings": [document.settings for document in every],
            "settings_positions": [document.settings_position for document in every],
            "models": [document.models for document in every],
            "models_positions": [document.models_position for document in every],
            "editions": [document.edition for document in every],
            "held_editions": [document.held_edition for document in every],
            "held_settings": [document.held_settings for document in every],
            "held_models": [document.held_models for document in every],
        },
    )


async def partitions_coming(connection: AsyncConnection) -> Collection[int]:
    """The partitions with tenants whose credits are not complete in their newest edition."""
    return [int(row.partition_id) for row in await connection.execute(_PARTITIONS_COMING)]


async def next_coming(connection: AsyncConnection, partition: int) -> Coming | None:
    """A partition's edition that is to be completed first; None when none is coming."""
    row = (await connection.execute(_NEXT_COMING, {"partition": partition})).first()
    return None if row is None else Coming(*row)


async def advance(connection: AsyncConnection, tenant_id: str, through: tuple[str, str], count: int) -> None:
    """Notes that so many orders more, through this id and source, have their credits in the coming edition."""
    bound = {"tenant_id": tenant_id, "order_id": through[0], "source": through[1], "count": count}
    await connection.execute(_ADVANCE, bound)


async def come_into_force(connection: AsyncConnection, tenant_id: str) -> None:
    """Puts the coming edition in the place of the one that was held."""
    await connection.execute(_COME_INTO_FORCE, {"tenant_id": tenant_id})


async def orders_done(connection: AsyncConnection, tenant_id: str) -> int | None:
    """How many orders have their credits in the coming edition; None when none is coming."""
    found = (await connection.execute(_DONE, {"tenant_id": tenant_id})).scalar_one_or_none()
    return None if found is None else int(found)


async def read_model_sets(connection: AsyncConnection, tenant_ids: Iterable[str]) -> list[ModelSetRow]:
    """Every set of models that these tenants ever had, by tenant and position."""
    rows = await connection.execute(_READ_MODEL_SETS, {"tenant_ids": texts(tenant_ids)})
    return [ModelSetRow(*row) for row in rows]


async def find_model_set(connection: AsyncConnection, tenant_id: str, event_id: str) -> ModelSetRow | None:
    """The set of models that an event told."""
    row = (await connection.execute(_FIND_MODEL_SET, {"tenant_id": tenant_id, "event_id": event_id})).first()
    return None if row is None else ModelSetRow(*row)


async def add_model_sets(connection: AsyncConnection, sets: Iterable[ModelSetRow]) -> None:
    """Keeps sets of models; one that is known stays as it was numbered."""
    added = list(sets)
    if added:
        await connection.execute(
            _ADD_MODEL_SETS,
            {
                "tenant_ids": texts(one.tenant_id for one in added),
                "positions": numbers(one.position for one in added),
                "event_ids": texts(one.event_id for one in added),
                "models": [one.models for one in added],
            },
        )
