"""Settings and models between protobuf and the domain."""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from touchstone.ingest.v1 import counted_statuses_pb2, interaction_pb2, model_pb2, settings_pb2

from services.attribution.domain.models import ALL_TOUCHES, DEFAULT_MODELS, Anchor, Basis, Model, Rule, TouchFilter
from services.attribution.domain.orders import Platform
from services.attribution.domain.rules import Rules
from services.attribution.domain.snapshot import COUNTED
from services.attribution.domain.touches import Action, Channel
from services.attribution.wire.people import identifier
from services.attribution.wire.times import duration, nanos_long
from services.kernel.identifiers import Identifier

_BY_NAME = {"shopify": Platform.SHOPIFY, "woocommerce": Platform.WOOCOMMERCE, "custom": Platform.CUSTOM}
_NAMES = {platform: name for name, platform in _BY_NAME.items()}


def rules(settings: bytes | None, models: bytes | None) -> Rules:
    """A tenant's rules from its settings and its models as they stand in the log; None for those never set."""
    document = settings_pb2.TenantSettings.FromString(settings or b"")
    return Rules(
        counted=_counted(document),
        blocked=_blocked(document),
        count_tests=document.count_test_orders,
        count_crawlers=document.count_crawlers,
        models=DEFAULT_MODELS
        if models is None
        else tuple(model(message) for message in model_pb2.ModelSet.FromString(models).models),
    )


def _counted(settings: settings_pb2.TenantSettings) -> Mapping[Platform, frozenset[str]]:
    """The statuses that count as sold; a platform that the settings don't name keeps its own."""
    return {**COUNTED, **_statuses(settings.counted_statuses)}


def _statuses(entries: Iterable[counted_statuses_pb2.CountedStatuses]) -> dict[Platform, frozenset[str]]:
    """Statuses by platform; what is no platform's name is left out."""
    return {_BY_NAME[entry.platform]: frozenset(entry.statuses) for entry in entries if entry.platform in _BY_NAME}


def _blocked(settings: settings_pb2.TenantSettings) -> frozenset[Identifier]:
    """The values that the tenant says identify nobody."""
    return frozenset(identifier(message) for message in settings.blocked_identifiers)


def model(message: model_pb2.Model) -> Model:
    """A model as the tenant set it. Weights that are no numbers raise; see `domain.checks`."""
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
        basis=Basis(message.basis or Basis.TOTAL),
        filter=_filter(message.filter),
        counted=_statuses(message.counted_statuses),
    )


def _filter(message: model_pb2.TouchFilter) -> TouchFilter:
    return TouchFilter(
        actions=frozenset(Action(action) for action in message.actions),
        touchpoints=frozenset(message.touchpoints),
        bot_names=frozenset(message.bot_names),
        agent_ids=frozenset(message.agent_ids),
        campaigns=frozenset(message.campaigns),
        experience_ids=frozenset(message.experience_ids),
        handled_only=message.handled_only,
        through_cart=message.through_cart,
    )


def model_message(value: Model) -> model_pb2.Model:
    """A model for those who ask."""
    return model_pb2.Model(
        name=value.name,
        version=value.version,
        display_name=value.display_name,
        channels=[_channel_number(channel) for channel in sorted(value.channels)],
        window=duration(value.window) if value.window else None,
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
        basis=model_pb2.Model.Basis.ValueType(value.basis),
        filter=None if value.filter == ALL_TOUCHES else _filter_message(value.filter),
        counted_statuses=[
            counted_statuses_pb2.CountedStatuses(platform=_NAMES[platform], statuses=sorted(statuses))
            for platform, statuses in sorted(value.counted.items())
        ],
    )


def _filter_message(value: TouchFilter) -> model_pb2.TouchFilter:
    return model_pb2.TouchFilter(
        actions=[interaction_pb2.Interaction.Action.ValueType(action) for action in sorted(value.actions)],
        touchpoints=sorted(value.touchpoints),
        bot_names=sorted(value.bot_names),
        agent_ids=sorted(value.agent_ids),
        campaigns=sorted(value.campaigns),
        experience_ids=sorted(value.experience_ids),
        handled_only=value.handled_only,
        through_cart=value.through_cart,
    )


def _channel_number(channel: Channel) -> interaction_pb2.Interaction.Channel.ValueType:
    return interaction_pb2.Interaction.Channel.ValueType(channel)
