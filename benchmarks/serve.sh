#!/usr/bin/env bash
# The service's figures, each beside its target, measured with a load generator and a provider of
# our own on the same machine.
#
#   benchmarks/serve.sh [health] [scoring] [direct] [collaborations] [streams] [history] [kill]
#
# Nothing named: all of them. What it needs: python3, and syncog, load and fake_provider in $BUILD
# (build): ninja -C build syncog load fake_provider.
#
#   SYN_CHECKPOINT      the trained networks (runs/demo/trained); without one a small one is trained
#   SYN_BENCH_SECONDS   of one measurement (10), after a warm-up of a fifth of that
#   SYN_BENCH_RUNS      of each measurement; the median counts (3)
#   SYN_KILLS           how often the service is killed under load (50)
#   SYN_LITELLM         LiteLLM's program (.../bin/litellm), to measure its proxy beside ours
#   SYN_DATABASE_URL    another store than SQLite (stages direct, collaborations, history)
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C OMP_WAIT_POLICY=passive PYTHONDONTWRITEBYTECODE=1

build=$(realpath "${BUILD:-build}")
seconds=${SYN_BENCH_SECONDS:-10} runs=${SYN_BENCH_RUNS:-3} kills=${SYN_KILLS:-50}
warmup=$(python3 -c "print(max(.5, $seconds / 5))")
all=(health scoring direct collaborations streams history kill)
stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=("${all[@]}")
for stage in "${stages[@]}"; do
    case " ${all[*]} " in
    *" $stage "*) ;;
    *) echo "serve.sh: unknown stage '$stage': ${all[*]}" >&2; exit 2 ;;
    esac
done
for program in syncog load fake_provider; do
    [ -x "$build/$program" ] || { echo "serve.sh: no $build/$program: ninja -C build $program" >&2; exit 1; }
done

work=$(mktemp -d)
server='' provider='' lite=''
stop() { # stops what has this process id, and waits for it
    [ -n "$1" ] || return 0
    kill "$1" 2>/dev/null
    wait "$1" 2>/dev/null
}
clean() {
    stop "$server"
    stop "$provider"
    stop "$lite"
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

fail() {
    echo "serve.sh: $*" >&2
    [ ! -s "$work/log" ] || tail -3 "$work/log" >&2
    exit 1
}

# row FIGURE MEASURED TARGET
row() { printf '| %s | %s | %s |\n' "$1" "$2" "$3"; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start_provider() { # further options of fake_provider
    stop "$provider"
    rm -f "$work/provider.port" # else the last one's is read until this one has opened the file
    "$build/fake_provider" "$@" >"$work/provider.port" 2>>"$work/provider.log" &
    provider=$!
    for _ in $(seq 100); do [ -s "$work/provider.port" ] && break; sleep .05; done
    upstream=http://127.0.0.1:$(cat "$work/provider.port")
}

# A fresh store with one key that nothing limits.
fresh_store() {
    rm -rf "$work/state"
    database=()
    [ -z "${SYN_DATABASE_URL:-}" ] || database=(--database-url "$SYN_DATABASE_URL")
    key=$("$build/syncog" key create --tier unlimited --name load --state "$work/state" "${database[@]}" 2>>"$work/log") ||
        fail "no key could be made"
}

# As it runs in production: keys, limits, history, audit and the access log are on.
start_server() { # further options of serve
    port=$(free_port)
    (cd "$work" && exec env ENVIRONMENT=production JWT_SECRET_KEY="$secret" "$build/syncog" serve \
        --port "$port" --state state "${database[@]}" --provider custom --base-url "$upstream/v1" \
        --model fake --checkpoint "$checkpoint" --log-format json --log-file "$work/log" \
        --drain 1 --drain-delay 0 --scoring-at-once 100000 "$@" 2>>"$work/log") &
    server=$!
    base=http://127.0.0.1:$port
    for _ in $(seq 200); do
        curl -sf -o /dev/null "$base/readyz" && return 0
        kill -0 "$server" 2>/dev/null || break
        sleep .05
    done
    fail "the service did not start"
}

# load, with the key; prints JSON. What it cannot measure ends its stage, not the script.
load() {
    "$build/load" --json --warmup "$warmup" --seconds "$seconds" --header "Authorization: Bearer $key" "$@"
}
# get JSON PATH: a member; get 'a.b'
get() { python3 -c 'import json, sys
v = json.loads(sys.argv[1])
for k in sys.argv[2].split("."): v = v[k]
print(f"{v:.3f}" if isinstance(v, float) else v)' "$1" "$2"; }
compute() { python3 -c "print($1)"; }
# The one of several JSON results whose member is the median.
median() { # PATH RESULT...
    python3 -c 'import json, sys
def at(r):
    for k in sys.argv[1].split("."): r = r[k]
    return r
r = sorted((json.loads(x) for x in sys.argv[2:]), key=at)
print(json.dumps(r[len(r) // 2]))' "$@"
}
# repeat PATH ARGUMENTS OF load...
repeat() {
    local path=$1 results=() result
    shift
    for _ in $(seq "$runs"); do
        result=$(load "$@") || return
        results+=("$result")
    done
    median "$path" "${results[@]}"
}
bad() { # what of a result was not good; empty if all was
    python3 -c 'import json, sys
r = json.loads(sys.argv[1])
n = {k: r[k] for k in ("wrong_status", "broken", "timed_out", "missed") if r[k]}
print("; " + ", ".join(f"{v} {k}" for k, v in n.items()) if n else "")' "$1"
}

prepare() {
    secret=$(python3 -c 'import secrets; print(secrets.token_hex(32))')
    checkpoint=${SYN_CHECKPOINT:-runs/demo/trained}
    if [ ! -d "$checkpoint" ]; then
        echo "training small networks, as $checkpoint is not there" >&2
        "$build/syncog" data synth --tasks 200 --seed 1 --out "$work/t.json" >&2 &&
            "$build/syncog" data prepare --format hotpotqa --input "$work/t.json" --out "$work/t.h5" >&2 &&
            "$build/syncog" pretrain --data "$work/t.h5" --component all --out "$work/p" --seed 1 --gap-steps 50 >&2 &&
            "$build/syncog" train --data "$work/t.h5" --init "$work/p" --out "$work/trained" --env-steps 4000 >&2 ||
            fail "no networks could be trained"
        checkpoint=$work/trained
    fi
    checkpoint=$(realpath "$checkpoint")
    python3 - "$work" <<'PY'
import json, random, struct, sys
folder = sys.argv[1]
random.seed(1)
for n in (1, 64):
    values = [round(random.gauss(0, 1), 6) for _ in range(512 * n)]
    tensor = {"name": "pair", "shape": [n, 512], "datatype": "FP32"}
    with open(f"{folder}/pair{n}.json", "w") as f:
        json.dump({"inputs": [{**tensor, "data": values}]}, f)
    head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": 2048 * n}}],
                       "parameters": {"binary_data_output": True}}).encode()
    with open(f"{folder}/pair{n}.bin", "wb") as f:
        f.write(head + struct.pack(f"<{512 * n}f", *values))
    with open(f"{folder}/pair{n}.head", "w") as f:
        f.write(str(len(head)))
ask = {"model": "custom:fake", "messages": [{"role": "user", "content": "In which constellation is Vega?"}]}
json.dump(ask, open(f"{folder}/chat.json", "w"))
json.dump({**ask, "model": "fake"}, open(f"{folder}/chat_direct.json", "w"))
json.dump({**ask, "stream": True}, open(f"{folder}/chat_stream.json", "w"))
json.dump({"query": "In which constellation is Vega?", "num_agents": 3,
           "documents": [{"id": str(i), "title": t, "text": x} for i, (t, x) in enumerate([
               ("Vega", "Vega is the brightest star in the constellation of Lyra."),
               ("Lyra", "Lyra is a small constellation of the northern sky."),
               ("Altair", "Altair is the brightest star in the constellation of Aquila.")])]},
          open(f"{folder}/ask.json", "w"))
PY
}
json_type=(--header "Content-Type: application/json")

# ---- the stages ----

stage_health() {
    local r
    fresh_store
    start_server
    r=$(repeat requests_per_s --connections 64 "$base/health") || return
    row "/health" "$(get "$r" requests_per_s)/s, p99 $(get "$r" ms.p99) ms$(bad "$r")" ">= 60,000/s"
    stop "$server"
}

stage_scoring() {
    local r url
    fresh_store
    start_server
    url=$base/v2/models/gap_detector/infer
    r=$(repeat requests_per_s --connections 64 --body "$work/pair1.json" "${json_type[@]}" "$url") || return
    row "gap_detector, one pair, JSON" "$(get "$r" requests_per_s)/s$(bad "$r")" ">= 25,000/s"
    r=$(repeat requests_per_s --connections 64 --body "$work/pair1.bin" \
        --header "Inference-Header-Content-Length: $(cat "$work/pair1.head")" "$url") || return
    row "gap_detector, one pair, binary" "$(get "$r" requests_per_s)/s$(bad "$r")" ">= 25,000/s"
    for form in json bin; do
        local header=("${json_type[@]}")
        [ $form = json ] || header=(--header "Inference-Header-Content-Length: $(cat "$work/pair1.head")")
        r=$(repeat ms.p99 --rate 5000 --connections 64 --body "$work/pair1.$form" "${header[@]}" "$url") || return
        row "gap_detector, one pair, $form, 5,000/s open loop" \
            "p50 $(get "$r" ms.p50), p99 $(get "$r" ms.p99) ms$(bad "$r")" "p99 <= 5 ms"
    done
    r=$(repeat requests_per_s --connections 32 --body "$work/pair64.bin" \
        --header "Inference-Header-Content-Length: $(cat "$work/pair64.head")" "$url") || return
    row "gap_detector, 64 pairs in one binary request" \
        "$(compute "round(64 * $(get "$r" requests_per_s))") pairs/s$(bad "$r")" ">= 300,000 pairs/s"
    stop "$server"
}

# Through the service and straight to the provider in turns; the added time is the difference of the
# medians of each.
compare() { # NAME RATE URL BODY TARGET HEADERS...
    local name=$1 rate=$2 url=$3 body=$4 target=$5 straight=() through=() s t
    shift 5
    for _ in $(seq "$runs"); do
        s=$(load --rate "$rate" --connections 64 --body "$work/chat_direct.json" "${json_type[@]}" "$upstream/v1/chat/completions") || return
        t=$(load --rate "$rate" --connections 64 --body "$body" "${json_type[@]}" "$@" "$url") || return
        straight+=("$s")
        through+=("$t")
    done
    s=$(median ms.p50 "${straight[@]}") t=$(median good "${through[@]}")
    if [ "$(get "$t" good)" = 0 ]; then
        row "$name at $rate/s, added" "not one answer within 30 s$(bad "$t")" "$target"
        return 0
    fi
    t=$(median ms.p50 "${through[@]}")
    local p50
    p50=$(compute "round($(get "$t" ms.p50) - $(get "$s" ms.p50), 3)")
    s=$(median ms.p99 "${straight[@]}") t=$(median ms.p99 "${through[@]}")
    row "$name at $rate/s, added" \
        "p50 $p50, p99 $(compute "round($(get "$t" ms.p99) - $(get "$s" ms.p99), 3)") ms (straight: p99 $(get "$s" ms.p99))$(bad "$t")" "$target"
}

stage_direct() {
    start_provider
    fresh_store
    start_server
    compare "direct path of /v1/chat/completions" 2000 "$base/v1/chat/completions" "$work/chat.json" \
        "p50 <= 0.5 ms, p99 <= 2 ms"
    if [ -n "${SYN_LITELLM:-}" ]; then
        port=$(free_port)
        (cd "$work" && exec env OPENAI_API_KEY=none LITELLM_MASTER_KEY="$key" "$SYN_LITELLM" --model openai/fake --api_base "$upstream/v1" \
            --host 127.0.0.1 --port "$port" >"$work/litellm.log" 2>&1) &
        lite=$!
        for _ in $(seq 240); do curl -sf -o /dev/null "http://127.0.0.1:$port/health/liveliness" && break; sleep .5; done
        python3 -c 'import json, sys
r = json.load(open(sys.argv[1] + "/chat.json")); r["model"] = "openai/fake"
json.dump(r, open(sys.argv[1] + "/chat_lite.json", "w"))' "$work"
        for rate in 20 200 2000; do
            compare "LiteLLM's proxy, one worker," $rate "http://127.0.0.1:$port/v1/chat/completions" \
                "$work/chat_lite.json" "beside it"
            compare "direct path of /v1/chat/completions" $rate "$base/v1/chat/completions" "$work/chat.json" "beside it"
        done
        stop "$lite"
        lite=
    fi
    stop "$server"
}

# crowd_row FIGURE JSON TARGET; rounds and delay are the caller's.
crowd_row() {
    row "$1" "$(get "$2" good) finish, p50 $(get "$2" ms.p50), p99 $(get "$2" ms.p99) ms = $(compute "round($(get "$2" ms.p99) / max(1, $rounds * $delay), 2)") x$(bad "$2")" "$3"
}

# How many provider calls follow one another: those that one collaboration takes alone. One request
# a run of load: of several, each would count from the begin of all.
stage_collaborations() {
    local delay=200 r one rounds
    start_provider --delay $delay
    fresh_store
    start_server
    warmup=0
    r=$(load --connections 1 --requests 1 --body "$work/ask.json" "${json_type[@]}" "$base/api/v1/collaborate") || return
    one=$(get "$r" ms.p50)
    rounds=$(compute "int($one / $delay)")
    local crowd=(--connections 1000 --requests 1000 --timeout 120 --seconds 120 --watch "$server"
        --body "$work/ask.json" "${json_type[@]}" "$base/api/v1/collaborate")
    r=$(load "${crowd[@]}") || return
    again=$(load "${crowd[@]}") || return
    crowd_row "1,000 collaborations at once, $rounds provider rounds of $delay ms each" "$r" "all; p99 <= 1.5 x"
    crowd_row "the same again, with the connections to the provider that are there" "$again" "(no target)"
    row "memory of each" "$(compute "round(1024 * ($(get "$r" rss_mib.max) - $(get "$r" rss_mib.before)) / 1000, 1)") KiB" "< 128 KiB"
    stop "$server"
    warmup=$(python3 -c "print(max(.5, $seconds / 5))")
}

# vanished FIGURE JSON: descriptors before, with the clients, without them, and at the end: connections
# to the provider that nobody needs are closed after a minute or two.
vanished() {
    local before began=$SECONDS left
    before=$(get "$2" fds.before)
    left=$(get "$2" fds.after)
    while [ "$left" -gt "$before" ] && [ $((SECONDS - began)) -lt 150 ]; do
        sleep 1
        left=$(ls "/proc/$server/fd" | wc -l)
    done
    row "$1" "$before, $(get "$2" fds.held), $(get "$2" fds.after), after $((SECONDS - began)) s $left" "as before"
}

# Clients whose stream is over and who stay connected, and clients whose stream waits for a provider
# that says nothing: both vanish at once.
stage_streams() {
    local r
    start_provider
    fresh_store
    start_server
    r=$(load --hold --seconds 2 --connections 5000 --watch "$server" --timeout 60 --body "$work/chat_stream.json" \
        "${json_type[@]}" "$base/v1/chat/completions") || return
    row "5,000 idle SSE clients, their stream over" \
        "$(get "$r" held) held, $(compute "round($(get "$r" rss_mib.held) - $(get "$r" rss_mib.before), 1)") MiB" "< 32 MiB"
    vanished "their descriptors, once they vanished" "$r"
    stop "$server"
    start_provider --delay 600000
    start_server --collaborations-max 6000
    sed 's/}$/, "stream": true}/' "$work/ask.json" >"$work/ask_stream.json"
    r=$(load --hold --seconds 2 --connections 4000 --watch "$server" --timeout 60 --body "$work/ask.json" \
        --header "Accept: text/event-stream" "${json_type[@]}" "$base/api/v1/collaborate/stream") || return
    row "4,000 streams of collaborations that wait for 12,000 calls" \
        "$(get "$r" held) held, $(compute "round(1024 * ($(get "$r" rss_mib.held) - $(get "$r" rss_mib.before)) / max(1, $(get "$r" held)), 1)") KiB each" "(no target)"
    vanished "their descriptors, once they vanished" "$r"
    stop "$server"
}

# Each request of the direct path makes a row of history and one of audit; more than the store takes
# are refused with 503.
stage_history() {
    local r total
    start_provider
    fresh_store
    start_server
    r=$(repeat requests_per_s --connections 64 --body "$work/chat.json" "${json_type[@]}" "$base/v1/chat/completions") || return
    total=$(curl -s -H "Authorization: Bearer $key" "$base/api/v1/history?limit=1" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["total"])')
    row "durable history writes (with audit), 64 connections" \
        "$(get "$r" requests_per_s)/s; $total rows (10000: or more)$(bad "$r")" ">= 2,000/s"
    stop "$server"
}

# A collaboration is answered when its record is on disk: what was answered is there after a kill.
stage_kill() {
    local acknowledged=0 lost=0 damaged=0 result
    start_provider
    [ -z "${SYN_DATABASE_URL:-}" ] || { row "kill -9 under load" "skipped: it reads SQLite's file" "every record there"; return; }
    fresh_store
    : >"$work/acknowledged"
    for i in $(seq "$kills"); do
        start_server
        "$build/load" --seconds 30 --timeout 2 --connections 16 --collect id --collect-file "$work/acknowledged" \
            --header "Authorization: Bearer $key" "${json_type[@]}" --body "$work/ask.json" \
            "$base/api/v1/collaborate" >/dev/null 2>&1 &
        local loader=$!
        python3 -c "import time; time.sleep(.2 + .8 * ($i * 7919 % 100) / 100)"
        kill -9 "$server"
        wait "$server" 2>/dev/null
        stop "$loader"
        server=
        result=$(python3 - "$work" <<'PY'
import sqlite3, sys
folder = sys.argv[1]
db = sqlite3.connect(f"{folder}/state/syncog.db")
there = {i for (i,) in db.execute("SELECT id FROM history")}
said = set(open(f"{folder}/acknowledged").read().split())
whole = db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
print(len(said), len(said - there), 0 if whole else 1)
PY
        ) || damaged=$((damaged + 1))
        read -r acknowledged lost bad_file <<<"$result"
        damaged=$((damaged + ${bad_file:-0}))
        [ "${lost:-0}" = 0 ] || break
    done
    row "kill -9 under load, $kills times" "$acknowledged acknowledged, $lost lost, $damaged damaged files" "every record there"
}

prepare
echo "$(nproc) cores, $(date -u +%F), load before: $(cut -d' ' -f1 /proc/loadavg); runs of $seconds s, median of $runs"
echo
echo '| figure | measured | target |'
echo '|---|---|---|'
start_provider
for stage in "${stages[@]}"; do
    "stage_$stage" || row "stage $stage" "could not be measured to its end" ""
    stop "$server"
    server=
done
echo
echo "load after: $(cut -d' ' -f1 /proc/loadavg)"
