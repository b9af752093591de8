#!/usr/bin/env bash
# Fuzzes one target for so many seconds; docs/guide/fuzzing.md.
#
#   scripts/fuzz.sh TARGET [SECONDS]
#
# Targets: decoder, search_parser, segment_reader, decompress. Needs a C++ compiler for libFuzzer and
# nothing of nightly Rust: the coverage that libFuzzer looks at is a pass of the stable compiler. No
# sanitizer is on: the product has no unsafe code; debug assertions and overflow checks are.
#
#   WORK  where the grown corpus, artefacts and the build are kept (target/fuzz)
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

[[ $# -eq 1 || $# -eq 2 ]] || { say "usage: scripts/fuzz.sh TARGET [SECONDS]"; exit 2; }
target=$1
seconds=${2:-60}
root=$(cd "$(dirname "$0")/.." && pwd)
[[ -f $root/fuzz/fuzz_targets/$target.rs ]] || { say "no target $target"; exit 2; }
work=${WORK:-$root/target/fuzz}
host=$(rustc -vV | sed -n 's/^host: //p')

# The flags of cargo-fuzz. With --target they are not for build scripts.
export RUSTFLAGS="-Cpasses=sancov-module \
 -Cllvm-args=-sanitizer-coverage-level=4 \
 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
 -Cllvm-args=-sanitizer-coverage-pc-table \
 -Cllvm-args=-sanitizer-coverage-trace-compares \
 -Ccodegen-units=1 --cfg fuzzing"
cargo build --release --locked --manifest-path "$root/fuzz/Cargo.toml" \
  --target "$host" --target-dir "$work/build" --bin "$target"

mkdir -p "$work/corpus/$target" "$work/artifacts/$target" "$root/fuzz/corpus/$target"
exec "$work/build/$host/release/$target" \
  -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
  -artifact_prefix="$work/artifacts/$target/" \
  "$work/corpus/$target" "$root/fuzz/corpus/$target"
