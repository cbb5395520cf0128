#!/usr/bin/env bash
# A real PostgreSQL or Redis for a test, on loopback, with its data in FOLDER/postgres or FOLDER/redis.
#
#   servers.sh start postgres|redis FOLDER PID   prints its URL; the server ends with the process PID
#   servers.sh kill postgres|redis FOLDER        as a crash would end it
#   servers.sh again postgres|redis FOLDER       starts it once more, on the same port and data
#   servers.sh hang postgres|redis FOLDER        it is there, and says nothing, until
#   servers.sh wake postgres|redis FOLDER
#   servers.sh stop postgres|redis FOLDER
#
# Exit code 77: the server is not installed, or does not start here.
set -euo pipefail

verb=$1 server=$2 folder=$3
own=$folder/$server

# PostgreSQL refuses to run as root.
as_user() {
    if [ "$server" = postgres ] && [ "$(id -u)" = 0 ]; then
        runuser -u postgres -- "$@"
    else
        "$@"
    fi
}

newest_postgres() {
    command -v postgres || ls -d /usr/lib/postgresql/*/bin/postgres 2>/dev/null | sort -V | tail -1
}

# launch PORT: in the background, its process id in $own/pid; fails where the port is taken.
launch() {
    local port=$1 log=$own/log
    rm -f "$own/data/postmaster.pid" # a crash leaves it
    if [ "$server" = redis ]; then
        redis-server --bind 127.0.0.1 --port "$port" --dir "$own" --save '' --appendonly no \
            >>"$log" 2>&1 </dev/null 3>&- &
    else
        as_user "$(newest_postgres)" -D "$own/data" -c listen_addresses=127.0.0.1 -p "$port" \
            -c unix_socket_directories= -c max_connections=30 -c shared_buffers=16MB \
            >>"$log" 2>&1 </dev/null 3>&- &
    fi
    local child=$!
    for _ in $(seq 300); do
        kill -0 $child 2>/dev/null || return 1
        if answers "$port"; then
            pid_of "$child" >"$own/pid"
            return 0
        fi
        sleep 0.1
    done
    kill -9 $child
    return 1
}

# runuser waits for the server and would leave it alone when it is killed.
pid_of() {
    if [ "$server" = postgres ]; then head -1 "$own/data/postmaster.pid"; else echo "$1"; fi
}

answers() {
    if [ "$server" = redis ]; then
        (
            exec 4<>"/dev/tcp/127.0.0.1/$1" && printf 'PING\r\n' >&4 && read -r -t 5 reply <&4 &&
                [[ $reply == +PONG* ]]
        ) 2>/dev/null
    else
        grep -q ready "$own/data/postmaster.pid" 2>/dev/null
    fi
}

# signal NAME: to the server and its children.
signal() {
    kill "-$1" $(ps -o pid= --ppid "$pid") "$pid" 2>/dev/null || true
}

crash() {
    local pid
    pid=$(cat "$own/pid" 2>/dev/null) || return 0
    # Its children must not outlive it: they hold the shared memory that the next start looks for.
    signal KILL
    while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}

start() {
    local binary=redis-server port
    [ "$server" = redis ] || binary=$(newest_postgres)
    [ -n "$binary" ] && command -v "$binary" >/dev/null || exit 77
    mkdir -p "$own"
    if [ "$server" = postgres ]; then
        [ "$(id -u)" != 0 ] || { chmod 711 "$folder" && chown postgres "$own"; }
        as_user "$(dirname "$binary")/initdb" -D "$own/data" -U syncog -A trust -E UTF8 --locale=C \
            --no-sync >"$own/log" 2>&1 || exit 77
    fi
    for _ in $(seq 20); do
        port=$((20000 + RANDOM % 12000))
        if launch $port; then
            echo $port >"$own/port"
            if [ "$server" = redis ]; then
                echo "redis://127.0.0.1:$port/0"
            else
                echo "postgresql://syncog@127.0.0.1:$port/postgres"
            fi
            return
        fi
    done
    exit 77
}

case $verb in
start)
    start
    # Whatever becomes of the test, nothing is left running.
    (
        while kill -0 "$4" 2>/dev/null; do sleep 1; done
        crash
    ) >/dev/null 2>&1 </dev/null 3>&- &
    ;;
again) launch "$(cat "$own/port")" ;;
hang | wake)
    pid=$(cat "$own/pid")
    if [ "$verb" = hang ]; then
        signal STOP
    else
        # runuser stops with what it runs.
        kill -CONT "$(ps -o ppid= -p "$pid" | tr -d ' ')"
        signal CONT
    fi
    ;;
kill | stop) crash ;;
*) exit 2 ;;
esac
