"""What a tenant's settings and models mean to figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.kernel.failures import InvalidArgumentError

DEFAULT_MODEL = "conversations"
"""The model of a request that names none."""

DEFAULT_MODELS: Mapping[str, int] = dict.fromkeys(
    (DEFAULT_MODEL, "contact", "personalization", "recommendation_assisted", "recommendation_direct"), 1
)
"""The versions of the models that hold before a tenant has chosen any."""

UTC = "UTC"


class Cost(NamedTuple):
    """What the assistant costs a month, in millionths of a currency."""

    currency_code: str
    monthly_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A tenant as figures see it. Before any settings: days in UTC, no reporting currency, the default models.

    `settings_position` is that in the event log which the settings come from; `edition` that of the credits which
    figures are made of, and `models` are those that it has. A newer one is kept beside it until it is complete.
    """

    tenant_id: str
    partition: int
    time_zone: str = UTC
    currency_code: str = ""
    settings_position: int = 0
    models: Mapping[str, int] = field(default_factory=lambda: DEFAULT_MODELS)
    edition: int = 0
    settings: bytes = b""
    """The settings' document as it was told, for the kinds of activity that read more of it."""

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose days are counted."""
        return ZoneInfo(self.time_zone)

    def model_version(self, model: str) -> int:
        """The version of an active model; raises `InvalidArgumentError` naming `model` for another one."""
        if model not in self.models:
            there_are = ", ".join(sorted(self.models)) or "none"
            raise InvalidArgumentError.of("model", f"there is no active model {model!r}; there are: {there_are}")
        return self.models[model]
