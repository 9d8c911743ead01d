// The interactive reference: reads openapi.json of this server, shows it, and sends requests to it.
// Everything from the document or an answer is put in as text, never as markup.
"use strict";

const REFERENCE = "#/components/";
let spec = {};

const byId = (id) => document.getElementById(id);

function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== undefined));
  return node;
}

function resolved(node) {
  if (!node?.$ref?.startsWith(REFERENCE)) return node;
  return node.$ref.slice(2).split("/").reduce((found, part) => found[part], spec);
}

const nameOf = (node) => node.$ref.split("/").at(-1);

function typeOf(schema) {
  if (schema.$ref) {
    const target = resolved(schema);
    return target.enum ? [target.enum.join(" | ")] : [el("a", { href: `#schema-${nameOf(schema)}` }, nameOf(schema))];
  }
  const branches = schema.anyOf ?? schema.oneOf;
  if (branches) return branches.flatMap((branch, n) => (n ? [" or ", ...typeOf(branch)] : typeOf(branch)));
  if (schema.enum) return [schema.enum.join(" | ")];
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.type === "array") return ["list of ", ...typeOf(schema.items ?? {})];
  return [schema.format ?? schema.type ?? "any JSON"];
}

const row = (...cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, ...[cell].flat())));

function table(heads, rows) {
  const head = el("tr", {}, ...heads.map((text) => el("th", { scope: "col" }, text)));
  return el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows));
}

function fieldTable(schema) {
  const needed = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties ?? {}).map(([name, field]) =>
    row(el("code", { class: needed.has(name) ? "needed" : "" }, name), typeOf(field), field.description ?? ""),
  );
  return table(["field", "type", "meaning"], rows);
}

function parameterRows(parameters, inputs) {
  return parameters.map((parameter) => {
    const label = `${parameter.name} (${parameter.in})`;
    const input = el("input", { "aria-label": label, placeholder: String(parameter.schema.default ?? "") });
    inputs.push({ parameter, input });
    const name = el("code", { class: parameter.required ? "needed" : "" }, parameter.name);
    return row(name, parameter.in, typeOf(parameter.schema), parameter.description ?? "", input);
  });
}

// The request that a form describes; nothing is sent for what was left empty.
function requestOf(method, path, inputs, body, accept) {
  const query = new URLSearchParams();
  const headers = new Headers({ Accept: accept });
  let place = path;
  for (const { parameter, input } of inputs) {
    const value = input.value.trim();
    if (!value) continue;
    if (parameter.in === "path") place = place.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (parameter.in === "header") headers.set(parameter.name, value);
    else if (parameter.style === "deepObject")
      for (const [key, item] of new URLSearchParams(value)) query.append(`${parameter.name}[${key}]`, item);
    else query.set(parameter.name, value);
  }
  const key = byId("key").value.trim();
  if (key) headers.set("Authorization", `Bearer ${key}`);
  if (body !== undefined) headers.set("Content-Type", "application/json");
  const url = new URL(`.${place}`, document.baseURI);
  url.search = query.toString();
  return { url, options: { method, headers, body } };
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// The key stays out of it: the command is for copying.
function curlOf({ url, options }) {
  const words = ["curl", "-X", options.method, quoted(url.href)];
  for (const [name, value] of options.headers) {
    const isKey = name.toLowerCase() === "authorization";
    words.push("-H", isKey ? '"Authorization: Bearer $TEAMRUN_API_KEY"' : quoted(`${name}: ${value}`));
  }
  if (options.body !== undefined) words.push("-d", quoted(options.body));
  return words.join(" ");
}

function pretty(text, type) {
  if (!/json$/.test(type.split(";")[0])) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function send(request, shown, abort) {
  const began = performance.now();
  shown.head.textContent = "Sending.";
  shown.body.textContent = "";
  try {
    const answer = await fetch(request.url, { ...request.options, signal: abort.signal });
    const type = answer.headers.get("content-type") ?? "";
    const lines = [...answer.headers].map(([name, value]) => `${name}: ${value}`);
    shown.head.textContent = [`${answer.status} after ${Math.round(performance.now() - began)} ms`, ...lines].join("\n");
    if (!type.startsWith("text/event-stream")) {
      shown.body.textContent = pretty(await answer.text(), type);
      return;
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      shown.body.append(chunk.value);
    }
  } catch (error) {
    shown.head.textContent = abort.signal.aborted ? "Stopped." : `No answer: ${error.message}`;
  }
}

function tryOut(method, path, operation, inputs) {
  const media = operation.requestBody?.content?.["application/json"];
  const examples = Object.values(media?.examples ?? {}).map((example) => resolved(example).value);
  const body = media && el("textarea", { "aria-label": "request body", spellcheck: "false" });
  if (body) body.value = JSON.stringify(examples[0] ?? {}, null, 2);
  const types = Object.keys(operation.responses["200"]?.content ?? {}).filter((type) => type !== "*/*");
  const accept = el("select", { "aria-label": "Accept" }, ...(types.length ? types : ["application/json"]).map((type) => el("option", {}, type)));
  const shown = { curl: el("pre", {}), head: el("pre", { "aria-live": "polite" }), body: el("pre", { class: "answer" }) };
  const result = el("div", { hidden: true }, shown.curl, shown.head, shown.body);
  let abort = new AbortController();
  const go = () => {
    abort.abort();
    abort = new AbortController();
    const text = body?.value.trim() || undefined;
    const request = requestOf(method, path, inputs, text, accept.value);
    result.hidden = false;
    shown.curl.textContent = curlOf(request);
    return send(request, shown, abort);
  };
  const buttons = el("p", {}, el("button", { type: "button", class: "send", onclick: go }, "Send"), el("button", { type: "button", onclick: () => abort.abort() }, "Stop"), types.length > 1 ? accept : undefined);
  return el("div", {}, body, buttons, result);
}

function responseRows(operation) {
  return Object.entries(operation.responses).map(([status, response]) => {
    const schemas = Object.values(response.content ?? {}).map((media) => media.schema);
    const codes = Object.values(response.content ?? {}).flatMap((media) => (status >= "400" ? Object.keys(media.examples ?? {}) : []));
    const types = schemas.slice(0, 1).flatMap(typeOf);
    return row(el("code", {}, status), types, codes.length ? codes.join(", ") : response.description);
  });
}

function inside(method, path, operation) {
  const inputs = [];
  const parts = [el("p", {}, operation.description ?? "")];
  if (operation.parameters?.length) {
    parts.push(table(["parameter", "where", "type", "meaning", "value"], parameterRows(operation.parameters, inputs)));
  }
  const media = operation.requestBody?.content?.["application/json"];
  if (media) {
    const schema = resolved(media.schema);
    const links = schema.oneOf ? typeOf(schema) : [el("a", { href: `#schema-${nameOf(media.schema)}` }, nameOf(media.schema))];
    parts.push(el("p", {}, "Body: ", ...links, operation.requestBody.required ? "" : " (may be left out)"));
  }
  parts.push(tryOut(method, path, operation, inputs));
  parts.push(table(["status", "body", "meaning"], responseRows(operation)));
  return el("div", { class: "inside" }, ...parts);
}

// The inside is made when it is first opened: most of them never are.
function lazily(details, make) {
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(make());
  });
  return details;
}

function operationNode(method, path, operation) {
  const text = `${method} ${path} ${operation.summary} ${operation.operationId}`.toLowerCase();
  const summary = el("summary", {}, el("span", { class: `method ${method}` }, method), el("code", {}, path), el("small", {}, operation.summary));
  const details = el("details", { class: "operation", id: operation.operationId, "data-text": text }, summary);
  return lazily(details, () => inside(method, path, operation));
}

function show() {
  byId("version").textContent = spec.info.version;
  const groups = new Map(spec.tags.map((tag) => [tag.name, el("section", {}, el("h2", {}, `${tag.name} `, el("small", {}, tag.description)))]));
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      groups.get(operation.tags[0]).append(operationNode(method.toUpperCase(), path, operation));
    }
  }
  const schemas = Object.entries(spec.components.schemas).map(([name, schema]) => {
    const details = el("details", { class: "schema", id: `schema-${name}`, "data-text": name.toLowerCase() }, el("summary", {}, el("code", {}, name), el("small", {}, schema.description ?? "")));
    return lazily(details, () => el("div", { class: "inside" }, schema.properties ? fieldTable(schema) : el("p", {}, ...typeOf(schema))));
  });
  byId("operations").replaceChildren(...groups.values(), el("section", {}, el("h2", {}, "schemas"), ...schemas));
  byId("operations").removeAttribute("aria-busy");
}

function openTarget() {
  const target = byId(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
}

function filter() {
  const words = byId("filter").value.toLowerCase().split(/\s+/);
  for (const node of document.querySelectorAll("[data-text]")) {
    node.hidden = !words.every((word) => node.dataset.text.includes(word));
  }
}

async function start() {
  try {
    const answer = await fetch("openapi.json");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    spec = await answer.json();
    show();
    openTarget();
  } catch (error) {
    byId("operations").replaceChildren(el("p", {}, `The OpenAPI document cannot be loaded: ${error.message}.`));
  }
}

byId("filter").addEventListener("input", filter);
addEventListener("hashchange", openTarget);
void start();
