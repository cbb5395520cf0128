#!/usr/bin/env bash
# A team under SYNC beside teams under AutoGen and LangGraph, with the same questions, evidence and model.
#
#   benchmarks/peers/teams.sh [--checkpoint DIR] [OPTIONS of teams.py]      all of them: --help
#
# The frameworks are put into a virtual environment, $TEAMS_VENV (/tmp/syncog-teams), made from
# teams_requirements.txt where it is not there; another $TEAMS_VENV is only used. The program is
# $SYNCOG, else build/syncog. The model is an oracle on this machine (teams_oracle.py): no key, no
# network. Two team sizes of 200 synthetic questions take ten minutes of one core.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=passive LANGSMITH_TRACING=false
venv=${TEAMS_VENV:-/tmp/syncog-teams}
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet uv
    "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --requirement "$here/teams_requirements.txt"
fi
program=${SYNCOG:-$here/../../build/syncog}
case " $* " in *" --help "* | *" -h "*) ;; *)
    [ -x "$program" ] || {
        echo "teams.sh: there is no program at $program: build it with ./dev build" >&2
        exit 1
    }
esac
exec "$venv/bin/python" "$here/teams.py" --program "$program" "$@"
