// Periods as a first and a last day, in the tenant's own zone.

const DAY = 86_400_000;

export function today(timeZone) {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
  return parts.format(new Date());
}

export function plus(iso, days) {
  return new Date(Date.parse(`${iso}T00:00:00Z`) + days * DAY).toISOString().slice(0, 10);
}

/** The moment at which a zone's clock shows a time such as "2026-11-20T09:30", in UTC. */
export function instant(local, timeZone) {
  const wanted = Date.parse(`${local}Z`);
  const parts = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "medium" });
  const ahead = (time) => Date.parse(`${parts.format(new Date(time)).replace(" ", "T")}Z`) - time;
  // The zone's offset may be another one at the moment itself than so many hours beside it.
  return new Date(wanted - ahead(wanted - ahead(wanted))).toISOString();
}

/** The period that a preset names; null for one of the reader's own that isn't complete. */
export function period(preset, now, own) {
  const month = now.slice(0, 8) + "01";
  switch (preset) {
    case "today": return { startDate: now, endDate: now };
    case "yesterday": return { startDate: plus(now, -1), endDate: plus(now, -1) };
    case "month": return { startDate: month, endDate: now };
    case "last-month": return { startDate: plus(month, -1).slice(0, 8) + "01", endDate: plus(month, -1) };
    case "year": return { startDate: now.slice(0, 5) + "01-01", endDate: now };
    case "custom": return own.start && own.end && own.start <= own.end ? { startDate: own.start, endDate: own.end } : null;
    default: return { startDate: plus(now, 1 - Number(preset)), endDate: now };
  }
}

/** Every day of a period. */
export function daysOf({ startDate, endDate }) {
  const days = [];
  for (let day = startDate; day <= endDate; day = plus(day, 1)) days.push(day);
  return days;
}
