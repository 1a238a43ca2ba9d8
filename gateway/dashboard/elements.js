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
  node.append(...children.filter((child) => child !== null && child !== undefined));
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

/** Puts new content in place of the old, unless it is the same: nothing flickers, no selection is lost. */
export function show(place, ...content) {
  const next = element("div", {}, ...content);
  if (place.innerHTML !== next.innerHTML) place.replaceChildren(...next.childNodes);
}
