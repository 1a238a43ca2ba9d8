// Words for what figures are cut by, and for what becomes of orders and touches.

import { longDay } from "./format.js";

export const CHANNELS = {
  CHAT: "Chat", FAQ: "Questions and answers", NUDGE: "Nudges", MESSAGING: "Messaging",
  RECOMMENDATION: "Recommendations", PERSONALIZATION: "Personalisation", JOURNEY: "Journeys",
};
export const REASONS = {
  TEST: "Trial orders", DELETED: "Deleted", TRASHED: "In the bin", CANCELLED: "Cancelled", FAILED: "Failed", UNPAID: "Not paid",
};
export const TIERS = {
  SESSION: "Same session", EMAIL: "E-mail address", PHONE: "Phone number", CUSTOMER: "Customer account",
  VISITOR: "Same browser", PERSON: "Same person, otherwise known",
};
export const OUTCOMES = { ATTRIBUTED: "Attributed", UNATTRIBUTED: "Not attributed", EXCLUDED: "Not counted" };
export const ACTIONS = {
  MESSAGE: "message", VIEW: "seen", CLICK: "clicked", LINK_CLICK: "tracked link followed", NOTIFICATION: "notification sent",
};
export const ANSWERS = { HELPFUL: "helpful answer", NOT_ANSWERED: "no answer found", ESCALATED: "a person called in" };
export const RULES = {
  FIRST_TOUCH: "the first touch", LAST_TOUCH: "the last touch", LINEAR: "all touches alike", POSITION_BASED: "the first and the last most",
  TIME_DECAY: "the later the more", DATA_DRIVEN: "each by its channel's weight",
};
export const VERDICTS = {
  CREDITED: "Credited",
  OUTSIDE_WINDOW: "Too long before the order",
  AFTER_ORDER: "After the order",
  NOT_HELPFUL: "The answer did not help",
  CHANNEL_NOT_IN_MODEL: "A channel that the model doesn't look at",
  LOWER_TIER: "Something that tells more decided",
  NOT_FIRST: "An earlier touch took it",
  NOT_LAST: "A later touch took it",
  CONTACT_CONFLICT: "Names another address, phone or customer than the order",
  HUB: "What matches is shared by too many to tell who it was",
  CRAWLER: "A crawler's",
  LINK_CLICK: "Tells who somebody is, and earns nothing itself",
  ORDER_NOT_COUNTED: "The order does not count",
  FILTERED: "The model's filter refused it",
  PRODUCT_NOT_BOUGHT: "Has no part in what was bought",
  OTHER_SESSION: "In another visit than the order",
};
/** Why figures of a past day changed. */
export const KINDS = {
  LATE_ORDER: "Order told late", ORDER_CHANGED: "Order changed", REFUND: "Refund", CANCELLATION: "Counts no more",
  REINSTATEMENT: "Counts again", LATE_TOUCH: "Touch told late", MERGE: "People came together",
  SPLIT: "People were told apart", PEOPLE: "People changed", MODEL: "Other models", SETTINGS: "Other settings",
  RATE: "Exchange rate told late",
};
const VALUES = {
  channel: CHANNELS,
  tier: TIERS,
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
  notification_channel: "Channel", day: "Day", campaign: "Campaign", experience: "Experience",
};

export const dimension = (name) => DIMENSIONS[name] ?? name;

/** A value of a dimension for people; products have names of their own. */
export function valueOf(name, value, displayNames = {}) {
  if (name === "day") return longDay(value);
  if (displayNames[name]) return `${displayNames[name]} (${value})`;
  return VALUES[name]?.[value] ?? (value || "not told");
}
