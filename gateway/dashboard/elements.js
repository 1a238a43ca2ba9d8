// Builds elements; text is always text, never markup.

export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** A table: the first cell of each row is its heading. Rows are {cells, kind}; cells are texts, or elements. */
export function table(caption, headings, rows) {
  const heads = headings.map((text) => element("th", { scope: "col" }, text));
  const body = rows.map(({ cells, kind }) =>
    element("tr", { class: kind }, ...cells.map((text, i) => element(i ? "td" : "th", i ? {} : { scope: "row" }, text))),
  );
  return element(
    "table",
    { "aria-label": caption },
    element("thead", {}, element("tr", {}, ...heads)),
    element("tbody", {}, ...body),
  );
}

/** A card with a title; what is in it can be scrolled sideways, by keys too. */
export function card(id, title, hint, ...content) {
  return element(
    "section",
    { class: "card", "aria-labelledby": `${id}-title` },
    element("h2", { id: `${id}-title` }, title),
    hint ? element("p", { class: "hint" }, hint) : null,
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": `${id}-title` }, ...content),
  );
}

/** A choice among [value, text], which the address keeps under a name. */
export function choice(label, name, options, value) {
  return element("label", {}, `${label} `, element("select", { "data-asks": name, "data-key": name }, ...options.map(([one, text]) => element("option", { value: one, selected: one === value }, text))));
}

/** Something to be named, which the address keeps under a name once the button is pressed. */
export function field(label, name, value, does, attributes, ...besides) {
  return element("form", {}, element("label", {}, `${label} `, element("input", { ...attributes, name, value, "data-key": name })), element("button", { type: "submit", class: "quiet" }, does), ...besides);
}

/** A link to another of the dashboard's pages: what the address is to ask for. */
export function link(text, asked) {
  const address = `?${new URLSearchParams(asked)}`;
  return element("a", { href: address, "data-key": address }, text);
}

/** A figure with its name. */
export function fact(name, ...content) {
  return element("dl", { class: "card tile" }, element("dt", {}, name), element("dd", { class: "figure" }, ...content));
}

export function empty(text) {
  return element("p", { class: "empty" }, text);
}

/**
 * Puts new content in place of the old, unless it is the same: nothing flickers, no selection is lost. What was focused,
 * typed or open stays so where it has a data-key.
 */
export function show(place, ...content) {
  const next = element("div", {}, ...content);
  const open = [...place.querySelectorAll("details[open][data-key]")].map((one) => one.dataset.key);
  for (const one of next.querySelectorAll("details[data-key]")) one.open = open.includes(one.dataset.key);
  if (place.innerHTML === next.innerHTML) return;
  const focused = place.contains(document.activeElement) ? document.activeElement : undefined;
  place.replaceChildren(...next.childNodes);
  const again = focused?.dataset.key && [...place.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focused.dataset.key);
  if (!again) return;
  again.focus({ preventScroll: true });
  if (focused.matches("input") && focused.value !== focused.defaultValue) again.value = focused.value;
}
