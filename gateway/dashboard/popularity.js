// What sells best, and what an assistant may truthfully say of it.

import { ask, tried } from "./api.js";
import { card, choice, element, empty, link, table } from "./elements.js";
import { count, longDay, share } from "./format.js";
import { showAlone } from "./places.js";

const SHOWN = 50;
const BY = { total: { by: "TOTAL_SALES" }, 7: { by: "UNITS", days: 7 }, 30: { by: "UNITS", days: 30 }, 90: { by: "UNITS", days: 90 } };
const RANKED = [["total", "all sales, as the shop tells them"], ["7", "units of 7 days"], ["30", "units of 30 days"], ["90", "units of 90 days"]];

/** Reads the most sold products, and what can be said of the one that the address names or, else, of the first. */
export async function read({ told: { by, sku } }, signal) {
  const told = await ask(`/v1/products:popular?${new URLSearchParams({ ...BY[by], pageSize: SHOWN })}`, { signal });
  const chosen = sku ?? told.products?.[0]?.sku;
  return { ...told, chosen, proof: chosen && (await tried(`/v1/products/${encodeURIComponent(chosen)}/social-proof`, { signal })) };
}

/** Shows them in `places`. */
export function draw(places, { products = [], by, days, asOf, totalSize = "0", chosen, proof }, { told }, page) {
  const ranked = by === "TOTAL_SALES" ? "total" : String(days);
  const tells = products.some((one) => one.totalSales !== undefined);
  const headings = ["Product", "Rank", "Ahead of", ...(tells ? ["All sales"] : []), "7 days", "30 days", "90 days"];
  const rows = products.map((one) => ({
    kind: one.sku === chosen ? "chosen" : undefined,
    cells: [
      link(named(one), { report: "popularity", ...(told.by ? { by: told.by } : {}), sku: one.sku }),
      count(one.ranking.rank),
      ahead(one.ranking),
      ...(tells ? [one.totalSales === undefined ? "–" : count(one.totalSales)] : []),
      ...[one.units7Days, one.units30Days, one.units90Days].map(count),
    ],
  }));
  const rest = Number(totalSize) - products.length;
  const most = card(
    "popular",
    "The most sold",
    `Units in orders that count, up to ${longDay(asOf)}; those that share a rank sold as many.`,
    rows.length ? table("Products", headings, rows) : empty("No product is ranked by this yet."),
    rest > 0 ? element("p", { class: "hint" }, `and ${count(rest)} more`) : null,
  );
  showAlone(places, {}, page, element("div", { class: "chooser wide" }, choice("Ranked by", "by", RANKED, ranked)), ...(proof ? [saidOf(proof, chosen)] : []), most);
}

const named = ({ displayName, sku }) => (displayName ? `${displayName} (${sku})` : sku);
const ahead = ({ percentile }) => (percentile === undefined ? "–" : share(percentile / 100));

function saidOf({ refused, sku, productSku, displayName, bestSeller, sentence, languageCode, rankings = [] }, chosen) {
  if (refused) return card("proof", chosen, "", empty(refused));
  return card(
    "proof",
    `What may be said of ${named({ displayName, sku })}`,
    sku === productSku || !productSku ? "" : `Its numbers are those of ${productSku}, all variations together.`,
    sentence ? element("blockquote", { lang: languageCode }, sentence) : empty("The numbers hold nothing worth saying."),
    element("p", {}, bestSeller ? element("strong", { class: "up" }, "A best seller") : "Not a best seller", element("small", { class: "soft" }, " (one is among the first tenth of at least 10 products, and at least 10 of it were sold)")),
    table("Rankings", ["By", "Sold", "Rank", "Ahead of"], rankings.map((one) => ({ cells: [one.by === "TOTAL_SALES" ? "All sales" : `${one.days} days`, count(one.sold), `${count(one.rank)} of ${count(one.ranked)}`, ahead(one)] }))),
  );
}
