"""Tenants as they were last seen, to guess by what a report of theirs has to read; never to answer by."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from services.reporting.domain.tenants import Tenant

_MOST: Final = 1_000
_QUESTIONS: Final = 8

Question = TypeVar("Question")


class Seen(Generic[Question]):
    """A tenant as last seen, and what was asked about it since."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self._questions: OrderedDict[Hashable, Question] = OrderedDict()

    def question(self, key: Hashable, make: Callable[[], Question]) -> Question:
        """What asks for something, made where it was not asked for lately."""
        question = self._questions.get(key)
        if question is None:
            question = self._questions[key] = make()
            if len(self._questions) > _QUESTIONS:
                self._questions.popitem(last=False)
        return question


class Remembered(Generic[Question]):
    """The tenants seen last."""

    def __init__(self) -> None:
        self._tenants: OrderedDict[str, Seen[Question]] = OrderedDict()

    def get(self, tenant_id: str) -> Seen[Question] | None:
        """The tenant as it was seen last; None where it was not, or too many others were since."""
        return self._tenants.get(tenant_id)

    def put(self, tenant: Tenant) -> Seen[Question]:
        """Remembers how a tenant was just seen."""
        seen = self._tenants[tenant.tenant_id] = Seen(tenant)
        self._tenants.move_to_end(tenant.tenant_id)
        if len(self._tenants) > _MOST:
            self._tenants.popitem(last=False)
        return seen
