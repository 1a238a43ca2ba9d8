// The pages: what each is called, which of its figures stand together, and which of them is drawn day by day at first. Those
// that are `always` have no period.

const group = (title, ...metrics) => ({ title, metrics });

export const REPORTS = [
  {
    id: "revenue-impact",
    label: "Revenue",
    title: "What conversations sold",
    drawn: "attributed_revenue",
    against: "store_revenue",
    narrowing: ["channel", "tier"],
    statement: true,
    groups: [
      group("", "attributed_revenue", "share_of_store_revenue", "store_revenue", "attributed_orders"),
      group("After refunds, and for each order", "attributed_net_revenue", "store_net_revenue", "attributed_average_order_value", "average_order_value", "store_orders", "share_of_store_orders"),
    ],
  },
  {
    id: "sales",
    label: "Sales",
    title: "Sales after contacts",
    drawn: "turnover_after_contact",
    against: "website_turnover",
    narrowing: ["touchpoint", "agent"],
    groups: [
      group("After a contact", "turnover_after_contact", "net_turnover_after_contact", "transactions_after_contact", "average_order_value_after_contact"),
      group("Contacts", "contacts_handled", "conversion_rate_after_contact", "turnover_per_contact", "turnover_per_hour", "time_before_purchase"),
      group("The whole website", "website_turnover", "website_transactions", "website_average_order_value"),
    ],
  },
  {
    id: "roi",
    label: "ROI",
    title: "What the assistant costs and brings",
    drawn: "attributed_revenue",
    against: "assistant_cost",
    narrowing: ["tier"],
    groups: [
      group("", "roi", "attributed_revenue", "assistant_cost", "attributed_revenue_after_cost"),
      group("Orders", "attributed_orders", "attributed_average_order_value", "attributed_net_revenue"),
      group("The whole shop", "store_revenue", "store_net_revenue", "store_orders", "average_order_value", "share_of_store_revenue", "share_of_store_orders"),
    ],
  },
  {
    id: "products",
    label: "Products",
    title: "Products, and what was assisted",
    drawn: "assisted_revenue",
    against: "product_revenue",
    narrowing: ["sku"],
    groups: [
      group("", "assisted_revenue", "assisted_units", "assisted_share_of_units", "assisted_net_revenue"),
      group("All that was sold", "product_revenue", "units", "product_net_revenue", "refunded_units"),
      group("Cost", "attributed_revenue", "assistant_cost", "attributed_revenue_after_cost", "roi"),
    ],
  },
  {
    id: "bots",
    label: "Bots",
    title: "What bots and agents did",
    drawn: "conversations_started",
    narrowing: ["bot", "channel", "origin_type"],
    groups: [
      group("", "conversations_started", "assigned_to_agent", "classified_sales", "attributed_orders"),
      group("How they ended", "completed_automatically", "closed_by_agent", "abandoned_conversations", "classified_conversations"),
    ],
  },
  {
    id: "bot-flow",
    label: "Flow",
    title: "How conversations went",
    drawn: "conversations_started",
    narrowing: [],
    groups: [
      group("", "conversations_started", "conversation_completions", "options_chosen", "tagged_conversations"),
      group("How they ended", "assigned_to_agent", "completed_automatically", "closed_by_agent", "abandoned_conversations"),
    ],
  },
  {
    id: "overview",
    label: "Personalisation",
    title: "Visits, personalisation, journeys",
    drawn: "sessions",
    against: "personalized_sessions",
    narrowing: [],
    groups: [
      group("", "sessions", "personalized_sessions", "active_experiences", "active_ab_tests", "active_journeys"),
      group("Personalisation", "personalization_revenue", "personalization_conversions", "personalization_conversion_rate", "personalization_average_order_value"),
      group("Recommendations", "direct_revenue", "recommendation_assisted_revenue", "recommendation_sessions", "recommendation_click_through_rate", "recommendation_conversion_rate", "recommendation_unique_customers", "recommendation_purchases", "recommendation_share_of_purchasing_sessions"),
      group("Journeys", "journeys_started", "journeys_completed", "journeys_cancelled", "journeys_with_goal", "journey_conversion_rate", "journey_notifications"),
    ],
  },
  { id: "popularity", label: "Best sellers", title: "What sells best", narrowing: [], always: true },
  { id: "experiments", label: "Experiments", title: "Experiments", narrowing: [], always: true },
  { id: "records", label: "Records", title: "Records", narrowing: [] },
  { id: "evidence", label: "Evidence", title: "Why an order's credit is what it is", narrowing: [], always: true },
  { id: "ledger", label: "Ledger", title: "Why figures of past days have changed", narrowing: ["day"] },
];

/** Where more is not better. */
export const LESS = new Set(["abandoned_conversations", "assistant_cost", "refunded_units", "journeys_cancelled", "time_before_purchase"]);

export const reportOf = (id) => REPORTS.find((one) => one.id === id) ?? REPORTS[0];
