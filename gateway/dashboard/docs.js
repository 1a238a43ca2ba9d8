// Renders /openapi.json.

import { element, table } from "./elements.js";

const place = document.getElementById("operations");
const problem = document.getElementById("problem");

function typeOf(schema = {}) {
  if (schema.$ref) return schema.$ref.split("/").pop().split(".").pop();
  if (schema.type === "array") return `list of ${typeOf(schema.items)}`;
  if (schema.type === "object" && schema.additionalProperties) return `map of ${typeOf(schema.additionalProperties)}`;
  if (schema.enum) return schema.enum.join(" | ");
  return schema.format ? `${schema.type} (${schema.format})` : (schema.type ?? "object");
}

/** The type in words, which leads to its fields. */
function shownType(schema = {}) {
  const named = schema.$ref ?? schema.items?.$ref ?? schema.additionalProperties?.$ref;
  const words = element("code", {}, schema.format === "binary" ? "a file" : typeOf(schema));
  return named ? element("a", { href: `#${named.split("/").pop()}` }, words) : words;
}

function operation(path, method, told) {
  const parts = [];
  if (told.parameters?.length) {
    const rows = told.parameters.map((one) => ({ cells: [one.name, one.in, shownType(one.schema), one.required ? "yes" : ""] }));
    parts.push(table("Parameters", ["Parameter", "In", "Type", "Required"], rows));
  }
  const body = told.requestBody?.content["application/json"].schema;
  if (body) parts.push(element("p", {}, "Body: ", shownType(body)));
  const { content } = told.responses["200"];
  const { schema } = Object.values(content)[0];
  const formats = Object.keys(content).filter((format) => format !== "application/json" && format !== "*/*");
  parts.push(
    element("p", {}, "Answers ", shownType(schema), formats.length ? `, also as ${formats.join(" or ")}` : null),
  );
  return element(
    "section",
    { class: "card operation" },
    element("h2", {}, element("code", {}, element("span", { class: "verb" }, method.toUpperCase()), path)),
    element("p", { class: "hint" }, `${told.summary}. ${told.description}`),
    element("div", { class: "scroll" }, ...parts),
  );
}

function schema(name, told) {
  const rows = Object.entries(told.properties ?? {}).map(([field, type]) => ({ cells: [field, shownType(type), told.required?.includes(field) ? "yes" : ""] }));
  return element(
    "details",
    { class: "card", id: name },
    element("summary", {}, name),
    element("div", { class: "scroll" }, table(name, ["Field", "Type", "Required"], rows)),
  );
}

/** Opens the type that the address names. */
function openNamed() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named?.matches("details")) {
    named.open = true;
    named.scrollIntoView();
  }
}
window.addEventListener("hashchange", openNamed);

try {
  const told = await (await fetch("/openapi.json")).json();
  const operations = Object.entries(told.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, one]) => operation(path, method, one)));
  const schemas = Object.entries(told.components.schemas).map(([name, one]) => schema(name, one));
  place.replaceChildren(...operations, element("h1", {}, "Types"), ...schemas);
  openNamed();
} catch {
  problem.textContent = "The description could not be read. Try again in a moment.";
  problem.hidden = false;
}
