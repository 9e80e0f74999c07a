// Lists the operations of /openapi.json.  No library, no other host: it works on an air-gapped site.
"use strict";

const element = (tag, text, className) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
};

const table = (titles, rows) => {
  const made = element("table");
  const head = made.createTHead().insertRow();
  titles.forEach((title) => head.append(element("th", title)));
  const body = made.createTBody();
  rows.forEach((cells) => {
    const row = body.insertRow();
    cells.forEach((text) => row.append(element("td", text)));
  });
  return made;
};

const named = (schema) => (schema && schema.$ref ? schema.$ref.split("/").pop() : "");

const bounds = (schema) =>
  Object.entries(schema || {})
    .filter(([key]) => key !== "description")
    .map(([key, value]) => `${key}: ${typeof value === "object" ? JSON.stringify(value) : value}`)
    .join(", ");

const shape = (api, schema) => {
  const found = named(schema) ? api.components.schemas[named(schema)] : schema;
  return element("pre", JSON.stringify(found, null, 2));
};

const operation = (api, method, path, declared) => {
  const box = element("details");
  const line = element("summary");
  line.append(element("span", method.toUpperCase(), "method"), element("code", path), ` ${declared.summary}`);
  box.append(line);
  if (declared.description) box.append(element("p", declared.description));
  box.append(element("p", declared.security ? "No token needed." : "Authorization: Bearer TOKEN"));
  const parameters = declared.parameters.map((one) => [one.name, one.in, one.required ? "yes" : "", one.description || "", bounds(one.schema)]);
  if (parameters.length) box.append(table(["Parameter", "In", "Required", "Meaning", "Bounds"], parameters));
  for (const [media, body] of Object.entries((declared.requestBody || {}).content || {})) {
    box.append(element("h4", `Body: ${media} ${named(body.schema)}`), shape(api, body.schema));
  }
  for (const [status, answer] of Object.entries(declared.responses)) {
    if (status[0] !== "2") continue;
    for (const [media, body] of Object.entries(answer.content || {})) {
      box.append(element("h4", `${status}: ${media} ${named(body.schema)}`), shape(api, body.schema));
    }
  }
  return box;
};

const draw = (api, wanted) => {
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, declared] of Object.entries(methods)) {
      if (!`${method} ${path} ${declared.summary}`.toLowerCase().includes(wanted)) continue;
      const tag = declared.tags[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operation(api, method, path, declared));
    }
  }
  const main = document.getElementById("operations");
  main.replaceChildren();
  for (const tag of [...groups.keys()].sort()) main.append(element("h2", tag), ...groups.get(tag));
};

fetch("/openapi.json")
  .then((answer) => answer.json())
  .then((api) => {
    document.getElementById("about").textContent = `${api.info.version}. ${api.info.description}`;
    const filter = document.getElementById("filter");
    filter.addEventListener("input", () => draw(api, filter.value.trim().toLowerCase()));
    draw(api, "");
  });
