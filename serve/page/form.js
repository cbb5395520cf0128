/* The request as the page shows it: question, documents, team, settings. */

import { $, h } from "/page/dom.js";
import { example } from "/page/example.js";

const AGENTS_MAX = 10, DOCUMENTS_MAX = 1024;

let serial = 0;
const agentRows = Array.from({ length: AGENTS_MAX }, (_, i) => agentRow(i + 1));

export function agentCount() {
  const n = Math.round(Number($("num-agents").value));
  return Math.min(AGENTS_MAX, Math.max(2, n || 3));
}

const valueOf = (row, part) => row.querySelector(`[data-part=${part}]`).value.trim();

function field(id, label, part, attributes) {
  return h("div", {}, h("label", { for: id }, label), h("input", { id, "data-part": part, spellcheck: "false", ...attributes }));
}

function agentRow(i) {
  const id = `agent-${i}`;
  return h("details", { class: "agent", "data-agent": i },
    h("summary", {}, h("span", { class: "badge" }, String(i)), h("span", { class: "agent-name" }, `Agent ${i}`)),
    h("div", { class: "grid" },
      field(`${id}-name`, "Name", "name", { maxlength: 64, placeholder: `Agent ${i}`, oninput: (e) => rename(e.target) }),
      field(`${id}-role`, "Role", "role", { maxlength: 256, placeholder: "none" }),
      h("div", { class: "each", hidden: true }, h("label", { for: `${id}-provider` }, "Provider"),
        h("input", { id: `${id}-provider`, "data-part": "provider", placeholder: "as set up", spellcheck: "false" })),
      h("div", { class: "each", hidden: true }, h("label", { for: `${id}-model` }, "Model"),
        h("input", { id: `${id}-model`, "data-part": "model", placeholder: "the provider's", spellcheck: "false" }))),
    h("label", { for: `${id}-context` }, "What this agent alone is told"),
    h("textarea", { id: `${id}-context`, "data-part": "context", rows: 2 }));
}

function rename(input) {
  const row = input.closest(".agent");
  row.querySelector(".agent-name").textContent = input.value.trim() || `Agent ${row.dataset.agent}`;
}

/** The agents' names, given or made. */
export const agentNames = () =>
  agentRows.slice(0, agentCount()).map((row, i) => valueOf(row, "name") || `Agent ${i + 1}`);

function holderBoxes(row, holders) {
  const box = row.querySelector(".holders");
  const kept = holders ?? new Set([...box.querySelectorAll("input:checked")].map((c) => Number(c.value)));
  box.replaceChildren(h("legend", {}, "Held by"), ...Array.from({ length: agentCount() }, (_, k) => {
    const input = h("input", { type: "checkbox", value: k + 1 });
    input.checked = kept.has(k + 1);
    return h("label", { class: "tick" }, input, String(k + 1));
  }));
  outline(row);
}

const holdersOf = (row) => [...row.querySelectorAll("input:checked")].map((c) => Number(c.value));

/* What is seen of a document that is closed. */
function outline(row) {
  const holders = holdersOf(row);
  row.querySelector(".title").textContent = valueOf(row, "title") || "Untitled";
  row.querySelector(".excerpt").textContent = valueOf(row, "text") || "empty";
  row.querySelector(".held").replaceChildren(...(holders.length
    ? holders.map((agent) => h("span", { class: "badge", title: `held by agent ${agent}` }, String(agent)))
    : [h("span", { class: "note" }, "dealt in turn")]));
}

function addDocument({ title = "", text = "", agents = [] } = {}) {
  const id = `document-${++serial}`;
  const row = h("details", { class: "document", oninput: () => outline(row) },
    h("summary", {}, h("span", { class: "title" }), h("span", { class: "held" }), h("span", { class: "excerpt" })),
    h("label", { for: `${id}-title` }, "Title"),
    h("input", { id: `${id}-title`, "data-part": "title", maxlength: 512 }),
    h("label", { for: `${id}-text` }, "Text"),
    h("textarea", { id: `${id}-text`, "data-part": "text", rows: 3 }),
    h("fieldset", { class: "holders" }),
    h("button", { type: "button", class: "quiet remove", onclick: () => removeDocument(row) }, "Remove this document"));
  row.querySelector("[data-part=title]").value = title;
  row.querySelector("[data-part=text]").value = text;
  holderBoxes(row, new Set(agents));
  $("documents").append(row);
  $("add-document").disabled = $("documents").children.length >= DOCUMENTS_MAX;
  return row;
}

function addEmptyDocument() {
  const row = addDocument();
  row.open = true;
  row.querySelector("input").focus();
}

function removeDocument(row) {
  const next = row.nextElementSibling ?? row.previousElementSibling;
  row.remove();
  $("add-document").disabled = false;
  (next?.querySelector("summary") ?? $("add-document")).focus();
}

/* Follows the number of agents and what they are made of. */
function showTeam() {
  const each = $("made-of").value === "each";
  $("agents").replaceChildren(...agentRows.slice(0, agentCount()));
  for (const row of agentRows) {
    for (const part of row.querySelectorAll(".each")) part.hidden = !each;
  }
  for (const row of $("documents").children) holderBoxes(row);
}

export function loadExample() {
  $("form").reset();
  for (const row of agentRows) rename(row.querySelector("[data-part=name]"));
  $("num-agents").value = "3";
  $("made-of").value = "extractive";
  $("query").value = example.query;
  $("documents").replaceChildren();
  example.documents.forEach(addDocument);
  showTeam();
  showFaults([]);
}

export function openForm() {
  $("add-document").addEventListener("click", addEmptyDocument);
  $("num-agents").addEventListener("change", showTeam);
  $("made-of").addEventListener("change", showTeam);
  loadExample();
}

/* ---- to a request ---- */

const optional = (object) =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== "" && value !== null));

function readAgents() {
  const made = $("made-of").value;
  const agents = agentRows.slice(0, agentCount()).map((row) => optional({
    name: valueOf(row, "name"), role: valueOf(row, "role"), context: valueOf(row, "context"),
    provider: made === "each" ? valueOf(row, "provider") : made,
    model: made === "each" ? valueOf(row, "model") : "",
  }));
  return agents.some((agent) => Object.keys(agent).length) ? agents : null;
}

function readDocuments() {
  const list = [...$("documents").children].map((row, i) => ({
    id: String(i + 1), title: valueOf(row, "title"), text: valueOf(row, "text"),
    agents: holdersOf(row),
  })).filter((d) => d.text);
  for (const d of list) if (!d.agents.length) delete d.agents; /* dealt in turn */
  return list.length ? list : null;
}

const numeric = (id) => ($(id).value === "" ? "" : Number($(id).value));

/** The body of POST /api/v1/collaborate. */
export function readRequest() {
  const caps = optional({ messages: numeric("cap-messages"), tokens: numeric("cap-tokens"), cost_usd: numeric("cap-cost") });
  return optional({
    query: $("query").value.trim(),
    num_agents: agentCount(),
    max_rounds: numeric("max-rounds"),
    task_type: $("task-type").value,
    context: $("context").value.trim(),
    config: optional({
      temperature: numeric("temperature"), convergence_threshold: numeric("threshold"),
      min_rounds: $("min-rounds").value === "" ? "" : Math.min(numeric("min-rounds"), numeric("max-rounds") || 20),
      ask: $("ask").value === "all" ? "" : $("ask").value,
    }),
    agents: readAgents(),
    documents: readDocuments(),
    caps: Object.keys(caps).length ? caps : null,
  });
}

/* ---- what is wrong with it ---- */

const PLACES = ["query", "documents", "num_agents", "agents"];
const INPUTS = { query: "query", num_agents: "num-agents", max_rounds: "max-rounds", context: "context",
  "config.min_rounds": "min-rounds", "config.ask": "ask", "config.temperature": "temperature",
  "config.convergence_threshold": "threshold", "caps.messages": "cap-messages",
  "caps.tokens": "cap-tokens", "caps.cost_usd": "cap-cost" };

const placeOf = (name) =>
  PLACES.find((place) => name === place || name.startsWith(`${place}[`) || name.startsWith(`${place}.`)) ?? "settings";

/** Puts the sentences beside what they are about, and the cursor into the first. */
export function showFaults(faults) {
  for (const place of [...PLACES, "settings"]) {
    const said = faults.filter((f) => placeOf(f.field) === place).map((f) => `${f.field}: ${f.message}`);
    const p = $(`error-${place}`);
    p.hidden = !said.length;
    p.textContent = said.join(" ");
    if (place === "settings" && said.length) $("settings").open = true;
  }
  for (const id of Object.values(INPUTS)) $(id).removeAttribute("aria-invalid");
  for (const { field: name } of faults) if (INPUTS[name]) $(INPUTS[name]).setAttribute("aria-invalid", "true");
  const first = faults.length && INPUTS[faults[0].field];
  if (first) $(first).focus();
  return faults.length > 0;
}
