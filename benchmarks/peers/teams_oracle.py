"""The language model of teams.py: an endpoint of the OpenAI protocol that reads like an oracle.

    python teams_oracle.py QUESTIONS.json       prints its base URL and serves until it is ended

It answers rightly exactly when all gold sentences of the question stand in the prompt that it was
given, or a teammate has stated the answer there; a wrong answer is never given. Otherwise it does
not know, and does what a member of a team would:

  in a chat   It says up to ITEMS of its own items that nobody has said yet, whole, the most relevant
              first. An item's relevance is the number of distinct content words of the question
              in its title and text, and 3 more where its title stands in the question or in what
              has been said (which leads from one hop to the next). What has none is not said.
  in SYNC     It fills the template that SYNC asks for: "unknown", and as claims up to five sentences
              of the items that it would say in a chat, those that share most with the question first.
  who next    (AutoGen's selector, LangGraph's supervisor and handoffs.) Of the agents that may be
              named, the one whose titles not yet said are the most relevant by the same rule, where
              titles alone are known; where none is, the one that was asked least often of those
              that have not said yet that they have nothing more.

With --speaker perfect an item is relevant exactly if it holds a gold sentence, titles too: no model
can judge better. ITEMS is --items (2).

Tokens are a fourth of the UTF-8 bytes of a message's texts, names and calls and of the tools' JSON,
rounded up; with --encoding NAME those of tiktoken. The log of calls (GET /calls, emptied by POST
/reset) has for each the question, both token counts, the bytes of both bodies and the times at which
the request had been read and the reply was ready, by the clock that all processes share.
"""

import argparse
import asyncio
import json
import re
import sys
import time

STOP = frozenset(
    "the and for was were are has had have with that this from which what who whom whose when where why how did "
    "does not his her its their they she him them been being than then also both into out over under between "
    "about after before during name year same first one two".split())
ANSWER = "ANSWER: "  # what a chat's agents begin their answer with
DONE = "TERMINATE"  # said after an answer where the system's text speaks of it
NOTHING = "I have nothing more that helps."
SELECTOR_SIGN = "Only return the role."  # AutoGen's selector
SYNC_SIGN = "Reply with one JSON object"


def flat(text):
    return " ".join(text.split())


def content_words(text):
    return {w for w in re.findall(r"\w+", text.lower()) if len(w) >= 3 and w not in STOP}


class Record:
    """A question with its items, as teams.py writes them."""

    def __init__(self, raw):
        self.id, self.answer = raw["id"], raw["answer"]
        self.question = flat(raw["question"])
        self.words = content_words(self.question)
        self.gold = [flat(s) for s in raw["gold"]]
        self.titles = [flat(d["title"]) for d in raw["documents"]]
        self.texts = [flat(d["text"]) for d in raw["documents"]]
        self.item_gold = [[s for s in self.gold if s in text] for text in self.texts]
        self.shared = [len(self.words & content_words(t + " " + x)) for t, x in zip(self.titles, self.texts)]
        self.title_shared = [len(self.words & content_words(t)) for t in self.titles]
        # "Avalon (1990 film)" is spoken of as "Avalon".
        self.spoken = [re.sub(r" \(.*\)$", "", t) for t in self.titles]

    def relevance(self, item, said, perfect, title_alone=False):
        if perfect:
            return len(self.item_gold[item])
        named = self.spoken[item] in self.question or self.spoken[item] in said
        return (self.title_shared if title_alone else self.shared)[item] + 3 * named


def readable(text):
    """The text as it is read: lines of SYNC's evidence are JSON."""
    lines = []
    for line in text.split("\n"):
        if line.startswith('{"id":'):
            try:
                line = " ".join(str(v) for v in json.loads(line).values())
            except ValueError:
                pass
        lines.append(line)
    return flat(" ".join(lines))


def text_of(message):
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(p.get("text", "") for p in content)


class Reader:
    """What one call sees, and what it says."""

    def __init__(self, record, body, speaker, items):
        self.record, self.items, self.perfect = record, items, speaker == "perfect"
        messages = self.messages = body["messages"]
        self.tools = body.get("tools") or []
        self.system_raw = "\n".join(text_of(m) for m in messages if m["role"] in ("system", "developer"))
        self.user_raw = "\n".join(text_of(m) for m in messages if m["role"] not in ("system", "developer"))
        self.system, self.said = readable(self.system_raw), readable(self.user_raw)
        seen = self.system + " " + self.said
        stated = ANSWER + record.answer in self.said or self.team_answered()
        self.knows = stated or all(s in seen for s in record.gold)

    def team_answered(self):
        """SYNC shows the writer of the final answer what its team answered."""
        for line in self.user_raw.split("\n"):
            if line.startswith('{"id":') and '"short_answer"' in line:
                if json.loads(line).get("short_answer") == self.record.answer:
                    return True
        return False

    def ranked(self, held, title_alone=False):
        """Of the items held, those unsaid that are relevant, best first."""
        score = {k: self.record.relevance(k, self.said, self.perfect, title_alone)
                 for k in held if self.record.texts[k] not in self.said}
        return sorted((k for k in score if score[k] > 0), key=lambda k: (-score[k], k))

    def reply(self):
        if SYNC_SIGN in self.system_raw:
            return {"content": self.in_sync()}
        if SELECTOR_SIGN in self.system_raw + self.user_raw:
            return {"content": self.selected()}
        held = [k for k, text in enumerate(self.record.texts) if text in self.system]
        if self.knows or not (self.tools or "teammates" in self.system):
            return {"content": self.ending(self.record.answer if self.knows else "unknown")}
        chosen = self.ranked(held)[:self.items]
        said = "\n".join(self.record.titles[k] + ": " + self.record.texts[k] for k in chosen)
        self.said += " " + flat(said)
        if self.tools:
            return self.handed_on(said)
        return {"content": said or (self.ending("unknown") if self.all_done() else NOTHING)}

    def ending(self, answer):
        return ANSWER + answer + ("\n" + DONE if DONE in self.system_raw else "")

    def all_done(self):
        team = re.search(r"one of a team of (\d+)", self.system)
        others = int(team.group(1)) - 1 if team else 1
        return DONE in self.system_raw and len(self.messages) > others and all(
            text_of(m) == NOTHING for m in self.messages[-others:])

    # ---- SYNC ----

    def in_sync(self):
        record = self.record
        lines = [json.loads(x) for x in self.user_raw.split("\n") if x.startswith('{"id":')]
        lines = [x for x in lines if "text" in x]
        if self.knows:
            support = [x["id"] for x in lines if any(s in flat(x["text"]) for s in record.gold)]
            reply = {"answer": "The items settle it: " + record.answer, "short_answer": record.answer,
                     "confidence": .9, "claims": [], "need": None, "support": support}
        else:
            reply = {"answer": "The items do not settle it.", "short_answer": "unknown", "confidence": .1,
                     "claims": self.claims(), "need": "More about what the question names.", "support": []}
        return json.dumps(reply, ensure_ascii=False)

    def claims(self):
        held = [k for k, text in enumerate(self.record.texts) if text in self.said]
        self.said = ""  # nobody has heard of them yet
        chosen = self.ranked(held)[:self.items]
        if self.perfect:
            return [s for k in chosen for s in self.record.item_gold[k]][:5]
        sentences = [s for k in chosen for s in re.split(r"(?<=[.!?]) ", self.record.texts[k])]
        score = {s: len(self.record.words & content_words(s)) for s in sentences}
        return sorted((s for s in score if score[s]), key=lambda s: -score[s])[:5]

    # ---- who next ----

    def next_of(self, described):
        """described: {agent: the text that says which titles it has}; None: no title is relevant."""
        best, most = None, 0
        for agent, text in described.items():
            listed = "; " + flat(text).partition(" about ")[2] + "; "
            held = [k for k, title in enumerate(self.record.titles) if "; " + title + "; " in listed]
            score = sum(self.record.relevance(k, self.said, self.perfect, True) for k in self.ranked(held, True))
            if score > most:
                best, most = agent, score
        return best

    def asked_least(self, described, asked, finished):
        left = [a for a in described if a not in finished]
        return min(left, key=asked.count, default=None)

    def selected(self):
        text = self.system_raw + "\n" + self.user_raw
        head, history = text.split("Read the following conversation.", 1)
        described = dict(re.findall(r"^(agent_\d+): (.*)$", head, re.M))
        speakers = re.findall(r"^(agent_\d+): ", history, re.M)
        finished = re.findall(r"^(agent_\d+): " + re.escape(NOTHING), history, re.M)
        described.pop(speakers[-1] if speakers else None, None)
        self.said = readable(history)
        return (self.next_of(described) or self.asked_least(described, speakers, finished) or
                self.asked_least(described, speakers, []))

    def handed_on(self, said):
        """LangGraph: a call of the tool that hands over; where nobody has more, that is the end."""
        if "managing these agents" in self.system_raw:
            described = dict(re.findall(r"^- (agent_\d+): (.*)$", self.system_raw, re.M))
        else:
            described = {re.search(r"agent_\d+", t["function"]["name"]).group(): t["function"]["description"]
                         for t in self.tools}
            said = said or NOTHING
        asked = re.findall(r"transferred to (agent_\d+)", self.said)
        finished = [m.get("name") for m in self.messages if text_of(m) == NOTHING]
        agent = self.next_of(described) or self.asked_least(described, asked, finished)
        if agent is None:
            return {"content": self.ending("unknown")}
        name = next(t["function"]["name"] for t in self.tools if t["function"]["name"].endswith(agent))
        call = {"id": "call_%d" % time.monotonic_ns(), "type": "function",
                "function": {"name": name, "arguments": "{}"}}
        return {"content": said or None, "tool_calls": [call]}


class Counter:
    def __init__(self, encoding=None):
        self.encoding = None
        if encoding:
            import tiktoken
            self.encoding = tiktoken.get_encoding(encoding)

    def tokens(self, texts):
        if self.encoding:
            return sum(len(self.encoding.encode(t, disallowed_special=())) for t in texts)
        return -(-sum(len(t.encode()) for t in texts) // 4)

    @staticmethod
    def texts_of(message):
        yield text_of(message)
        if message.get("name"):
            yield message["name"]
        for call in message.get("tool_calls") or []:
            yield call["function"]["name"] + call["function"]["arguments"]

    def prompt(self, body):
        texts = [t for m in body["messages"] for t in self.texts_of(m)]
        if body.get("tools"):
            texts.append(json.dumps(body["tools"], ensure_ascii=False, separators=(",", ":")))
        return self.tokens(texts)


class Endpoint:
    def __init__(self, records, options):
        self.records, self.options, self.calls = records, options, []
        self.counter = Counter(options.encoding)

    def record_of(self, body):
        text = flat(" ".join(text_of(m) for m in body["messages"]))
        found = [r for r in self.records if r.question in text]
        return max(found, key=lambda r: len(r.question), default=None)

    def chat(self, raw, begun):
        body = json.loads(raw)
        record = self.record_of(body)
        if record is None:
            return 400, {"error": {"message": "no question of the file stands in the prompt"}}
        message = dict(Reader(record, body, self.options.speaker, self.options.items).reply(), role="assistant")
        into, out = self.counter.prompt(body), self.counter.tokens(list(self.counter.texts_of(message)))
        reply = {"id": "chatcmpl-%d" % len(self.calls), "object": "chat.completion", "created": 1,
                 "model": body["model"],
                 "choices": [{"index": 0, "message": message,
                              "finish_reason": "tool_calls" if message.get("tool_calls") else "stop"}],
                 "usage": {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out}}
        self.calls.append({"id": record.id, "prompt_tokens": into, "completion_tokens": out,
                           "request_bytes": len(raw), "begun": begun})
        return 200, reply

    def answer(self, method, path, raw, begun):
        if path.endswith("/chat/completions") and method == "POST":
            return self.chat(raw, begun)
        if path == "/calls":
            return 200, self.calls
        if path == "/reset":
            self.calls = []
            return 200, {}
        return 404, {"error": {"message": "no such path"}}

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path, _ = head.split(" ", 2)
                length = re.search(r"^content-length: *(\d+)", head, re.I | re.M)
                raw = await reader.readexactly(int(length.group(1))) if length else b""
                begun = time.monotonic()
                status, body = self.answer(method, path, raw, begun)
                data = json.dumps(body, ensure_ascii=False).encode()
                if path.endswith("/chat/completions") and status == 200:
                    self.calls[-1].update(reply_bytes=len(data), ended=time.monotonic())
                writer.write(b"HTTP/1.1 %d x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                             % (status, len(data)) + data)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("questions")
    p.add_argument("--speaker", choices=("overlap", "perfect"), default="overlap")
    p.add_argument("--items", type=int, default=2)
    p.add_argument("--encoding")
    options = p.parse_args()
    with open(options.questions) as f:
        endpoint = Endpoint([Record(r) for r in json.load(f)], options)
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0, limit=1 << 24, backlog=512)
    print("http://127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
