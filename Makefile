# make run    builds Taffrail with its web UI and starts the demonstration on the logs of this machine
#             and on the calls of a real MCP server
# make test   runs every check and every test
# make check  the checks alone (format, lints, who imports whom, licences)
#
# Both may be repeated at any time. CARGO_TARGET_DIR is respected.

.PHONY: run test check

run:
	@scripts/setup.sh run
	cargo run --release --locked --package taffrail-cli --bin taffrail -- demo --mcp demo

test:
	@scripts/setup.sh test
	cargo xtask test

check:
	@scripts/setup.sh test
	cargo xtask check
