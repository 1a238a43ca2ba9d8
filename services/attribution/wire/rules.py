"""Settings and models between protobuf and the domain."""

from collections.abc import Mapping
from fractions import Fraction

from touchstone.ingest.v1 import interaction_pb2, model_pb2, settings_pb2

from services.attribution.domain.models import DEFAULT_MODELS, Anchor, Model, Rule
from services.attribution.domain.orders import Platform
from services.attribution.domain.rules import Rules
from services.attribution.domain.snapshot import COUNTED
from services.attribution.domain.touches import Channel
from services.attribution.wire.people import identifier
from services.attribution.wire.times import duration, nanos_long
from services.kernel.identifiers import Identifier

_BY_NAME = {"shopify": Platform.SHOPIFY, "woocommerce": Platform.WOOCOMMERCE, "custom": Platform.CUSTOM}


def rules(settings: bytes | None, models: bytes | None) -> Rules:
    """A tenant's rules from its settings and its models as they stand in the log; None for those never set."""
    document = settings_pb2.TenantSettings.FromString(settings or b"")
    return Rules(
        counted=_counted(document),
        blocked=_blocked(document),
        models=DEFAULT_MODELS
        if models is None
        else tuple(_model(message) for message in model_pb2.ModelSet.FromString(models).models),
    )


def _counted(settings: settings_pb2.TenantSettings) -> Mapping[Platform, frozenset[str]]:
    """The statuses that count as sold; a platform that the settings don't name keeps its own."""
    named = {
        _BY_NAME[entry.platform]: frozenset(entry.statuses)
        for entry in settings.counted_statuses
        if entry.platform in _BY_NAME
    }
    return {**COUNTED, **named}


def _blocked(settings: settings_pb2.TenantSettings) -> frozenset[Identifier]:
    """The values that the tenant says identify nobody."""
    return frozenset(identifier(message) for message in settings.blocked_identifiers)


def _model(message: model_pb2.Model) -> Model:
    """A model as the tenant set it."""
    return Model(
        name=message.name,
        version=message.version,
        display_name=message.display_name,
        channels=frozenset(Channel(channel) for channel in message.channels),
        window=nanos_long(message.window),
        anchor=Anchor(message.anchor or Anchor.TOUCH),
        rule=Rule(message.rule or Rule.FIRST_TOUCH),
        helpful_only=message.helpful_only,
        half_life=nanos_long(message.half_life),
        active=message.active,
        by_line=message.by_line,
        weights={Channel(entry.channel): Fraction(entry.weight) for entry in message.weights},
    )


def model_message(value: Model) -> model_pb2.Model:
    """A model for those who ask."""
    return model_pb2.Model(
        name=value.name,
        version=value.version,
        display_name=value.display_name,
        channels=[_channel_number(channel) for channel in sorted(value.channels)],
        window=duration(value.window),
        anchor=model_pb2.Model.Anchor.ValueType(value.anchor),
        rule=model_pb2.Model.Rule.ValueType(value.rule),
        helpful_only=value.helpful_only,
        half_life=duration(value.half_life) if value.half_life else None,
        active=value.active,
        by_line=value.by_line,
        weights=[
            model_pb2.ChannelWeight(channel=_channel_number(channel), weight=float(weight))
            for channel, weight in sorted(value.weights.items())
        ],
    )


def _channel_number(channel: Channel) -> interaction_pb2.Interaction.Channel.ValueType:
    return interaction_pb2.Interaction.Channel.ValueType(channel)
