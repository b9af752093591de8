#!/bin/sh
# Measures what `taffrail run` costs the program that it records: throughput of stdout, a flood on
# stderr, and latency of a message, bare and wrapped, interleaved. Needs a release build and nothing else that runs.
#
#   cargo build --release -p taffrail-cli
#   cargo build --release -p taffrail-ingest --example message_latency
#   scripts/measure_run.sh [PROGRAM]
#
# PROGRAM is release/taffrail of the target directory unless it is given; the example is taken from
# beside it, or from where LATENCY says. With TAFFRAIL_URL and a key set, records are sent; else they wait in a directory that is removed.
set -eu
program=$(readlink -f "${1:-${CARGO_TARGET_DIR:-target}/release/taffrail}")
latency=${LATENCY:-$(dirname "$program")/examples/message_latency}
for needed in "$program" "$latency"; do
    [ -x "$needed" ] || { echo "$needed is not there: see the head of this script" >&2; exit 2; }
done
rounds=${ROUNDS:-5}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# In place of the shell of the pipeline: that would hold stdout until the exit.
wrapped() {
    exec "$program" run --instance measured --quiet --state "$folder/state" --key-file "$folder/key" -- "$@"
}
bare() { exec "$@"; }
now_us() { echo $(($(date +%s%N) / 1000)); }

# Lines of a log, 50 MB each second for ten seconds: what a program of that speed writes.
producer="$folder/producer"
cat >"$producer" <<'P'
line='2026-01-04 15:30:45,123 INFO worker.pool request 0123456789 served in 12 ms for client 42'
block=$(i=0; while [ $i -lt 600 ]; do echo "$line"; i=$((i + 1)); done)
begun=$(date +%s%N); sent=0; n=0
while [ $n -lt "$1" ]; do
    # 20 blocks of about 52 kB are about 1 MB.
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do printf '%s\n' "$block"; done
    n=$((n + 1))
    due=$((begun + n * 20000000)); at=$(date +%s%N)
    [ "$at" -lt "$due" ] && sleep "$(printf '0.%09d' $((due - at)))"
done
P

# 500 MB of lines on stderr, as fast as they go.
flood="yes 'a line of a log that is written again and again' | head -c 500000000 >&2"

# When the reader has the last byte: the wrapper still works off what it has recorded then.
last_byte_us() { cat >/dev/null; now_us; }

echo "throughput: about 500 MB at 50 MB/s, as fast as it goes (head -c 2 GB), 500 MB of lines on stderr as fast as they go; ms to the last byte, to the exit"
round=0
while [ $round -lt "$rounds" ]; do
    for how in bare wrapped; do
        begun=$(now_us)
        last=$($how sh "$producer" 480 </dev/null 2>/dev/null | last_byte_us)
        paced="$(((last - begun) / 1000)), $((($(now_us) - begun) / 1000))"
        begun=$(now_us)
        last=$($how head -c 2000000000 /dev/zero </dev/null | last_byte_us)
        fast="$(((last - begun) / 1000)), $((($(now_us) - begun) / 1000))"
        begun=$(now_us)
        last=$($how sh -c "$flood" </dev/null 2>&1 >/dev/null | last_byte_us)
        errors="$(((last - begun) / 1000)), $((($(now_us) - begun) / 1000))"
        echo "  round $round $how: paced $paced, unpaced $fast, stderr $errors"
    done
    round=$((round + 1))
done

echo "latency: round trips of 20,000 messages through cat"
for how in bare wrapped; do
    case $how in
    bare) set -- cat ;;
    wrapped)
        set -- "$program" run --instance measured --quiet --state "$folder/state" \
            --key-file "$folder/key" -- cat
        ;;
    esac
    "$latency" "$@" | sed "s/^/  $how: /"
done
