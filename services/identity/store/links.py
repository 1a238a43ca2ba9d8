"""Tracked links, and the hosts that they may lead to."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import numbers, texts
from services.identity.domain.links import TrackedLink

_ADD = text(
    """INSERT INTO tracked_link (tenant_id, link_id, conversation_id, destination, expire_nanos)
       SELECT tenant_id, link_id, conversation_id, destination, expire_nanos
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:link_ids AS text[]), CAST(:conversation_ids AS text[]),
                   CAST(:destinations AS text[]), CAST(:expire_nanos AS bigint[]))
           AS put (tenant_id, link_id, conversation_id, destination, expire_nanos)
       ON CONFLICT (tenant_id, link_id) DO NOTHING"""
)

_KEEP_HOSTS = text(
    """INSERT INTO link_host (tenant_id, position, hosts)
       SELECT tenant_id, position, CAST(hosts AS text[])
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:positions AS bigint[]), CAST(:hosts AS text[]))
           AS put (tenant_id, position, hosts)
       ON CONFLICT (tenant_id) DO UPDATE SET position = excluded.position, hosts = excluded.hosts
       WHERE link_host.position < excluded.position"""
)

# The one question that is asked without a tenant: one look into an index, and the asker remembers the answer.
_FIND = text(
    """SELECT tracked_link.tenant_id, conversation_id, destination, expire_nanos, hosts
       FROM tracked_link LEFT JOIN link_host ON link_host.tenant_id = tracked_link.tenant_id
       WHERE link_id = :link_id ORDER BY tracked_link.tenant_id LIMIT 1"""
)

_IS_KNOWN = text("SELECT FROM tracked_link WHERE tenant_id = :tenant_id AND link_id = :link_id")


class FoundLink(NamedTuple):
    """A link, whose it is, and the hosts that its tenant lets links lead to now; None where no settings were told."""

    tenant_id: str
    link: TrackedLink
    hosts: tuple[str, ...] | None


async def add(connection: AsyncConnection, links: Mapping[str, Sequence[TrackedLink]]) -> None:
    """Keeps tenants' new links; what is known already stays."""
    rows = [(tenant_id, link) for tenant_id in sorted(links) for link in sorted(links[tenant_id])]
    if rows:
        parameters = {
            "tenant_ids": texts(tenant_id for tenant_id, _ in rows),
            "link_ids": texts(link.link_id for _, link in rows),
            "conversation_ids": texts(link.conversation_id for _, link in rows),
            "destinations": texts(link.destination for _, link in rows),
            "expire_nanos": numbers(link.expire_nanos for _, link in rows),
        }
        await connection.execute(_ADD, parameters)


async def keep_hosts(connection: AsyncConnection, hosts: Mapping[str, tuple[int, Sequence[str]]]) -> None:
    """Keeps the hosts of tenants' settings, each with their position; those at the greatest position hold."""
    rows = sorted(hosts.items())
    if rows:
        parameters = {
            "tenant_ids": texts(tenant_id for tenant_id, _ in rows),
            "positions": numbers(position for _, (position, _) in rows),
            "hosts": texts(texts(of_tenant) for _, (_, of_tenant) in rows),
        }
        await connection.execute(_KEEP_HOSTS, parameters)


async def find(connection: AsyncConnection, link_id: str) -> FoundLink | None:
    """The link, whosever it is; None when there is none."""
    row = (await connection.execute(_FIND, {"link_id": link_id})).one_or_none()
    if row is None:
        return None
    link = TrackedLink(link_id, row.conversation_id, row.destination, row.expire_nanos)
    return FoundLink(row.tenant_id, link, None if row.hosts is None else tuple(row.hosts))


async def is_known(connection: AsyncConnection, tenant_id: str, link_id: str) -> bool:
    """True once the link has been followed."""
    return bool((await connection.execute(_IS_KNOWN, {"tenant_id": tenant_id, "link_id": link_id})).all())
