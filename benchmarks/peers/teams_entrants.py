"""The teams that teams.py compares, each made as its own documentation makes one. Run by teams.py:

    python teams_entrants.py ENTRANT MODE JOB.json      one entrant in a process of its own, JSON out

MODE is `counts` (eight questions at a time), `times` (one after the other, after a warm-up) or
`crowd` (all at once, in a fresh process). Imports are within the entrants: what one does not need
counts against no other's memory.
"""

import asyncio
import concurrent.futures
import glob
import http.client
import json
import re
import sys
import time

ROUNDS = 5  # SYNC's default; the others may speak as often
EVIDENCE = "Say only what your items say; answer when you know."
TELL = ('When you know, reply "ANSWER: " and the answer. Otherwise tell your teammates those of your '
        "items that help with the question.")


def items_of(question, agent):
    return [d for d in question["documents"] if d["agent"] == agent]


def names(job):
    return ["agent_%d" % (k + 1) for k in range(job["agents"])]


def member_text(job, question, agent, *more):
    items = "\n".join(d["title"] + ": " + d["text"] for d in items_of(question, agent))
    return ("You are agent_%d, one of a team of %d. Each of you sees different evidence. %s\n%s\n\nYour items:\n%s"
            % (agent + 1, job["agents"], EVIDENCE, "\n".join((TELL, *more)), items))


def titles_text(question, agent):
    return "has items about " + "; ".join(d["title"] for d in items_of(question, agent))


def reader_messages(question, documents):
    """For one who is asked alone."""
    items = "\n".join(d["title"] + ": " + d["text"] for d in documents)
    system = ('You are agent_1. %s When you know, reply "ANSWER: " and the answer, otherwise "ANSWER: unknown".'
              "\n\nYour items:\n%s" % (EVIDENCE, items))
    return [{"role": "system", "content": system}, {"role": "user", "content": question["question"]}]


def stated(text):
    found = re.search(r"ANSWER: (.*)", text or "")
    return found.group(1).strip() if found else "unknown"


class AutoGen:
    """README of autogen-agentchat: AssistantAgents in a group chat, ended by a word or by length."""

    def __init__(self, job):
        import logging
        from autogen_agentchat import agents, conditions, teams
        from autogen_ext.models.openai import OpenAIChatCompletionClient

        logging.getLogger("autogen_core").setLevel(logging.ERROR)
        self.job, self.agents, self.conditions, self.teams = job, agents, conditions, teams
        info = {"vision": False, "function_calling": True, "json_output": False, "family": "unknown",
                "structured_output": False}
        self.client = OpenAIChatCompletionClient(model="oracle", base_url=job["endpoint"] + "/v1", api_key="none",
                                                 model_info=info)

    def team(self, members, end):
        return self.teams.RoundRobinGroupChat(members, termination_condition=end)

    async def ask(self, question):
        members = [self.agents.AssistantAgent(
            name, model_client=self.client, description=titles_text(question, k),
            system_message=member_text(self.job, question, k, "After the answer say TERMINATE."))
            for k, name in enumerate(names(self.job))]
        end = (self.conditions.TextMentionTermination("TERMINATE") |
               self.conditions.MaxMessageTermination(1 + ROUNDS * len(members)))
        result = await self.team(members, end).run(task=question["question"])
        return {"answer": stated(result.messages[-1].content), "messages": len(result.messages) - 1}


class AutoGenSelector(AutoGen):
    """Who speaks next is a further call, which the members' descriptions help."""

    def team(self, members, end):
        return self.teams.SelectorGroupChat(members, model_client=self.client, termination_condition=end)


class OneAgent:
    """No team: one is given all items by all others, and asked once, with the openai package."""

    def __init__(self, job):
        from openai import AsyncOpenAI

        self.client = AsyncOpenAI(base_url=job["endpoint"] + "/v1", api_key="none")

    async def ask(self, question):
        documents = question["documents"]
        reply = await self.client.chat.completions.create(model="oracle",
                                                          messages=reader_messages(question, documents))
        return {"answer": stated(reply.choices[0].message.content),
                "messages": sum(d["agent"] != 0 for d in documents)}


class LangGraph:
    def __init__(self, job):
        from langchain.agents import create_agent
        from langchain_openai import ChatOpenAI

        self.job, self.create_agent = job, create_agent
        self.model = ChatOpenAI(model="oracle", base_url=job["endpoint"] + "/v1", api_key="none")

    async def run(self, app, question):
        result = await app.ainvoke({"messages": [{"role": "user", "content": question["question"]}]},
                                   {"recursion_limit": 200})
        return {"answer": stated(result["messages"][-1].text), "messages": len(result["messages"]) - 1}


class Supervisor(LangGraph):
    """README of langgraph-supervisor: one that assigns, and agents that report back to it."""

    async def ask(self, question):
        from langgraph_supervisor import create_supervisor

        members = [self.create_agent(self.model, tools=[], name=name,
                                     system_prompt=member_text(self.job, question, k))
                   for k, name in enumerate(names(self.job))]
        described = "\n".join("- %s: %s" % (name, titles_text(question, k)) for k, name in enumerate(names(self.job)))
        prompt = ("You are a supervisor managing these agents:\n%s\nAssign work to one agent at a time. %s\n"
                  'When you know, reply "ANSWER: " and the answer.' % (described, EVIDENCE))
        return await self.run(create_supervisor(members, model=self.model, prompt=prompt).compile(), question)


class Swarm(LangGraph):
    """README of langgraph-swarm: whoever is active answers or hands over with a tool."""

    async def ask(self, question):
        from langgraph_swarm import create_handoff_tool, create_swarm

        everybody = names(self.job)
        members = []
        for k, name in enumerate(everybody):
            tools = [create_handoff_tool(agent_name=other,
                                         description="Transfer to %s, who %s" % (other, titles_text(question, j)))
                     for j, other in enumerate(everybody) if j != k]
            members.append(self.create_agent(self.model, tools=tools, name=name,
                                             system_prompt=member_text(self.job, question, k)))
        return await self.run(create_swarm(members, default_active_agent=everybody[0]).compile(), question)


class Sync:
    """A client of `syncog serve`: the request is all that a user writes."""

    options = {}

    def __init__(self, job):
        self.job, self.free = job, []
        self.pool = concurrent.futures.ThreadPoolExecutor(64)

    def post(self, body, path="/api/v1/collaborate"):
        connection = self.free.pop() if self.free else http.client.HTTPConnection("127.0.0.1", self.job["port"])
        connection.request("POST", path, json.dumps(body),
                           {"Content-Type": "application/json", "Authorization": "Bearer " + self.job["key"]})
        reply = connection.getresponse()
        text = reply.read()
        self.free.append(connection)
        if reply.status != 200:
            raise SystemExit("the service answered %d: %s" % (reply.status, text.decode()))
        return json.loads(text)

    async def ask(self, question):
        documents = [{"title": d["title"], "text": d["text"], "agents": [d["agent"] + 1]}
                     for d in question["documents"]]
        body = {"query": question["question"], "num_agents": self.job["agents"], "documents": documents,
                "max_rounds": ROUNDS, "agents": [{"name": n, "role": EVIDENCE} for n in names(self.job)],
                **self.options}
        reply = await asyncio.get_running_loop().run_in_executor(self.pool, self.post, body)
        return {"answer": reply["short_answer"], "messages": reply["collaboration_metrics"]["total_messages"],
                "abstained": reply["abstained"], "policy": reply["policy"],
                "chain": reply["num_rounds"] + (not reply["abstained"])}


class SyncOneRound(Sync):
    """It may answer after the first round."""

    options = {"config": {"min_rounds": 1}}


class SyncBroadcast(Sync):
    options = {"config": {"enable_cognitive_gaps": False}}


class SyncAskerFirst(Sync):
    """The evidence moves first, and then the asker alone is asked, once or twice."""

    options = {"config": {"ask": "asker"}}

    async def ask(self, question):
        result = await super().ask(question)
        del result["chain"]  # one call after the other
        return result


class Orchestrator(Sync):
    """A program of one's own that moves items as /v2's orchestrator says, and then asks the asker alone.
    No model is called before; where the orchestrator abstains, none at all."""

    otherwise_all = False

    def decision(self, request):
        tensor = {"name": "request", "shape": [1], "datatype": "BYTES", "data": [json.dumps(request)]}
        reply = self.post({"inputs": [tensor]}, "/v2/models/orchestrator/infer")
        return json.loads(reply["outputs"][0]["data"][0])

    def route(self, question):
        """The documents that the asker has in the end, the messages, and whether it may answer."""
        documents = [dict(d, key="d%d" % k) for k, d in enumerate(question["documents"])]
        request = {"question": question["question"], "history": [], "agents": [
            {"items": [{"id": d["key"], "title": d["title"], "text": d["text"]} for d in documents if d["agent"] == k]}
            for k in range(self.job["agents"])]}
        held, messages = {d["key"] for d in documents if d["agent"] == 0}, 0
        while True:
            action = self.decision(request)
            kind = action["action"]
            if kind in ("answer", "abstain"):
                self.policy = action["policy"]
                return documents, held, messages, kind == "answer"
            if kind == "broadcast" or action["to" if kind == "send" else "from"] == 1:
                held.add(action["item"])
            messages += 2 if kind == "request" else 1
            request["history"].append({k: action[k] for k in ("action", "from", "to", "item") if action[k] is not None})

    def read(self, question, documents):
        reply = self.post({"model": "custom:oracle", "messages": reader_messages(question, documents)},
                          "/v1/chat/completions")
        return stated(reply["choices"][0]["message"]["content"])

    def whole(self, question):
        documents, held, messages, answers = self.route(question)
        answer = self.read(question, [d for d in documents if d["key"] in held]) if answers else "unknown"
        if answer == "unknown" and self.otherwise_all and len(held) < len(documents):
            messages += sum(d["key"] not in held for d in documents)
            answer, answers = self.read(question, documents), True
        return {"answer": answer, "messages": messages, "abstained": not answers, "policy": self.policy}

    async def ask(self, question):
        return await asyncio.get_running_loop().run_in_executor(self.pool, self.whole, question)


class OrchestratorOrAll(Orchestrator):
    """Where the asker does not know then, everybody sends it all the rest, and it is asked once more."""

    otherwise_all = True


ENTRANTS = {"sync": Sync, "sync, min_rounds 1": SyncOneRound, "sync, broadcast": SyncBroadcast,
            "sync, asker first": SyncAskerFirst,
            "sync orchestrator": Orchestrator, "sync orchestrator, else all": OrchestratorOrAll,
            "autogen round robin": AutoGen, "autogen selector": AutoGenSelector,
            "langgraph supervisor": Supervisor, "langgraph swarm": Swarm, "one agent, all items": OneAgent}


def cpu_of(pid):
    """Seconds that all threads of a process have run."""
    total = 0
    for file in glob.glob("/proc/%d/task/*/schedstat" % pid):
        try:
            with open(file) as f:
                total += int(f.read().split()[0])
        except OSError:
            pass
    return total / 1e9


def memory_mib(pid, what):
    with open("/proc/%s/status" % pid) as f:
        return int(re.search(what + r":\s+(\d+)", f.read()).group(1)) / 1024


async def asked(entrant, question, results):
    begun = time.monotonic()
    result = await entrant.ask(question)
    results.append(dict(result, id=question["id"], begun=begun, ended=time.monotonic(),
                        right=result["answer"] == question["answer"]))


async def main(name, mode, job):
    entrant, results = ENTRANTS[name](job), []
    with open(job["questions"]) as f:
        questions = json.load(f)
    service = job.get("service")
    before = memory_mib(service or "self", "VmRSS")
    if mode == "times":
        for question in questions[-5:]:
            await asked(entrant, question, [])
        http_get(job["endpoint"], "/reset")
    questions = questions[:job[mode]]
    cpu, client = cpu_of(service) if service else 0, time.process_time()
    begun = time.monotonic()
    if mode == "times":
        for question in questions:
            await asked(entrant, question, results)
    else:
        gate = asyncio.Semaphore(8 if mode == "counts" else len(questions))

        async def one(question):
            async with gate:
                await asked(entrant, question, results)

        await asyncio.gather(*(one(q) for q in questions))
    spent = time.process_time() - client
    print(json.dumps({"results": results, "wall_s": time.monotonic() - begun,
                      "cpu_s": cpu_of(service) - cpu if service else spent, "client_cpu_s": spent if service else 0,
                      "rss_before_mib": before, "rss_peak_mib": memory_mib(service or "self", "VmHWM")}))


def http_get(url, path):
    connection = http.client.HTTPConnection(url.split("//")[1])
    connection.request("GET", path)
    return connection.getresponse().read()


if __name__ == "__main__":
    with open(sys.argv[3]) as job_file:
        JOB = json.load(job_file)
    asyncio.run(main(sys.argv[1], sys.argv[2], JOB))
