// Words for what figures are cut by.

export const CHANNELS = {
  CHAT: "Chat", FAQ: "Questions and answers", NUDGE: "Nudges", MESSAGING: "Messaging",
  RECOMMENDATION: "Recommendations", PERSONALIZATION: "Personalisation", JOURNEY: "Journeys",
};
export const REASONS = {
  TEST: "Trial orders", DELETED: "Deleted", TRASHED: "In the bin", CANCELLED: "Cancelled", FAILED: "Failed", UNPAID: "Not paid",
};
const VALUES = {
  channel: CHANNELS,
  tier: {
    SESSION: "Same session", EMAIL: "E-mail address", PHONE: "Phone number", CUSTOMER: "Customer account",
    VISITOR: "Same browser", PERSON: "Same person, otherwise known",
  },
  origin_type: { INBOUND: "Visitors wrote first", CAMPAIGN: "Campaigns", AD: "Advertisements", LINK: "Links" },
  last_message: { VISITOR: "The visitor's", BOT: "A bot's", AGENT: "An agent's" },
  completion: {
    ASSIGNED: "Assigned to an agent", COMPLETED_AUTOMATICALLY: "Completed automatically", CLOSED_BY_AGENT: "Closed by an agent",
    ABANDONED: "Abandoned", OPEN: "Still open",
  },
};
const DIMENSIONS = {
  channel: "Channel", touchpoint: "Touchpoint", tier: "Known by", bot: "Bot", agent: "Agent", origin_type: "Origin",
  sku: "Product", classification: "Classification", classification_type: "Type", completion: "End", option: "Option",
  tag: "Tag", step: "Step", last_message: "Message", journey_path: "Way", journey: "Journey",
  notification_channel: "Channel", campaign: "Campaign", experience: "Experience",
};

export const dimension = (name) => DIMENSIONS[name] ?? name;

/** A value of a dimension for people; products have names of their own. */
export function valueOf(name, value, displayNames = {}) {
  if (displayNames[name]) return `${displayNames[name]} (${value})`;
  return VALUES[name]?.[value] ?? (value || "not told");
}
