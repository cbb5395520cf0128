#!/usr/bin/env bash
# The command itself: help, version, unknown words, exit codes. $1 is the program.
set -euo pipefail
program=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# expect CODE WORDS ARGUMENTS...: the exit code, and WORDS in what is printed.
expect() {
    local code=$1 words=$2 got=0
    shift 2
    "$program" "$@" >out 2>err || got=$?
    if [ "$got" != "$code" ] || ! cat out err | grep -qF -- "$words"; then
        echo "syncog $*: exit $got, expected $code and \"$words\"; it printed:"
        cat out err
        exit 1
    fi
}

expect 2 'Usage: syncog COMMAND'
expect 0 'Usage: syncog COMMAND' --help
expect 0 'checkpoint' -h
expect 0 'syncog 0.' --version
expect 2 "unknown command 'chekpoint'; did you mean 'checkpoint'?" chekpoint
expect 2 "unknown command 'qqqqqqqq'; 'syncog --help'" qqqqqqqq
expect 2 "syncog checkpoint list DIR..." checkpoint
expect 0 "syncog checkpoint list DIR..." checkpoint --help
expect 2 "did you mean 'find-best'?" checkpoint find_best
for word in list verify find-best deploy export prune; do
    expect 0 "Examples:" checkpoint $word --help
done
expect 2 "unknown command 'checkpoint lst'; did you mean 'list'?" checkpoint lst
expect 2 "unknown command 'data prepar'; did you mean 'prepare'?" data prepar
expect 0 "syncog data info FILE.h5" data --help
expect 0 'Usage: syncog checkpoint verify [OPTIONS] DIR [VERSION]' checkpoint verify --help
expect 2 'needs a folder' checkpoint list
expect 2 'did you mean --json?' checkpoint list --jsno .
expect 0 '"json": true' checkpoint list --json --print-config
expect 1 '/nowhere: No such file' checkpoint list /nowhere
expect 0 '[]' checkpoint list --json .
expect 1 'no checkpoint in this folder' checkpoint verify .
mkdir broken
echo '{' >broken/manifest.json
expect 0 'manifest.json:' checkpoint list .
expect 1 'broken: 1 of 1 versions cannot be loaded' checkpoint verify broken
expect 2 '--tune measures on a device' bench kernels --tune table.json
# Answers go to stdout and complaints to stderr: scripts depend on it.
"$program" checkpoint list --json . >out 2>err
grep -q '"dir"' out && [ ! -s err ]
! "$program" nonsense >out 2>err && [ ! -s out ] && [ -s err ]
