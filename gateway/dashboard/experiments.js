// Experiments: what each variant came to beside the control.

import { ask } from "./api.js";
import { interval } from "./chart.js";
import { card, choice, element, empty, table } from "./elements.js";
import { count, counted, money, share, units } from "./format.js";
import { showAlone } from "./places.js";

/** Reads the experiments, and the report of the one asked for or, else, of that which began last. */
export async function read({ told: { experiment } }, signal) {
  const { experiments: known = [] } = await ask("/v1/experiments?pageSize=1000", { signal });
  const byStart = known.toSorted((one, other) => (one.startTime < other.startTime ? 1 : -1));
  const chosen = known.find((one) => one.id === experiment) ?? byStart[0];
  const report = chosen && (await ask(`/v1/reports/experiments?${new URLSearchParams({ experimentId: chosen.id })}`, { signal }));
  return { known: byStart, chosen, report, metadata: report?.metadata };
}

/** Shows them in `places`. */
export function draw(places, { known, chosen, report }, asked, page) {
  if (!chosen) {
    return showAlone(places, {}, page, card("none", "No experiment yet", "", element("p", {}, "An administrator tells them with ", element("code", {}, "PUT /v1/experiments"), "; the ", element("a", { href: "/docs" }, "reference"), " says what one has.")));
  }
  const { variants = [], sampleRatio = {}, metadata = {} } = report;
  const currency = metadata.currencyCode;
  const others = variants.filter((one) => one.comparison);
  showAlone(
    places,
    { metadata },
    page,
    element("p", { class: "chooser wide" }, choice("Experiment", "experiment", known.map(({ id, displayName }) => [id, displayName || id]), chosen.id)),
    card(
      "people",
      "Who took part",
      `${counted(report.people, "person", "people")}, each counted in the variant first seen. ${split(sampleRatio)}`,
      variants.length ? table("Variants", ["Variant", "Share", "People", "Ordered", "Conversion", "Revenue per person", "Revenue", "Attributed"], variants.map((one) => ({ cells: variantCells(one, report.control, currency) }))) : empty("Nobody was exposed yet."),
      besides(report),
    ),
    card(
      "compared",
      `Beside ${report.control}`,
      "The bar is the 95% interval of the lift in conversion; where it leaves the line out, the difference is hardly chance. While an experiment runs, go by the sequential reading: it stays right however often one looks.",
      others.length
        ? table("Beside the control", ["Variant", "Conversion", "", "Better conversion", "Revenue per person", "Better revenue", "Sequential reading", "Incremental revenue", "Incremental / attributed"], others.map((one) => ({ cells: comparisonCells(one, others, currency) })))
        : empty(sampleRatio.passed === false ? "People are not shared out as the weights say: a broken split proves nothing." : "There is nothing to compare yet."),
    ),
  );
  for (const one of places.tables.querySelectorAll("section")) one.classList.add("wide");
}

function split({ passed, pValue }) {
  if (pValue === undefined) return "";
  return passed ? `They are shared out as the weights say (p ${pValue.toPrecision(2)}).` : `They are not shared out as the weights say (p ${pValue.toPrecision(2)}): look for what keeps people out of a variant.`;
}

function variantCells(one, control, currency) {
  const estimate = (told, text) => (told ? element("span", {}, text(told.value), " ", element("small", {}, `${text(told.low)} to ${text(told.high)}`)) : "–");
  return [
    one.variant === control ? `${one.variant} (control)` : one.variant,
    share(one.expectedShare),
    count(one.people),
    count(one.converters),
    estimate(one.conversion, share),
    estimate(one.adjustedRevenuePerPerson ?? one.revenuePerPerson, (value) => units(value, currency)),
    money(one.revenue),
    money(one.attributedRevenue),
  ];
}

function comparisonCells({ variant, comparison: told }, others, currency) {
  const lifts = others.flatMap(({ comparison: { conversionLift: lift } }) => (lift ? [lift.value, lift.low, lift.high] : []));
  const most = Math.max(...lifts.filter((value) => value !== undefined).map(Math.abs), 0.01);
  const revenue = told.adjustedRevenueDifference ?? told.revenueDifference;
  const readings = [["conversion", told.conversionSequential], ["revenue", told.revenueSequential]].filter(([, one]) => one?.conclusive).map(([name]) => name);
  return [
    variant,
    told.conversionLift ? signed(told.conversionLift.value, share) : "–",
    told.conversionLift ? interval(told.conversionLift, most) : "",
    share(told.conversionProbabilityToBeat),
    revenue ? signed(revenue.value, (value) => units(value, currency)) : "–",
    share(told.revenueProbabilityToBeat),
    readings.length ? `${readings.join(" and ")} decided` : "not decided yet",
    element("span", {}, money(told.incrementalRevenue), " ", told.incrementalRevenueLow ? element("small", {}, `${money(told.incrementalRevenueLow)} to ${money(told.incrementalRevenueHigh)}`) : null),
    share(told.incrementalOverAttributed),
  ];
}

const signed = (value, text) => `${value > 0 ? "+" : ""}${text(value)}`;

function besides({ contaminatedPeople = "0", peopleOutside = "0", unidentifiedVisitors = "0" }) {
  const told = [
    Number(contaminatedPeople) && `${count(contaminatedPeople)} saw several variants and count in the first`,
    Number(peopleOutside) && `${count(peopleOutside)} came before the start or after the end and count nowhere`,
    Number(unidentifiedVisitors) && `${counted(unidentifiedVisitors, "visitor", "visitors")} can't be told apart and count nowhere`,
  ].filter(Boolean);
  return told.length ? element("p", { class: "hint" }, `${told.join("; ")}.`) : null;
}
