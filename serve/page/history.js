/* Former collaborations: a list, and each in full. */

import { $, h, percent, plural, seconds } from "/page/dom.js";
import { get, plainWords } from "/page/api.js";
import { answerCard, dialogue, responses } from "/page/reply.js";

const LIMIT = 20;
const COUNTED_MAX = 10000; /* a total of so many means that there are more, perhaps */
const asked = new Map(); /* questions of the entries that were listed */
let offset = 0;

const when = (timestamp) => {
  const date = new Date(timestamp);
  return h("time", { datetime: timestamp }, Number.isNaN(date.valueOf()) ? timestamp
    : date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }));
};

function entry(record) {
  asked.set(record.id, record.query);
  return h("li", { class: "card entry" },
    h("a", { href: `#history/${encodeURIComponent(record.id)}` }, record.query),
    h("p", { class: "text" }, record.final_answer),
    h("p", { class: "note" }, when(record.timestamp),
      record.num_rounds
        ? ` · ${percent(record.confidence)} sure · ${plural(record.num_agents, "agent")}, ${plural(record.num_rounds, "round")}` : " · asked of one model",
      ` · ${seconds(record.execution_time_seconds)}`));
}

/* What /v1 asked of one model is kept as that protocol's reply. */
const chatCard = (reply) => h("section", { class: "card verdict" }, h("h2", {}, reply.model),
  h("p", { class: "full only" }, reply.choices[0]?.message?.content ?? "No text."));

export async function showHistory() {
  const query = new URLSearchParams({ limit: LIMIT, offset });
  if ($("filter-task").value) query.set("task_type", $("filter-task").value);
  if ($("filter-confidence").value) query.set("min_confidence", $("filter-confidence").value);
  $("history-status").textContent = "Looking…";
  try {
    const page = await get(`/api/v1/history?${query}`);
    $("history").replaceChildren(h("ul", { class: "entries" }, page.collaborations.map(entry)));
    const last = offset + page.collaborations.length;
    $("history-status").textContent = page.collaborations.length
      ? `${offset + 1} to ${last} of ${page.total}${page.total === COUNTED_MAX ? " or more" : ""}`
      : offset ? "There are no older ones." : "Nothing here yet: ask a question first.";
    $("newer").hidden = offset === 0;
    $("older").hidden = page.collaborations.length < LIMIT
      || (page.total < COUNTED_MAX && last >= page.total);
  } catch (error) {
    $("history").replaceChildren();
    $("history-status").textContent = `${plainWords(error)} ${error.message}`;
  }
}

export async function showRecord(id) {
  $("record").replaceChildren();
  $("record-status").textContent = "Looking…";
  try {
    const reply = await get(`/api/v1/history/${encodeURIComponent(id)}`);
    $("record-status").textContent = "";
    $("record").replaceChildren(
      h("h1", {}, reply.query ?? asked.get(id) ?? "Collaboration"),
      ...kept(reply.choices ? [chatCard(reply)] : [h("p", { class: "note" }, when(reply.timestamp)),
        h("section", { class: "card verdict" }, ...kept(answerCard(reply))), responses(reply), dialogue(reply)]));
  } catch (error) {
    $("record-status").textContent = `${plainWords(error)} ${error.message}`;
  }
}

/** Flat, and without what is not there: replaceChildren would write "null". */
export const kept = (children) => children.flat().filter((child) => child || child === 0);

export function openHistory() {
  const turn = (by) => () => { offset = Math.max(0, offset + by); showHistory(); };
  $("newer").addEventListener("click", turn(-LIMIT));
  $("older").addEventListener("click", turn(LIMIT));
  $("filter").addEventListener("submit", (event) => {
    event.preventDefault();
    offset = 0;
    showHistory();
  });
}
