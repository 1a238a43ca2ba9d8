"""Editions: the rules that are in force, and those that will be as soon as every order is decided by them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from services.attribution.domain.models import Model
from services.attribution.domain.rules import Rules
from services.attribution.domain.spans import Spans
from services.kernel.identifiers import Identifier


class Edition(NamedTuple):
    """Rules, and the number of what they say of all orders: the position in the event log of what made them."""

    number: int
    rules: Rules


class Editions(NamedTuple):
    """The edition whose credits are told to everybody, and the one that is being made; None when none is."""

    in_force: Edition
    coming: Edition | None = None

    @property
    def newest(self) -> Edition:
        """The edition of what was told last."""
        return self.coming or self.in_force

    @property
    def spans(self) -> Spans:
        """How long after an event orders may be concerned by it, under either."""
        if self.coming is None:
            return self.in_force.rules.spans
        return Spans.of((*self.in_force.rules.applied, *self.coming.rules.applied))

    @property
    def blocked(self) -> frozenset[Identifier]:
        """The identifiers that name nobody by one of the two at least."""
        coming = self.coming.rules.blocked if self.coming else frozenset[Identifier]()
        return self.in_force.rules.blocked | coming

    @property
    def window(self) -> int:
        """How long before an order what earns of it may have been, under either, in nanoseconds."""
        return max(edition.rules.window for edition in (self.in_force, self.coming) if edition)


def versions(told: Sequence[Model], held: Sequence[Model], ever: Iterable[Model]) -> Mapping[str, int]:
    """The version of each model of a set that was told while another held, by name.

    A model that stays as it was keeps its version. Any other gets a greater one than that name ever had, or the one
    that it was told with where that is greater. So of two sets that were made of the same one at the same time, the
    second in the log has versions of its own, and a removed model's are not used again.
    """
    greatest: dict[str, int] = {}
    for model in (*held, *ever):
        greatest[model.name] = max(greatest.get(model.name, 0), model.version)
    holding = {model.name: model for model in held}
    given: dict[str, int] = {}
    for model in told:
        before = holding.get(model.name)
        if before is not None and replace(model, version=before.version) == before:
            given[model.name] = before.version
        else:
            given[model.name] = max(model.version, greatest.get(model.name, 0) + 1)
    return given
