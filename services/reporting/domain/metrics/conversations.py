"""Metrics of conversations: who was talked to, how conversations went, and how they ended."""

from dataclasses import replace

from services.reporting.domain.cells import SpanCell
from services.reporting.domain.definitions import (
    AGENT,
    BOT,
    CAMPAIGN,
    CHANNEL,
    CLASSIFICATION,
    CLASSIFICATION_TYPE,
    COMPLETION,
    JOURNEY_PATH,
    LAST_MESSAGE,
    OPTION,
    ORIGIN_TYPE,
    STEP,
    TAG,
    TIMES,
    TOUCHPOINT,
    Metric,
    Slice,
    Sum,
    Unit,
    activity,
    counted,
    quotient,
    summed,
)
from services.reporting.domain.metrics.sales import CONTACT_MODEL

_CONVERSATION = (CHANNEL, TOUCHPOINT, BOT, AGENT, CAMPAIGN, ORIGIN_TYPE)
_COMPLETIONS = replace(activity("conversation_completions", *_CONVERSATION, COMPLETION), awaited=True)
_ABANDONED = replace(activity("abandoned_conversations", *_CONVERSATION, STEP, LAST_MESSAGE), awaited=True)
_AUTOMATIC = replace(_COMPLETIONS, where=(*_COMPLETIONS.where, ("label", "COMPLETED_AUTOMATICALLY")))
_BY_AGENT = replace(_COMPLETIONS, where=(*_COMPLETIONS.where, ("label", "CLOSED_BY_AGENT")))

_SPANS = Slice(
    family=SpanCell,
    by_model=False,
    where=(),
    dimensions=(*TIMES, CHANNEL, TOUCHPOINT, BOT, AGENT, CAMPAIGN),
    model=CONTACT_MODEL,
)

METRICS_OF_CONVERSATIONS: tuple[Metric, ...] = (
    counted(
        "conversations_started",
        "Conversations started",
        "Conversations, by the day of their first message, of whoever wrote it.",
        *_CONVERSATION,
    ),
    counted(
        "contacts_handled",
        "Contacts handled",
        "Conversations in which both the visitor and an agent or bot wrote, by the day on which the second of the two "
        "first did. An answered message is both.",
        *_CONVERSATION,
    ),
    counted(
        "assigned_to_agent",
        "Assigned to an agent",
        "Conversations that were given to a human agent, by the day of the first time.",
        *_CONVERSATION,
    ),
    counted(
        "classified_conversations",
        "Classified conversations",
        "Conversations with a classification, by that which was set last and its day; the types are the tenant's.",
        *_CONVERSATION,
        CLASSIFICATION,
        CLASSIFICATION_TYPE,
    ),
    counted(
        "classified_sales",
        "Classified as sales",
        "Conversations whose last classification is of type Sale in the settings: what an agent or the flow says, no "
        "payment; beside attributed orders, never among them.",
        *_CONVERSATION,
        CLASSIFICATION,
    ),
    counted(
        "tagged_conversations",
        "Tagged conversations",
        "Conversations with a tag, by the day of the first.",
        *_CONVERSATION,
    ),
    counted(
        "tags_set",
        "Tags",
        "Tags of conversations, by the day on which each was first set; a conversation with two tags counts in both.",
        *_CONVERSATION,
        TAG,
    ),
    counted(
        "first_options",
        "First options chosen",
        "Conversations in which an option of the flow was chosen, by the first one and its day.",
        *_CONVERSATION,
        STEP,
        OPTION,
    ),
    counted(
        "options_chosen",
        "Options chosen",
        "Options of the flow that were chosen, each time that they were; of a conversation the first 200 marks count.",
        *_CONVERSATION,
        STEP,
        OPTION,
    ),
    counted(
        "classification_journeys",
        "Classification journeys",
        "Classified conversations by the sequence of their classifications, and the last one's day.",
        *_CONVERSATION,
        JOURNEY_PATH,
    ),
    counted(
        "tag_journeys",
        "Tag journeys",
        "Tagged conversations by the sequence of their tags, and the last one's day.",
        *_CONVERSATION,
        JOURNEY_PATH,
    ),
    summed(
        "conversation_completions",
        "Conversations ended",
        Unit.COUNT,
        Sum(slice=_COMPLETIONS, measure="amount"),
        "Conversations by how they ended, and when: given to an agent; else closed by one, or automatically, with no "
        "message behind; else abandoned.",
    ),
    summed(
        "completed_automatically",
        "Completed automatically",
        Unit.COUNT,
        Sum(slice=_AUTOMATIC, measure="amount"),
        "Conversations that were closed by anything but an agent without having been given to one, by the closing's day.",
    ),
    summed(
        "closed_by_agent",
        "Closed by an agent",
        Unit.COUNT,
        Sum(slice=_BY_AGENT, measure="amount"),
        "Conversations that an agent closed without having been given them, by the closing's day.",
    ),
    summed(
        "abandoned_conversations",
        "Abandoned",
        Unit.COUNT,
        Sum(slice=_ABANDONED, measure="amount"),
        "Conversations neither given to an agent nor closed when the tenant's silence had passed since the last "
        "message; dated then, and counted from then on.",
    ),
    quotient(
        "conversion_rate_after_contact",
        "Conversion rate after contact",
        Unit.RATIO,
        ("transactions_after_contact", "contacts_handled"),
        "Transactions after contact over contacts handled.",
    ),
    quotient(
        "turnover_per_contact",
        "Turnover per contact",
        Unit.MONEY,
        ("turnover_after_contact", "contacts_handled"),
        "Turnover after contact per contact handled.",
    ),
    quotient(
        "turnover_per_hour",
        "Turnover per hour",
        Unit.MONEY,
        ("turnover_after_contact", "production_seconds"),
        "Turnover after contact per hour that agents worked.",
        scale=3600,
    ),
    summed(
        "seconds_before_purchase",
        "Time before purchases",
        Unit.SECONDS,
        Sum(slice=_SPANS, measure="seconds"),
        "The time from the visitor's first message in the conversation that the model contact credits to the order, of "
        "all such orders together.",
    ),
    summed(
        "timed_purchases",
        "Purchases with a time before them",
        Unit.COUNT,
        Sum(slice=_SPANS, measure="orders"),
        "Counted orders that the model contact credits to a conversation in which the visitor had written before.",
    ),
    quotient(
        "time_before_purchase",
        "Time before purchase",
        Unit.SECONDS,
        ("seconds_before_purchase", "timed_purchases"),
        "The mean time from the visitor's first message in the conversation that the model contact credits to the order.",
    ),
    counted(
        "production_seconds",
        "Time worked",
        "Time that agents worked on conversations, pauses taken out; over midnight it belongs to both days.",
        AGENT,
        unit=Unit.SECONDS,
    ),
)
"""What there is of conversations."""
