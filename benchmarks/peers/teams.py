"""A team under SYNC beside teams under AutoGen and LangGraph: same questions, evidence and model.

    benchmarks/peers/teams.sh [OPTIONS of this program]

Each question's items are dealt to the agents by lot (in equal parts, no agent holding all gold
sentences), the same way for everybody. The model is teams_oracle.py, which says how it reads and what
its agents say; teams_entrants.py makes the teams. What is printed, per team size:

  right %        the final answer is the right one; what SYNC abstains from is not
  calls, in a row   LLM calls, and how many of them must wait for one another
  prompt, completion   tokens, by the endpoint's one rule
  messages       what agents, or a framework for them, put before teammates: chat messages, in SYNC moved items
  CPU, wall      of the framework for a question, asked one after the other; wall is without the
                 time that the endpoint took. SYNC's CPU is the service's; its client's stands in brackets
  RSS            the most that a fresh process had up to the end of --crowd questions at once, its
                 start included; in brackets what it had before them
  kB of bodies   of a question's calls, requests and replies

Figures in square brackets and after ± are 95 % intervals over questions.
"""

import argparse
import json
import math
import os
import platform
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager

from teams_entrants import ENTRANTS, http_get

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KEY = "sync_admin_key_2024"
TOTALS = ("prompt_tokens", "completion_tokens", "request_bytes", "reply_bytes")


# ---- questions ----

def usable(record):
    """The gold sentences; None where the file lacks one, or one document has them all."""
    sentences = {}
    for title, texts in record["context"]:
        sentences.setdefault(title, texts)
    gold = []
    for title, k in record["supporting_facts"]:
        if title not in sentences or k >= len(sentences[title]):
            return None
        gold.append(sentences[title][k].strip())
    alone = any(all(s in "".join(texts) for s in gold) for _, texts in record["context"])
    return None if alone else gold


def fold_of(record, folds):
    import xxhash
    return xxhash.xxh3_64_intdigest(record["_id"].encode()) % folds


def dealt(record, gold, agents, seed):
    documents = [{"title": t, "text": "".join(s).strip()} for t, s in record["context"] if "".join(s).strip()]
    lots = random.Random("%s %s %d" % (seed, record["_id"], agents))
    lots.shuffle(documents)
    while True:
        for k, document in enumerate(documents):
            document["agent"] = k % agents
        texts = [" ".join(d["text"] for d in documents if d["agent"] == a) for a in range(agents)]
        if not any(all(s in text for s in gold) for text in texts):
            return documents
        lots.shuffle(documents)


def read_questions(options, program, work):
    """[(record, gold)], as many as asked for, no question twice."""
    file = options.input
    if not file:
        file = os.path.join(work, "synth.json")
        subprocess.run([program, "data", "synth", "--tasks", str(2 * options.questions + 50), "--claims", "0",
                        "--seed", str(options.seed), "--out", file], check=True, stderr=subprocess.DEVNULL)
    with open(file) as f:
        records = json.load(f)
    found, seen = [], set()
    for record in records:
        gold, question = usable(record), " ".join(record["question"].split())
        if not gold or question in seen or len(record["context"]) > 32:
            continue
        seen.add(question)
        found.append((record, gold))
    return found[:options.questions]


# ---- processes ----

@contextmanager
def process(command, **more):
    p = subprocess.Popen(command, **more)
    try:
        yield p
    finally:
        p.terminate()
        p.wait(60)


@contextmanager
def endpoint(file, options):
    command = [sys.executable, os.path.join(HERE, "teams_oracle.py"), file, "--speaker", options.speaker,
               "--items", str(options.items)]
    command += ["--encoding", options.encoding] if options.encoding else []
    with process(command, stdout=subprocess.PIPE, text=True) as p:
        yield p.stdout.readline().strip()


@contextmanager
def service(program, url, checkpoint, work):
    """`syncog serve` with its store, history and limits on: its process and port."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    folder = tempfile.mkdtemp(dir=work)
    command = [program, "serve", "--port", str(port), "--provider", "custom", "--base-url", url + "/v1", "--model",
               "oracle", "--state", os.path.join(folder, "state"), "--workers", "1", "--rate-burst", "1000000",
               "--rate-per-minute", "1000000", "--log-level", "warn", "--no-access-log"]
    command += ["--checkpoint", checkpoint] if checkpoint else []
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LD_LIBRARY_PATH")}
    kept["OMP_WAIT_POLICY"] = "passive"
    with open(os.path.join(folder, "log"), "w") as log:
        with process(command, stderr=log, cwd=folder, env=kept) as p:
            for _ in range(200):
                try:
                    http_get("http://127.0.0.1:%d" % port, "/livez")
                    break
                except OSError:
                    time.sleep(.05)
            else:
                raise SystemExit("the service did not start; see %s" % log.name)
            yield p, port


def run_entrant(name, mode, job, program, checkpoint, work):
    file = os.path.join(work, "job.json")

    def run(**more):
        with open(file, "w") as f:
            json.dump(dict(job, **more), f)
        done = subprocess.run([sys.executable, os.path.join(HERE, "teams_entrants.py"), name, mode, file],
                              stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit("%s (%s) ended with status %d" % (name, mode, done.returncode))
        return json.loads(done.stdout.splitlines()[-1])

    http_get(job["endpoint"], "/reset")
    if name.startswith("sync"):
        with service(program, job["endpoint"], checkpoint, work) as (p, port):
            out = run(service=p.pid, port=port, key=KEY)
    else:
        out = run()
    out["calls"] = json.loads(http_get(job["endpoint"], "/calls"))
    return out


# ---- figures ----

def interval(values):
    mean = statistics.fmean(values)
    half = 1.96 * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0
    return mean, half


def wilson(k, n):
    z, p = 1.96, k / n
    mid, half = p + z * z / 2 / n, z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n)
    return 100 * (mid - half) / (1 + z * z / n), 100 * (mid + half) / (1 + z * z / n)


def by_question(run):
    sums = {r["id"]: dict.fromkeys(TOTALS, 0) | {"n": 0} for r in run["results"]}
    for call in run["calls"]:
        row = sums[call["id"]]
        row["n"] += 1
        for key in TOTALS:
            row[key] += call[key]
    return sums


def beyond_endpoint(run):
    """Seconds of each question in which the endpoint was not at work for it."""
    busy = {}
    for call in run["calls"]:
        busy.setdefault(call["id"], []).append((call["begun"], call["ended"]))
    rest = []
    for r in run["results"]:
        spent, until = 0, r["begun"]
        for begun, ended in sorted(busy.get(r["id"], [])):
            spent += max(0, ended - max(begun, until))
            until = max(until, ended)
        rest.append(r["ended"] - r["begun"] - spent)
    return rest


def figures(name, agents, runs):
    counts, times, crowd = runs["counts"], runs.get("times"), runs.get("crowd")
    results, sums = counts["results"], by_question(counts)
    right = sum(r["right"] for r in results)
    row = {"entrant": name, "agents": agents, "questions": len(results), "right": 100 * right / len(results),
           "right_interval": wilson(right, len(results)),
           "abstained": 100 * sum(r.get("abstained", False) for r in results) / len(results),
           "policy": results[0].get("policy"),
           "chain": statistics.fmean(r.get("chain", sums[r["id"]]["n"]) for r in results),
           "messages": interval([r["messages"] for r in results]),
           "calls": interval([s["n"] for s in sums.values()])}
    if times:
        row |= {"times": len(times["results"]), "cpu_ms": 1e3 * times["cpu_s"] / len(times["results"]),
                "client_cpu_ms": 1e3 * times["client_cpu_s"] / len(times["results"]),
                "wall_ms": 1e3 * statistics.median(beyond_endpoint(times))}
    if crowd:
        row |= {"crowd": len(crowd["results"]), "crowd_right": sum(r["right"] for r in crowd["results"]),
                "crowd_s": crowd["wall_s"], "crowd_cpu_ms": 1e3 * crowd["cpu_s"] / len(crowd["results"]),
                "rss_before_mib": crowd["rss_before_mib"], "rss_peak_mib": crowd["rss_peak_mib"]}
    for key in TOTALS:
        row[key] = interval([s[key] for s in sums.values()])
    return row


HEAD = ("team", "right %", "calls", "in a row", "prompt tokens", "completion", "messages", "CPU ms", "wall ms",
        "RSS MiB", "kB of bodies")


def line(row):
    def plus(key, digits):
        mean, half = row[key]
        return "%.*f ± %.*f" % (digits, mean, digits, half)

    cpu = wall = rss = ""
    if "times" in row:
        cpu = "%.2f" % row["cpu_ms"] + (" (%.2f)" % row["client_cpu_ms"] if row["client_cpu_ms"] else "")
        wall = "%.1f" % row["wall_ms"]
    if "crowd" in row:
        rss = "%.0f (%.0f)" % (row["rss_peak_mib"], row["rss_before_mib"])
    right = "%.1f [%.0f, %.0f]" % (row["right"], *row["right_interval"])
    if row["abstained"]:
        right += ", abstains %.1f" % row["abstained"]
    name = row["entrant"] + (" (rule)" if row["policy"] == "rule" else "")
    return (name, right, plus("calls", 2), "%.2f" % row["chain"], plus("prompt_tokens", 0),
            plus("completion_tokens", 0), plus("messages", 2), cpu, wall, rss,
            "%.1f" % ((row["request_bytes"][0] + row["reply_bytes"][0]) / 1000))


def table(rows):
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for row in rows:
        print("| " + " | ".join(line(row)) + " |")


def machine():
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    return "%s, %d cores, Python %s, load %.1f" % (model.group(1) if model else platform.machine(), os.cpu_count(),
                                                   platform.python_version(), os.getloadavg()[0])


# ---- the whole ----

def compare(options, found, agents, work):
    groups = {}  # by checkpoint: one for all, or each fold's own
    for record, gold in found:
        fold = fold_of(record, options.folds) if options.folds else 0
        groups.setdefault(fold, []).append(dict(
            id=record["_id"], question=record["question"], answer=record["answer"], gold=gold,
            documents=dealt(record, gold, agents, options.seed)))
    everybody = [q for group in groups.values() for q in group]
    file = os.path.join(work, "questions.json")
    with open(file, "w") as f:
        json.dump(everybody, f)
    rows = []
    with endpoint(file, options) as url:
        for name in options.only:
            runs = {}
            for mode in ("counts", "times", "crowd"):
                if mode != "counts" and not getattr(options, mode):
                    continue
                parts = groups.items() if name.startswith("sync") and mode == "counts" else [(min(groups), everybody)]
                done = []
                for fold, part in parts:
                    with open(file, "w") as f:
                        json.dump(part, f)
                    job = {"agents": agents, "endpoint": url, "questions": file, "counts": len(part),
                           "times": options.times, "crowd": options.crowd}
                    checkpoint = options.checkpoint and os.path.abspath(options.checkpoint.format(fold=fold))
                    done.append(run_entrant(name, mode, job, options.program, checkpoint, work))
                runs[mode] = dict(done[0], results=[r for d in done for r in d["results"]],
                                  calls=[c for d in done for c in d["calls"]])
            rows.append(figures(name, agents, runs))
            print("teams.py: %s, %d agents: %.1f %% right, %.2f calls" % (
                name, agents, rows[-1]["right"], rows[-1]["calls"][0]), file=sys.stderr)
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default=os.path.join(ROOT, "build", "syncog"), help="build/syncog")
    p.add_argument("--input", help="a file of HotpotQA's form; default: synthetic questions")
    p.add_argument("--seed", type=int, default=7, help="of synthetic questions and of the deal (7)")
    p.add_argument("--questions", type=int, default=200, help="for the counts (200)")
    p.add_argument("--times", type=int, default=50, help="questions for the times; 0: none (50)")
    p.add_argument("--crowd", type=int, default=50, help="questions at once; 0: none (50)")
    p.add_argument("--agents", type=int, nargs="+", default=[3, 5])
    p.add_argument("--checkpoint", help="SYNC's networks; {fold} stands for a fold. Default: its rule without any")
    p.add_argument("--folds", type=int, help="each question goes to the checkpoint of its fold")
    p.add_argument("--speaker", choices=("overlap", "perfect"), default="overlap")
    p.add_argument("--items", type=int, default=2, help="an agent says at once in a chat (2)")
    p.add_argument("--encoding", help="count tokens by tiktoken's, e.g. o200k_base")
    p.add_argument("--only", nargs="+", choices=list(ENTRANTS), default=list(ENTRANTS))
    p.add_argument("--json", help="a file for all figures")
    options = p.parse_args()
    options.program = os.path.abspath(options.program)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends, too
    work = tempfile.mkdtemp(prefix="syncog-teams-")
    try:
        found = read_questions(options, options.program, work)
        rows = []
        for agents in options.agents:
            rows += compare(options, found, agents, work)
            print("\n%d agents, %d questions, speaker %s, at most %d items at once; %s\n" % (
                agents, len(found), options.speaker, options.items, machine()))
            table(rows[-len(options.only):])
        if options.json:
            with open(options.json, "w") as f:
                json.dump(rows, f, indent=1)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
