/* A finished collaboration: the answer, what it took, and the same beside a broadcast. */

import { h, meter, money, number, percent, plural, seconds } from "/page/dom.js";

const STOPPED = {
  converged: "The team agreed, and the asker had what it needed.",
  answered: "The team decided to answer, though it was not all of one mind or could have known more.",
  abstained: "The team decided not to answer.",
  max_rounds: "The rounds were used up.",
  deadlock: "Nothing changed any more.",
  cap: "A cap on messages, tokens or cost was reached.",
  deadline: "Time ran out: this is drawn from the answers so far.",
};

const POLICY = {
  trained: "trained networks decided who spoke",
  rule: "a fixed rule decided who spoke, as no trained networks are loaded",
  broadcast: "everybody told everybody everything",
};

const fact = (name, value, note) =>
  h("div", { class: "fact" }, h("dt", {}, name), h("dd", {}, value, note && h("small", {}, note)));

/** What listeners had to read: a broadcast is read by all the others. */
export function readings(reply) {
  const m = reply.collaboration_metrics;
  return m.targeted_messages + m.broadcast_messages * (reply.agents_used - 1);
}

const tokens = (reply) => (reply.usage.calls && !reply.usage.total_tokens
  ? "none" : String(reply.usage.total_tokens));

function warnings(reply) {
  const list = [];
  if (reply.agents_failed?.length) {
    list.push(`${plural(reply.agents_failed.length, "agent")} failed and did not take part at the end: ${reply.agents_failed.join(", ")}.`);
  }
  if (reply.skipped_pieces?.length) {
    list.push(`${plural(reply.skipped_pieces.length, "piece")} of the documents had no room and was not read.`);
  }
  const flagged = reply.injection?.flagged ?? [];
  if (flagged.length) {
    list.push(`Looks like an instruction to the models: ${flagged.map((f) => `${f.where} (${f.reason})`).join(", ")}. Read the answer with care.`);
  }
  return list.map((text) => h("p", { class: "warning" }, text));
}

/** The parts of the answer's card. */
export function answerCard(reply) {
  const m = reply.collaboration_metrics;
  const short = reply.short_answer && reply.short_answer !== reply.final_answer ? reply.short_answer : "";
  return [
    h("h2", { id: "answer-title" }, reply.abstained ? "No answer" : "Answer"),
    short && !reply.abstained && h("p", { class: "short" }, short),
    h("p", { class: short ? "full" : "full only" }, reply.final_answer),
    reply.abstained && reply.missing && !reply.final_answer.includes(reply.missing) && h("p", { class: "missing" }, h("strong", {}, "Missing: "), reply.missing),
    !reply.abstained && h("p", { class: "confidence" }, "Confidence ", meter(reply.confidence, "confidence of the answer")),
    warnings(reply),
    h("dl", { class: "facts" },
      fact("Messages", String(m.total_messages), m.broadcast_messages ? `${m.broadcast_messages} to all` : m.total_messages > 0 && "each to one agent"),
      fact("Rounds", String(reply.num_rounds)),
      fact("Calls", String(reply.usage.calls ?? "")),
      fact("Tokens", tokens(reply)),
      fact("Cost", money(reply.usage.cost_usd)),
      fact("Time", seconds(reply.execution_time_seconds))),
    h("p", { class: "note" }, `${STOPPED[reply.stopped_by] ?? ""} ${POLICY[reply.policy] ? `${sentence(POLICY[reply.policy])}.` : ""}`),
  ];
}

const sentence = (text) => text[0].toUpperCase() + text.slice(1);

const ROWS = [
  ["Answer", (r) => r.abstained ? "none" : r.short_answer || r.final_answer],
  ["Confidence", (r) => percent(r.confidence)],
  ["Messages", (r) => String(r.collaboration_metrics.total_messages)],
  ["Texts read by agents", (r) => String(readings(r))],
  ["Calls to agents", (r) => String(r.usage.calls ?? "")],
  ["Tokens", tokens],
  ["Cost", (r) => money(r.usage.cost_usd)],
  ["Time", (r) => seconds(r.execution_time_seconds)],
];

/** The same question with and without the networks; `onrun` asks for the second. */
export function compareCard(reply, broadcast, busy, onrun) {
  const head = h("h2", { id: "compare-title" }, "Beside telling everybody everything");
  if (!broadcast) {
    return [head,
      h("p", { class: "note" }, "Runs the same request once more, with every agent sending all it has to all others."),
      h("button", { type: "button", id: "run-compare", disabled: busy, onclick: onrun }, busy ? "Running…" : "Run the comparison")];
  }
  const ours = readings(reply), theirs = readings(broadcast);
  return [head,
    theirs > ours && ours > 0 && h("p", {}, `The team read ${plural(ours, "text")} where a broadcast has them read ${theirs}.`),
    h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Comparison" },
      h("table", { class: "plain" },
        h("thead", {}, h("tr", {}, h("td"), h("th", { scope: "col" }, "This run"), h("th", { scope: "col" }, "Broadcast"))),
        h("tbody", {}, ROWS.map(([name, of]) => h("tr", {},
          h("th", { scope: "row" }, name), h("td", {}, of(reply)), h("td", {}, of(broadcast)))))))];
}

/** Who said what at the end, for a stored collaboration. */
export function responses(reply) {
  return h("section", { class: "card round" }, h("h2", {}, "What the agents said last"),
    h("ol", {}, (reply.agent_responses ?? []).map((r) => h("li", { class: "said" },
      h("div", { class: "line-head" }, h("strong", {}, r.name || `Agent ${r.agent_id}`), meter(r.confidence, "confidence"),
        h("span", { class: "note" }, `weight ${number(r.contribution_score)}${r.provider ? `, ${r.model || r.provider}` : ""}`)),
      h("p", { class: "text" }, r.response)))));
}

const KIND = { broadcast: "to all", request: "asks", reply: "replies to", targeted: "to" };

/** The messages between agents, for a stored collaboration. */
export function dialogue(reply) {
  if (!reply.dialogue_history?.length) return null;
  return h("section", { class: "card round" }, h("h2", {}, "What they told each other"),
    h("ol", {}, reply.dialogue_history.map((d) => h("li", { class: "sent" },
      h("div", { class: "line-head" }, `Round ${d.round}: agent ${d.agent_id} ${KIND[d.message_type] ?? "to"}${d.to ? ` agent ${d.to}` : ""}`),
      h("p", { class: "text" }, d.message)))));
}
