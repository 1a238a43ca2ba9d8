"""What a moment is headed by: the tenant, and through which positions of the logs its figures speak."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson

from services.chassis.follow import Applied
from services.reporting.domain.tenants import Tenant
from services.reporting.store.moments import Asked, Row, asked_of
from services.reporting.store.tenants import FIELDS, FROM, tenant_of

_TENANT: Final = -2
_FOLLOWED: Final = -1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# Numbers as texts are made out by what their fields are; bytes stand there as hexadecimal digits.
_TEXTS: Final = ", ".join(
    f"encode({name}, 'hex')" if kind is bytes else f"CAST({name} AS text)" for name, kind in FIELDS
)

HEADS: Final = (
    f"SELECT {_TENANT}, 0, 0, ARRAY[{_TEXTS}], CAST(NULL AS text) {FROM} WHERE tenant_id = :tenant_id",
    f"""SELECT {_FOLLOWED}, 0, position, ARRAY[CAST(log AS text)],
               CAST(CAST(extract(epoch FROM apply_time) * 1000000 AS bigint) AS text) FROM checkpoint
        WHERE partition_id = coalesce(
            (SELECT partition_id FROM tenant WHERE tenant_id = :tenant_id), :proposed_partition)""",
)
"""The parts of a moment's statement that tell it, where `:proposed_partition` is one's of whom nothing was told."""

_ALONE: Final = asked_of(HEADS)


class Head(NamedTuple):
    """The tenant, None where nothing was told of one, and how far each log is followed, by its name."""

    tenant: Tenant | None
    applied: dict[str, Applied]


def asked(tenant_id: str, proposed_partition: int) -> Asked:
    """What is to be asked for a head alone."""
    return _ALONE.asked({"tenant_id": tenant_id, "proposed_partition": proposed_partition})


def head(rows: Sequence[Row]) -> Head:
    """What a moment's rows tell of its head."""
    tenant: Tenant | None = None
    applied: dict[str, Applied] = {}
    for number, _, position, texts, micros in rows:
        if number == _FOLLOWED and texts and texts[0] is not None:
            applied[texts[0]] = Applied(position, _EPOCH + timedelta(microseconds=int(micros or 0)))
        elif number == _TENANT and texts:
            tenant = tenant_of([_read(kind, told) for (_, kind), told in zip(FIELDS, texts, strict=True)])
    return Head(tenant, applied)


def _read(kind: type, told: str | None) -> Any:
    if told is None or kind is str:
        return told
    if kind is int:
        return int(told)
    return bytes.fromhex(told) if kind is bytes else orjson.loads(told)
