// Amounts, counts, shares and days as people read them.

const currencies = new Map();
const counts = new Intl.NumberFormat();
const shares = new Intl.NumberFormat(undefined, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const moves = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const days = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const longDays = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeZone: "UTC" });

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

export function shortMoney(units, currencyCode) {
  return formatOf(currencyCode, { notation: "compact", maximumFractionDigits: 1 }).format(units);
}

export const count = (value) => counts.format(BigInt(value ?? 0));
/** "1 order", "2 orders". */
export const counted = (value, one, many) => `${count(value)} ${BigInt(value ?? 0) === 1n ? one : many}`;

export const share = (value) => (value === undefined ? "–" : shares.format(value));
export const move = (value) => moves.format(value);
export const shortDay = (iso) => days.format(new Date(`${iso}T00:00:00Z`));
export const longDay = (iso) => longDays.format(new Date(`${iso}T00:00:00Z`));

/** A metric's value, whatever its unit; a dash where there is none. */
export function figure(value) {
  if (!value) return "–";
  if (value.money) return money(value.money);
  if (value.ratio !== undefined) return share(value.ratio);
  return count(value.count);
}

/** A metric's value as a number, for drawing and for trends only. */
export function size(value) {
  if (!value) return 0;
  if (value.money) return Number(value.money.micros ?? 0) / 1e6;
  return Number(value.ratio ?? value.count ?? 0);
}

/** How a value moved against that of the compared period; null where nothing can be said. */
export function trend(now, before) {
  if (!now || !before || size(before) === 0) return null;
  return size(now) / size(before) - 1;
}
