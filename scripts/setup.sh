#!/usr/bin/env bash
# Installs what is missing to build Taffrail (`setup.sh run`) or to test it (`setup.sh test`) and
# says what it does. Does nothing, in well under a second, when everything is there.
set -euo pipefail

cd "$(dirname "$0")/.."
purpose="${1:-run}"
# The version whose answers the settings in deny.toml were written for.
cargo_deny_version="0.20.2"

say() { printf 'setup: %s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

# Rust itself is not installed behind the user's back.
command -v cargo >/dev/null 2>&1 ||
    stop "cargo is missing: install Rust from https://rustup.rs and try again"

# ring, zstd and SQLite are compiled from C.
if ! command -v cc >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "no C compiler: installing gcc with apt-get"
        apt-get update --quiet
        DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends gcc libc6-dev
    else
        stop "no C compiler: install gcc or clang with your package manager and try again"
    fi
fi

# The web UI is built by Node.js and embedded in the program. Without it the program works and says
# at / that the UI is not in it.
has_node() {
    command -v npm >/dev/null 2>&1 && node -e '
        const [major, minor] = process.versions.node.split(".").map(Number);
        process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' 2>/dev/null
}
# The MCP server and the client that the demonstration runs, from the package registry; only when the
# lockfile or Node.js has changed.
install_demo() {
    local stamp=demo/node_modules/.installed now
    now="$(cat demo/package.json demo/package-lock.json | cksum) $(node --version)"
    [ "$(cat "$stamp" 2>/dev/null)" = "$now" ] && return
    say "installing the MCP server of the demonstration"
    (cd demo && npm ci --loglevel=error) && printf '%s' "$now" >"$stamp"
}
if [ "$purpose" = run ]; then
    if has_node; then
        node web/scripts/prepare.mjs build
        install_demo || say "npm could not install the MCP server: going on without live calls"
    else
        say "no npm with Node.js 20.19 or newer: going on without the web UI and without live calls"
    fi
    exit 0
fi
has_node || stop "no npm with Node.js 20.19 or newer: install it from https://nodejs.org and try again"
install_demo || stop "npm could not install the MCP server of the demonstration: see above"

# The tests of the UI look at it in a real browser.
if ! command -v chromium >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "no Chromium: installing it with apt-get"
        apt-get update --quiet
        DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends chromium
    else
        stop "no Chromium: install the package chromium and try again"
    fi
fi

# Instructions are counted by callgrind.
if ! command -v valgrind >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "no valgrind: installing it with apt-get"
        apt-get update --quiet
        DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends valgrind
    else
        stop "no valgrind: install the package valgrind and try again"
    fi
fi

for component in rustfmt clippy; do
    name="cargo-${component/rustfmt/fmt}"
    if ! "$name" --version >/dev/null 2>&1; then
        command -v rustup >/dev/null 2>&1 || stop "$component is missing and there is no rustup to add it"
        say "adding the Rust component $component"
        rustup component add "$component"
    fi
done

if ! cargo deny --version >/dev/null 2>&1; then
    say "installing cargo-deny $cargo_deny_version (one to three minutes, once)"
    # Unoptimised: it is built once and runs for a second. Its build must not fill our target
    # directory, so it has a temporary one.
    env -u CARGO_TARGET_DIR cargo install cargo-deny --locked --version "$cargo_deny_version" --debug
fi
