// Amounts, counts, shares, spans and days as people read them.

const currencies = new Map();
const counts = new Intl.NumberFormat();
const shortCounts = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const shares = new Intl.NumberFormat(undefined, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const moves = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const days = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const longDays = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeZone: "UTC" });
const SPANS = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];

function formatOf(currencyCode, options = {}) {
  const key = JSON.stringify([currencyCode, options]);
  if (!currencies.has(key)) {
    currencies.set(key, new Intl.NumberFormat(undefined, { style: "currency", currency: currencyCode, ...options }));
  }
  return currencies.get(key);
}

/** Millionths as an exact decimal string: the number never passes through floating point. */
function decimal(micros) {
  const value = BigInt(micros);
  const digits = (value < 0n ? -value : value).toString().padStart(7, "0");
  return `${value < 0n ? "-" : ""}${digits.slice(0, -6)}.${digits.slice(-6)}`;
}

export function money(amount) {
  if (!amount?.currencyCode) return "–";
  return formatOf(amount.currencyCode).format(decimal(amount.micros ?? "0"));
}

/** By how much an amount moved, with its sign. */
export const moved = (amount) => formatOf(amount.currencyCode, { signDisplay: "exceptZero" }).format(decimal(amount.micros));

/** Units of a currency, which a statistic made of amounts: never an amount itself. */
export const units = (value, currencyCode) => (value === undefined ? "–" : formatOf(currencyCode).format(value));

/** The greatest two units of a span in seconds: "2 hr, 5 min". */
export function span(seconds) {
  const at = Math.max(SPANS.findIndex(([, size]) => Math.abs(seconds) >= size), 0);
  if (Math.abs(seconds) < 1) return spanOf(0, "second");
  const [unit, size] = SPANS[at];
  const whole = Math.trunc(seconds / size);
  const [under, part] = SPANS[at + 1] ?? [];
  const rest = part ? Math.trunc((Math.abs(seconds) % size) / part) : 0;
  return rest ? `${spanOf(whole, unit)}, ${spanOf(rest, under)}` : spanOf(whole, unit);
}

function spanOf(value, unit) {
  return new Intl.NumberFormat(undefined, { style: "unit", unit, unitDisplay: "short" }).format(value);
}

export const count = (value) => counts.format(BigInt(value ?? 0));
/** "1 order", "2 orders". */
export const counted = (value, one, many) => `${count(value)} ${BigInt(value ?? 0) === 1n ? one : many}`;

export const share = (value) => (value === undefined ? "–" : shares.format(value));
export const move = (value) => moves.format(value);
export const shortDay = (iso) => days.format(new Date(`${iso}T00:00:00Z`));
/** A moment by a zone's clock. */
export const moment = (time, timeZone) => new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium", timeZone: timeZone || undefined });
export const longDay = (iso) => longDays.format(new Date(`${iso}T00:00:00Z`));

/** A metric's value, whatever its unit; a dash where there is none. */
export function figure(value) {
  if (!value) return "–";
  if (value.money) return money(value.money);
  if (value.ratio !== undefined) return share(value.ratio);
  if (value.seconds !== undefined) return span(value.seconds);
  return count(value.count);
}

/** A metric's value as a number, for drawing only; undefined where there is none. */
export function size(value) {
  if (!value) return undefined;
  if (value.money) return Number(value.money.micros ?? 0) / 1e6;
  return Number(value.ratio ?? value.seconds ?? value.count ?? 0);
}

/** A number of a metric's unit, in few characters. */
export function short(number, unit, currencyCode) {
  if (unit === "MONEY") return formatOf(currencyCode, { notation: "compact", maximumFractionDigits: 1 }).format(number);
  if (unit === "RATIO") return move(number);
  return unit === "SECONDS" ? span(number) : shortCounts.format(number);
}
