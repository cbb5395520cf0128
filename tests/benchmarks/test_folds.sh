#!/usr/bin/env bash
# benchmarks/folds.sh and folds.py, with a stand-in for syncog that writes what it was asked to: what is complete is
# not run again, a failure ends all and names its log, nothing is tuned on what is scored, and the tables hold the
# figures that the lines add up to.
set -euo pipefail
command -v python3 >/dev/null || exit 77
folds=$PWD/benchmarks/folds.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "$*" >&2; [ -e err ] && cat err >&2; exit 1; }

cat >syncog <<'STUB'
#!/usr/bin/env python3
"""Four questions: the learned policy answers three and abstains once, round robin answers all with 4 messages."""
import json, os, sys
args = sys.argv[1:]
at = lambda name: args[args.index(name) + 1]
with open(os.environ["CALLS"], "a") as f:
    f.write(" ".join(args) + "\n")
if os.environ.get("BROKEN") and os.environ["BROKEN"] in " ".join(args):
    sys.exit("syncog: the disk is on fire")
if args[0] in ("data", "pretrain", "train"):
    os.makedirs(at("--out"), exist_ok=True) if args[0] != "data" else open(at("--out"), "w").write("x")
    sys.exit(0)
gap = {"auroc": .9, "balanced_accuracy": .8, "prior": .75, "count_only_auroc": .5, "question_only_auroc": .5,
       "shuffled_auroc": .5}
names = ["never", "random", "broadcast", "round_robin", "cosine_push", "oracle", "learned"]
policies = {n: {"return": 1, "messages": 4, "success_answerable": .5, "success_message_area": .25} for n in names}
chosen = {"within_2_points": {"success_answerable_loss_max": .02, "message_ratio_max": .45, "met": True,
                              "answer_bias": -1.0, "abstain_bias": 0.0}}
point = {"answer_bias": -1.0, "abstain_bias": 0.0, "test": dict.fromkeys(("messages", "success_answerable", "return", "success"), .5)}
report = {"records": 4, "episodes": 4, "gap": gap, "link": {"auroc": .5}, "ranker": {"auroc": .5, "cosine_auroc": .5},
          "gap_rollout": {"auroc": .5}, "policies": policies, "best_untrained": "round_robin", "ablations": {"learned_within_2_points": {}}}
if "--sweep" in args:
    report["sweep"] = {"reference": "round_robin", "chosen": chosen, "points": [point]}
story = {"group": "story"} if os.environ.get("STORY") else {}
if "--raw" in args:
    with open(at("--raw"), "w") as f:
        for k in range(4):
            f.write(json.dumps(story | {"kind": "gap", "id": f"q{k}", "p": .2 * k, "label": int(k > 1)}) + "\n")
            for name in names + ["learned_within_2_points"]:
                mine = name.startswith("learned")
                f.write(json.dumps(story | {"kind": "episode", "policy": name, "id": f"q{k}", "episode": k,
                                            "return": {"oracle": 18, "round_robin": 10, "learned": 14}.get(name, 2),
                                            "success": int(k < 3), "answerable": int(k < 3), "abstained": int(mine and k == 3),
                                            "messages": 1 if mine else 4, "deliveries": 1, "ended": 1, "requests": 0, "moves": 1,
                                            "agents": 2 + k, "stratum": 2 if k == 3 else 1}) + "\n")
print(json.dumps(report))
STUB
chmod +x syncog
export SYNCOG=$work/syncog CALLS=$work/calls SEEDS="1 2" FOLDS="0 1" JOBS=2

run() { bash "$folds" data out "$@" >tables 2>err; }
calls() { grep -c "$1" calls || true; }

run k10 agents transfer || fail "a run that should work has failed"
[ "$(calls '^data prepare')" = 4 ] || fail "not every data set was prepared once"
[ "$(calls '^pretrain')" = 12 ] || fail "$(calls '^pretrain') pre-trainings: one a seed and fold, and one more a format, are 12"
[ "$(calls '^train')" = 16 ] || fail "$(calls '^train') trainings instead of 16"
grep -q "16 of 16" err || fail "progress does not end with 16 of 16"

# Nothing is tuned on the scored fold, nor on a format that was not trained on.
grep '^eval' calls | grep -- '--sweep' | grep -qv -- '--choose-data' && fail "a sweep without data to choose on"
grep '^eval --data out/data/2wiki.h5' calls | grep -- 'out/transfer-hotpotqa' | grep -- '--sweep' |
    grep -q -- '--choose-data out/data/2wiki.h5' && fail "the transfer to 2wiki is tuned on 2wiki"
grep '^train' calls | grep -- '--out out/transfer-hotpotqa' | grep -q '2wiki' && fail "the transfer to 2wiki has trained on it"
grep '^train' calls | grep -- '--out out/agents' | grep -qv -- '--num-agents-range 2-6' && fail "agents: trained on all sizes"

# The tables. Learned: 14 of 10 to 18 is a score of .5; a quarter of round robin's messages.
grep -q '^| learned | 14.00 | 0.500 | 1.000 | 1.000 | 1.00 / 1.00 | 1.00 | 1.00 | 0.250 |$' tables || fail "learned's row is wrong"
grep -q '^| round_robin | 10.00 | 0.000 | 0.750 | 1.000 | 0.00 / 0.00 | 4.00 | 1.00 | 0.250 |$' tables || fail "round robin's row is wrong"
grep -q 'learned minus round_robin (the best untrained): return 4.00 \[4.00, 4.00\]' tables || fail "the difference is wrong"
grep -q '^| within_2_points | 0.250 \[0.250, 0.250\] | 0.000 .* | 0.45 at -0.02 | yes | 2 of 2 | 4 of 4 | -1.0 / +0.0 (4) |$' tables || fail "the sweep's row is wrong"
grep -q '^| with titles | 1.000 \[' tables || fail "the gap detector's AUROC is wrong"
grep -q '^| unanswerable | 10.00, 0.000, 4.00 ' tables || fail "the unanswerable stratum is wrong"

# Questions are drawn one by one, but those about one story together: then every draw has all four.
grep -q '^| with titles | 1.000 \[0' tables || fail "the draws are all alike"
STORY=1 SEEDS=1 FOLDS=0 bash "$folds" data story gap >story_tables 2>err || fail "the run about one story has failed"
grep -q '^| with titles | 1.000 \[1.000, 1.000\]' story_tables || fail "questions about one story were drawn apart"

# Complete: nothing is run again, the tables are the same.
mv tables before
: >calls
run k10 agents transfer || fail "the second run has failed"
[ ! -s calls ] || fail "what was complete was run again: $(head -n 1 calls)"
cmp -s tables before || fail "the tables of the second run differ"

# A missing evaluation alone is made again.
rm out/k10/seed1-fold1/2wiki.json
run k10 || fail "the run that fills a hole has failed"
[ "$(calls .)" = 1 ] && [ "$(calls '^eval --data out/data/2wiki.h5 --folds 5 --fold 1')" = 1 ] || fail "not the missing one alone was run"

# A failure ends all, with the log's name and sentence; what was not written is not there.
code=0
BROKEN="--pieces 28" JOBS=1 run k28 || code=$?
[ "$code" = 1 ] || fail "exit $code after a failure"
grep -q 'k28-seed1-fold0 failed: syncog: the disk is on fire (see out/k28/seed1-fold0/train.log)' err || fail "the failure is not named"
[ "$(grep -c failed err)" = 1 ] || fail "it went on after a failure"
[ ! -e out/k28/seed1-fold0/train.done ] || fail "a failed training counts as done"

code=0
run k11 || code=$?
[ "$code" = 2 ] && grep -q 'there is no table "k11"' err || fail "a table that is none is not refused"
code=0
SETS=nothing run k10 || code=$?
[ "$code" = 2 ] && grep -q 'there is no data set "nothing"' err || fail "a data set that is none is not refused"
