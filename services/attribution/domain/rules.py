"""What a tenant decides about its credit: what counts as sold, who is nobody, and by which models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from services.attribution.domain.models import DEFAULT_MODELS, Model, longest_window
from services.attribution.domain.orders import Platform
from services.attribution.domain.snapshot import COUNTED
from services.attribution.domain.spans import Spans
from services.kernel.identifiers import Identifier


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What holds for all of a tenant's orders at once. `blocked` are the values that the tenant says name nobody.

    `count_tests` and `count_crawlers`: trial orders and crawlers' touches count like any other. Not slotted: what
    follows from the models is kept, since every order asks for it.
    """

    counted: Mapping[Platform, frozenset[str]] = field(default_factory=lambda: COUNTED)
    blocked: frozenset[Identifier] = frozenset()
    models: tuple[Model, ...] = DEFAULT_MODELS
    count_tests: bool = False
    count_crawlers: bool = False

    @cached_property
    def applied(self) -> tuple[Model, ...]:
        """The models that orders are attributed by, by name."""
        return tuple(sorted((model for model in self.models if model.applied), key=lambda model: model.name))

    @cached_property
    def applied_names(self) -> tuple[tuple[str, int], ...]:
        """Name and version of each."""
        return tuple((model.name, model.version) for model in self.applied)

    @cached_property
    def own_statuses(self) -> bool:
        """True when a model has its own idea of what counts as sold."""
        return any(model.counted for model in self.applied)

    @cached_property
    def window(self) -> int:
        """The longest window of the models applied, in nanoseconds."""
        return longest_window(self.applied)

    @cached_property
    def spans(self) -> Spans:
        """How long after an event orders may be concerned by it."""
        return Spans.of(self.applied)
