#!/usr/bin/env bash
# './dev test' must count every single test, and must not be fooled by a program that crashes, hangs or
# fails after its summary. A small project of fake test programs is run by the real ctest.
set -euo pipefail
root=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

say() { printf 'printf "%%s\\n" "%s"\n' "$@"; }
program() { # name, then lines of bash
    local name=$1
    shift
    printf '%s\n' "$@" >"$name.sh"
    names+=("$name")
}
run_and_count() {
    {
        echo 'cmake_minimum_required(VERSION 3.25)'
        echo 'project(fake LANGUAGES NONE)'
        echo 'enable_testing()'
        for name in "${names[@]}"; do
            echo "add_test(NAME fake/$name COMMAND bash $folder/$name.sh)"
            echo "set_tests_properties(fake/$name PROPERTIES TIMEOUT 1 SKIP_RETURN_CODE 77)"
        done
    } >CMakeLists.txt
    rm -rf build
    cmake -S . -B build >/dev/null
    ctest --test-dir build -j2 >printed 2>&1 || true
    status=0
    line=$("$root/dev" count "$folder/printed" "$folder/build/Testing/Temporary/LastTest.log" | tail -1) || status=$?
}
expect() { # line, exit status
    run_and_count
    if [ "$line" != "$1" ] || [ "$status" != "$2" ]; then
        echo "counted \"$line\" (exit $status), expected \"$1\" (exit $2), for: ${names[*]}"
        exit 1
    fi
    names=()
}

ok="$(say '[ RUN      ] a' '[       OK ] a')"
names=()
program good "$ok" "$(say '[       OK ] b' '[==========] 2 test(s) run.' '[  PASSED  ] 2 test(s).')"
program script 'echo fine'
program left_out 'exit 77'
program some_left_out "$ok" "$(say '[  SKIPPED ] b' '[  PASSED  ] 1 test(s).' \
    '[  SKIPPED ] 1 test(s), listed below:' '[  SKIPPED ] b')"
expect '4 passed, 0 failed, 2 skipped' 0

program bad "$ok" "$(say '[  FAILED  ] b' '[  PASSED  ] 1 test(s).' \
    '[  FAILED  ] 1 test(s), listed below:' '[  FAILED  ] b')" 'exit 1'
expect '1 passed, 1 failed, 0 skipped' 1

program crash "$ok" 'kill -SEGV $$'
expect '1 passed, 1 failed, 0 skipped' 1

program leak "$ok" "$(say '[  PASSED  ] 1 test(s).')" 'exit 23'
expect '1 passed, 1 failed, 0 skipped' 1

program hang "$ok" 'sleep 30'
program also_good 'echo fine'
expect '2 passed, 1 failed, 0 skipped' 1

program script_bad 'exit 1'
program silent_crash 'kill -ABRT $$'
expect '0 passed, 2 failed, 0 skipped' 1

program left_out 'exit 77'
expect '0 passed, 0 failed, 1 skipped' 1
