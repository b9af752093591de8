#!/usr/bin/env bash
# Measures a release server on a log of your own; docs/guide/measuring.md says what each figure is.
#
#   scripts/measure.sh FILE.jsonl [CONNECTIONS]
#
# Needs curl, zstd and python3 (its standard library is enough). Everything is done in a temporary
# directory (TMPDIR), which needs room for twice the file and is removed at the end.
#
#   TAFFRAIL       program to measure; without it the release build of this tree, built if needed
#   BATCH_RECORDS  records of one request (10000)
#   SAMPLES        samples of freshness (200)
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

usage() {
  say "usage: scripts/measure.sh FILE.jsonl [CONNECTIONS]"
  exit 2
}

[[ $# -eq 1 || $# -eq 2 ]] || usage
file=$1
connections=${2:-2}
[[ $connections =~ ^[1-9][0-9]*$ ]] || usage
[[ -r $file ]] || { say "cannot read $file"; exit 2; }
for tool in curl zstd python3 split; do
  command -v "$tool" >/dev/null || { say "$tool is needed"; exit 2; }
done

root=$(cd "$(dirname "$0")/.." && pwd)
program=${TAFFRAIL:-}
if [[ -z $program ]]; then
  (cd "$root" && cargo build --release --locked --package taffrail-cli >&2)
  program=${CARGO_TARGET_DIR:-$root/target}/release/taffrail
fi

work=$(mktemp -d)
export WORK=$work PROGRAM=$program FILE=$file CONNECTIONS=$connections
export BATCH_RECORDS=${BATCH_RECORDS:-10000} SAMPLES=${SAMPLES:-200}
trap 'rm -rf "$work"' EXIT

say "cutting $file into batches of $BATCH_RECORDS records"
mkdir "$work/batches"
split -l "$BATCH_RECORDS" -a 6 -d -- "$file" "$work/batches/"

say "zstd -3 -T1"
TIMEFORMAT='%U %S'
cat -- "$file" >/dev/null
zstd_bytes=$({ time zstd -3 -T1 -q -c -- "$file"; } 2>"$work/zstd-cpu" | wc -c)
export ZSTD_BYTES=$zstd_bytes
ZSTD_CPU=$(tail -n 1 "$work/zstd-cpu")
export ZSTD_CPU

cat >"$work/measure.py" <<'PY'
"""The server, its senders and its readers."""
import base64
import http.client
import itertools
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

WORK = os.environ["WORK"]
PROGRAM = os.environ["PROGRAM"]
CONNECTIONS = int(os.environ["CONNECTIONS"])
BATCH_RECORDS = int(os.environ["BATCH_RECORDS"])
SAMPLES = int(os.environ["SAMPLES"])
STREAM = "measured"
KEY = secrets.token_hex(24)
AUTHORIZATION = {"Authorization": "Bearer " + KEY}
# Requests of the paced runs: enough for a 99th percentile, not longer than a minute.
PACED_REQUESTS_MAX = 2000
PACED_S_MAX = 20
SMALL_BATCH_RECORDS = 500
# Share of the tails' bound at which they count as full.
TAILS_FULL = 0.85
TAILS_BYTES = 96 << 20
RUNNING = []
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def both(values_s):
    """p50 and p99 in ms."""
    return "%.1f / %.1f" % (1e3 * percentile(values_s, 0.5), 1e3 * percentile(values_s, 0.99))


class Server:
    """The program as a server; `ready_s` is the time until it answers a search."""

    def __init__(self):
        port_file = WORK + "/port"
        config = WORK + "/config.yaml"
        with open(config, "w") as out:
            # For ever: the file's times may be any.
            out.write("streams: {%s: {retention_days: forever}}\n" % STREAM)
        if os.path.exists(port_file):
            os.remove(port_file)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TAFFRAIL")}
        environment.update(TAFFRAIL_BOOTSTRAP_KEY=KEY, HOME=WORK)
        self.log = open(WORK + "/server.log", "ab")
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--data-dir", WORK + "/data", "--key-file", WORK + "/main.key",
             "--listen", "127.0.0.1:0", "--port-file", port_file, "--config", config],
            env=environment, cwd=WORK, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        RUNNING.append(self.process)
        while not os.path.exists(port_file):
            if self.process.poll() is not None:
                sys.exit("the server ended:\n" + open(WORK + "/server.log").read()[-4000:])
            time.sleep(0.002)
        self.address = open(port_file).read().strip()
        self.connection = self.connect()
        self.search("", 1)
        self.ready_s = time.perf_counter() - begun

    def connect(self):
        connection = http.client.HTTPConnection(self.address, timeout=120)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def search(self, query, limit, **more):
        question = {"query": query, "streams": [STREAM], "limit": limit, "count": limit == 0,
                    **more}
        answer = ask(self.connection, "POST", "/api/v1/search", json.dumps(question),
                     {"Content-Type": "application/json"})
        return json.loads(answer)["data"]

    def metric(self, name):
        for line in ask(self.connection, "GET", "/metrics").decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        sys.exit("no measure is named " + name)

    def cpu_s(self):
        """User and system time of the process."""
        fields = open("/proc/%d/stat" % self.process.pid).read().rsplit(")", 1)[1].split()
        return int(fields[11]) / CLOCK_TICKS, int(fields[12]) / CLOCK_TICKS

    def settled_cpu_s(self):
        """The same once work in the background has ended."""
        before = self.cpu_s()
        while True:
            time.sleep(1)
            now = self.cpu_s()
            if sum(now) - sum(before) < 0.05:
                return now
            before = now

    def peak_bytes(self):
        for line in open("/proc/%d/status" % self.process.pid):
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
        sys.exit("no VmHWM")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=60) != 0:
            sys.exit("the server did not end well")

    def kill(self):
        self.process.kill()
        self.process.wait()


def ask(connection, method, path, body=None, headers=None):
    connection.request(method, path, body, {**AUTHORIZATION, **(headers or {})})
    response = connection.getresponse()
    text = response.read()
    if response.status != 200:
        sys.exit("%s %s: %d %s" % (method, path, response.status, text[:500]))
    return text


def accepted_in(text):
    data = json.loads(text)["data"]
    if data["rejected"]:
        say("rejected:", data["rejected"][0])
    return data["accepted"]


def send_with_curl(server, batches):
    """All batches as fast as they go: seconds, latencies, records that were accepted."""
    senders = []
    for number in range(CONNECTIONS):
        mine = batches[number::CONNECTIONS]
        if not mine:
            continue
        config = "%s/curl-%d" % (WORK, number)
        with open(config, "w") as out:
            out.write("\nnext\n".join(
                "url = http://%s/api/v1/ingest/%s\nheader = \"Authorization: Bearer %s\"\n"
                "header = \"Content-Type: application/x-ndjson\"\nheader = \"Expect:\"\n"
                "data-binary = \"@%s\"\noutput = \"%s.answer\"\nsilent\nshow-error\n"
                "write-out = \"%%{http_code} %%{time_total} %%{num_connects}\\n\""
                % (server.address, STREAM, KEY, batch, batch) for batch in mine))
        senders.append(config)
    begun = time.perf_counter()
    running = [subprocess.Popen(["curl", "--config", config], stdout=subprocess.PIPE, text=True)
               for config in senders]
    answers = list(itertools.chain.from_iterable(
        sender.communicate()[0].splitlines() for sender in running))
    took_s = time.perf_counter() - begun
    latencies, opened = [], 0
    for answer in answers:
        status, latency_s, connects = answer.split()
        if status != "200":
            sys.exit("ingest answered " + status)
        latencies.append(float(latency_s))
        opened += int(connects)
    if len(answers) != len(batches) or opened != len(senders):
        sys.exit("%d answers over %d connections" % (len(answers), opened))
    accepted = 0
    for batch in batches:
        accepted += accepted_in(open(batch + ".answer").read())
        os.remove(batch + ".answer")
    return took_s, latencies, accepted


def send_paced(server, bodies, records, records_per_s):
    """Requests at even distances, whether the one before is answered or not, as far as the
    connections go. Latency counts from the moment at which a request was due."""
    requests = int(min(PACED_REQUESTS_MAX, PACED_S_MAX * records_per_s / records))
    requests = max(requests, CONNECTIONS)
    distance_s = records / records_per_s
    begun = time.perf_counter() + 0.1
    latencies, accepted = [], []

    def run(number):
        connection = server.connect()
        for request in range(number, requests, CONNECTIONS):
            due = begun + request * distance_s
            time.sleep(max(0, due - time.perf_counter()))
            text = ask(connection, "POST", "/api/v1/ingest/" + STREAM,
                       bodies[request % len(bodies)])
            latencies.append(time.perf_counter() - due)
            accepted.append(accepted_in(text))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(latencies) != requests:
        sys.exit("a sender failed")
    return latencies, sum(accepted)


class Tail(threading.Thread):
    """A WebSocket client that notes when it sees a record."""

    def __init__(self, server):
        super().__init__(daemon=True)
        host, port = server.address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=120)
        nonce = base64.b64encode(secrets.token_bytes(16)).decode()
        self.socket.sendall((
            "GET /ws/logs?query=source:freshness&streams=%s HTTP/1.1\r\nHost: %s\r\n"
            "Authorization: Bearer %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n"
            % (STREAM, server.address, KEY, nonce)).encode())
        self.file = self.socket.makefile("rb")
        if b" 101 " not in self.file.readline():
            sys.exit("no live tail")
        while self.file.readline().strip():
            pass
        self.seen = {}
        self.news = threading.Condition()

    def run(self):
        while True:
            head = self.file.read(2)
            if len(head) < 2:
                return
            length = head[1] & 0x7F
            if length == 126:
                length = struct.unpack(">H", self.file.read(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self.file.read(8))[0]
            payload = self.file.read(length)
            now = time.perf_counter()
            if head[0] & 0x0F != 1:
                continue
            message = json.loads(payload)
            if message["type"] == "log_entry":
                with self.news:
                    self.seen[message["data"]["message"]] = now
                    self.news.notify()

    def when(self, name):
        with self.news:
            if not self.news.wait_for(lambda: name in self.seen, timeout=60):
                sys.exit("the live tail does not show a record")
            return self.seen[name]


def freshness(server):
    """Seconds from an acknowledgement until a search of the last minute finds the record, and
    until the live tail shows it (0 if it did before the acknowledgement arrived). For comparison,
    how long the same search over everything takes."""
    tail = Tail(server)
    tail.start()
    connection = server.connect()
    found, shown, everything = [], [], []
    for number in range(SAMPLES):
        name = "fresh%s%d" % (secrets.token_hex(8), number)
        record = json.dumps({"message": name, "source": "freshness"})
        ask(connection, "POST", "/api/v1/ingest/" + STREAM, record)
        acknowledged = time.perf_counter()
        while not server.search(name, 1, start_time="now-1m")["records"]:
            pass
        found.append(time.perf_counter() - acknowledged)
        shown.append(max(0, tail.when(name) - acknowledged))
        begun = time.perf_counter()
        if not server.search(name, 1)["records"]:
            sys.exit("a record is found by its time alone")
        everything.append(time.perf_counter() - begun)
    return found, shown, everything


def bytes_on_disk():
    return sum(os.lstat(os.path.join(folder, name)).st_size
               for folder, _, names in os.walk(WORK + "/data") for name in names)


def cut(batches, records):
    """Some smaller batches of the same records."""
    lines = open(batches[0], "rb").read().splitlines(keepends=True)
    return [b"".join(lines[at:at + records]) for at in range(0, len(lines), records)]


def main():
    file_bytes = os.path.getsize(os.environ["FILE"])
    zstd_cpu_s = sum(map(float, os.environ["ZSTD_CPU"].split()))
    zstd_bytes = int(os.environ["ZSTD_BYTES"])
    folder = WORK + "/batches/"
    batches = [folder + name for name in sorted(os.listdir(folder))]
    rows = []

    def row(name, value):
        rows.append((name, value))
        say("  %s: %s" % (name, value))

    say("full rate")
    server = Server()
    cpu_before = server.cpu_s()
    took_s, latencies, accepted = send_with_curl(server, batches)
    cpu = [now - then for now, then in zip(server.settled_cpu_s(), cpu_before)]
    rate = accepted / took_s
    row("records", "%d (%.1f MB)" % (accepted, file_bytes / 1e6))
    row("records/s", "%d over %d connections" % (rate, CONNECTIONS))
    row("server CPU s", "%.2f (user %.2f, system %.2f)" % (sum(cpu), *cpu))
    row("`zstd -3 -T1` CPU s", "%.2f" % zstd_cpu_s)
    row("CPU, ratio", "%.2f" % (sum(cpu) / zstd_cpu_s))
    row("acknowledged at full rate, p50 / p99 ms",
        "%s (batches of %d)" % (both(latencies), BATCH_RECORDS))
    row("peak memory MB", "%.0f" % (server.peak_bytes() / 1e6))
    if server.search("", 0)["total"] != accepted:
        sys.exit("not every record that was acknowledged is found")
    not_in_segments = server.metric("taffrail_store_tails_rows")
    say("clean stop")
    server.stop()
    disk = bytes_on_disk()
    row("bytes on disk after a clean stop", "%d: %.1f a record, %.2f x `zstd -3`"
        % (disk, disk / accepted, disk / zstd_bytes))
    row("records still in the log then", "at most %d" % not_in_segments)

    say("half rate")
    server = Server()
    bodies = [open(batch, "rb").read() for batch in batches[:20] if os.path.getsize(batch)]
    records = min(BATCH_RECORDS, accepted)
    latencies, more = send_paced(server, bodies, records, rate / 2)
    accepted += more
    row("acknowledged at half rate, p50 / p99 ms",
        "%s (batches of %d)" % (both(latencies), records))
    small = min(SMALL_BATCH_RECORDS, records)
    latencies, more = send_paced(server, cut(batches, small), small, rate / 2)
    accepted += more
    row("acknowledged at half rate, p50 / p99 ms",
        "%s (batches of %d)" % (both(latencies), small))

    say("freshness")
    found, shown, everything = freshness(server)
    accepted += SAMPLES
    row("acknowledged to found by search, p50 / p99 ms",
        "%s (%d samples)" % (both(found), SAMPLES))
    row("acknowledged to seen by tail, p50 / p99 ms", "%s (%d samples)" % (both(shown), SAMPLES))
    row("the same search over everything, p50 / p99 ms",
        "%s (%d records)" % (both(everything), accepted))

    say("kill -9 with full tails")
    connection = server.connect()
    pieces = itertools.cycle(bodies)
    for _ in range(200):
        tails_bytes = server.metric("taffrail_store_tails_bytes")
        if tails_bytes >= TAILS_FULL * TAILS_BYTES:
            break
        accepted += accepted_in(ask(connection, "POST", "/api/v1/ingest/" + STREAM, next(pieces)))
    else:
        say("the tails were never full: the figure is that of the tails as they were")
    tails_rows = server.metric("taffrail_store_tails_rows")
    server.kill()
    server = Server()
    row("restart after kill -9, s", "%.2f (tails of %d records, %.0f MB)"
        % (server.ready_s, tails_rows, tails_bytes / 1e6))
    found = server.search("", 0)["total"]
    if found != accepted:
        sys.exit("%d records are found, %d were acknowledged" % (found, accepted))
    server.stop()
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print("%-*s  %s" % (width, name, value))


try:
    main()
finally:
    for process in RUNNING:
        if process.poll() is None:
            process.kill()
            process.wait()
PY
python3 "$work/measure.py"
