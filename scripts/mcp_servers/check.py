#!/usr/bin/env python3
"""Runs real MCP servers under the official clients, bare and behind `taffrail run`.

    scripts/mcp_servers/check.py [--repeat N] [--only NAME] [--table pipes|http|ends] TAFFRAIL WORKDIR

Installs package.json and both requirements files into WORKDIR, starts a server of TAFFRAIL there, and
prints three tables, or one.

Pipes: for each MCP server there is a session of the bare server and one of the wrapped, both between
two programs that count, hash and note when each line passes:
- the streams outside the wrapper and inside it have the same hashes, in both directions;
- the answers and the exit code are those of the bare server;
- how long each message is on its way from one of the two programs to the other, without the wrapper
  between them and with it: what it adds is the difference, whatever the server and the client take.
  Messages that were sent before the inner program was ready wait for its start and are left out;
- how many calls the wrapper recorded, counted by search, against how many were made. A wrapper waits
  half a second at its end for the server; what is not sent by then, on a machine that has much else to
  do, is sent by the next run of the instance, which is what happens here too.

HTTP: each MCP server that speaks it has a session directly and one through `taffrail run --http`, of one
client program, whose calls take turns: the answers are the same, all calls through the proxy are
recorded, and what the proxy adds to a round trip, which is two messages.

Ends: how each MCP server ends that was started with arguments that are wrong for it, or that is sent
SIGTERM or SIGINT after it has answered `initialize`: bare and wrapped it is the same code or signal, and
at least one server ends each way with another code than 0.

Exits with 1 if any of it does not hold.
"""
import argparse
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
# What may be added to a message, in milliseconds, and for which share of all messages.
ADDED_MS_MAX = {0.5: 0.2, 0.99: 2.0}
# Messages from which on a percentile says something: one in a hundred has to be there.
MESSAGES_MIN = 100
# How often the next run of an instance is waited for, two seconds each: a busy machine needs some.
SETTLE_ROUNDS = 20
# How long a server may take to start, or to end after a signal, in seconds.
START_S = 180
END_S = 15
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
    "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "check", "version": "1"}}}


def install(work):
    """The servers and the clients, once."""
    shutil.copy(HERE / "package.json", work)
    for name in ("drive_node.mjs", "drive_http.mjs"):
        shutil.copy(HERE / name, work)
    if not (work / "node_modules" / "@modelcontextprotocol" / "client").is_dir():
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=work, check=True)
    for name, requirements in (("venv", "requirements.txt"), ("handshake", "requirements-handshake.txt")):
        if not (work / name / "installed").exists():
            subprocess.run([sys.executable, "-m", "venv", work / name], check=True)
            pip = [work / name / "bin" / "pip", "--quiet", "install", "--requirement", HERE / requirements]
            subprocess.run(pip, check=True)
            (work / name / "installed").touch()


class Recorder:
    """A Taffrail server that records."""

    def __init__(self, taffrail, work):
        self.data = work / "data"
        shutil.rmtree(self.data, ignore_errors=True)
        port_file = work / "port"
        port_file.unlink(missing_ok=True)
        self.key = secrets.token_hex(32)
        environment = {**os.environ, "TAFFRAIL_BOOTSTRAP_KEY": self.key}
        command = [taffrail, "serve", "--data-dir", self.data, "--listen", "127.0.0.1:0", "--port-file", port_file]
        log = open(work / "serve.log", "w", encoding="utf-8")
        self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not port_file.exists():
            if time.monotonic() > deadline:
                raise SystemExit("the server did not start: see serve.log")
            time.sleep(0.05)
        self.url = "http://" + port_file.read_text().strip()

    def ask(self, path, body):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {
            "Authorization": f"Bearer {self.key}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["data"]

    def count(self, query):
        return self.ask("/api/v1/search", {"query": query, "limit": 0, "streams": ["instance.*", "system.*"]})["total"]

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def environment_of(server):
    return {**os.environ, "MEMORY_FILE_PATH": str(server["memory"])}


def drive(work, server, words, mode, repeat):
    """What the client saw; `words` are a command, or two addresses."""
    plan = {"mode": mode, "calls": server["calls"], "repeat": repeat}
    if "transport" in server:
        driver = ["node", work / "drive_http.mjs"]
        plan["transport"] = server["transport"]
    elif server["runtime"] == "node":
        driver = ["node", work / "drive_node.mjs"]
    else:
        driver = [work / "venv" / "bin" / "python", HERE / "drive_python.py"]
    done = subprocess.run([*driver, json.dumps(plan), *words], env=environment_of(server),
                          capture_output=True, text=True, timeout=180)
    if done.returncode != 0:
        raise SystemExit(f"{server['name']}: the client failed\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def fill(value, places):
    if isinstance(value, str):
        for name, path in places.items():
            value = value.replace("{" + name + "}", str(path))
        return value
    if isinstance(value, list):
        return [fill(part, places) for part in value]
    if isinstance(value, dict):
        return {name: fill(part, places) for name, part in value.items()}
    return value


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def fresh(work, server):
    """A directory of its own, the same for each run, so that answers can be compared."""
    folder = work / "dir"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    git = ["git", "-C", folder, "-c", "user.name=check", "-c", "user.email=check@example.com"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    (folder / "a.txt").write_text("one\n")
    subprocess.run([*git, "add", "a.txt"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "one"], check=True)
    server["memory"] = folder / "memory.jsonl"


def wrapper(taffrail, recorder, work, instance):
    os.environ["TAFFRAIL_TOKEN"] = recorder.key
    return [str(taffrail), "run", "--instance", instance, "--service", "check", "--state", str(work / "state"),
            "--server", recorder.url]


def settle(recorder, query, made, wrap):
    """How many calls are found, once nothing waits to be sent any more."""
    recorded = recorder.count(query)
    for _ in range(SETTLE_ROUNDS):
        if recorded == made:
            break
        # The next run of the instance sends what those before it have left.
        subprocess.run([*wrap, "--", "sleep", "2"], stdin=subprocess.DEVNULL, check=True)
        recorded = recorder.count(query)
    return recorded


def on_the_way_ms(outside, inside):
    """How long each message took from one tee to the other, in both directions."""
    requests = zip(outside["stdin"]["lines_ns"], inside["stdin"]["lines_ns"])
    taken = [seen - sent for sent, seen in requests if sent >= inside["ready_ns"]]
    answers = zip(inside["stdout"]["lines_ns"], outside["stdout"]["lines_ns"])
    taken += [seen - sent for sent, seen in answers]
    return [nanoseconds / 1e6 for nanoseconds in taken]


def session(work, server, between, mode, repeat):
    """One session with what is `between` the tees: what the client saw, and what they did."""
    tee = [sys.executable, str(HERE / "hashing_tee.py")]
    outer, inner = str(work / "outer.json"), str(work / "inner.json")
    fresh(work, server)
    seen = drive(work, server, [*tee, outer, *between, *tee, inner, *server["command"]], mode, repeat)
    return seen, *(json.load(open(path, encoding="utf-8")) for path in (outer, inner))


def check(taffrail, recorder, work, server, mode, repeat):
    """One row of the table, and whether all of it holds."""
    instance = f"{server['name']}-{mode}"
    wrap = wrapper(taffrail, recorder, work, instance)
    bare, *bare_tees = session(work, server, [], mode, repeat)
    wrapped, outside, inside = session(work, server, [*wrap, "--"], mode, repeat)

    same_bytes = all(
        outside[way][what] == inside[way][what]
        for way in ("stdin", "stdout", "stderr") for what in ("bytes", "sha256"))
    same_answers = all(bare[what] == wrapped[what] for what in ("version", "answers"))
    exits = [tee["exit"] for tee in (*bare_tees, outside, inside)]
    same_exit = len(set(exits)) == 1

    made = len(server["calls"]) + (repeat if server["calls"] else 0)
    query = f'instance_id:"{instance}" mcp.method.name:"tools/call"'
    recorded = settle(recorder, query, made, wrap)
    ways = [on_the_way_ms(*tees) for tees in (bare_tees, (outside, inside))]
    alone, through = ([percentile(way, share) for share in ADDED_MS_MAX] for way in ways)
    added = [long - short for long, short in zip(through, alone)]
    is_measured = min(map(len, ways)) >= MESSAGES_MIN
    is_quick = not is_measured or all(ms <= most for ms, most in zip(added, ADDED_MS_MAX.values()))
    good = same_bytes and same_answers and same_exit and recorded == made and is_quick
    return good, [
        server["name"], server["runtime"], wrapped["version"], len(ways[1]),
        outside["stdin"]["bytes"], outside["stdout"]["bytes"],
        "same" if same_bytes else "DIFFER", "same" if same_answers else "DIFFER",
        f"{exits[0]}" if same_exit else "DIFFER " + " ".join(map(str, exits)),
        f"{percentile(bare['round_trips_ms'], .5):.2f}" if bare["round_trips_ms"] else "–",
        f"{alone[0]:.2f} / {alone[1]:.2f}" if is_measured else "–",
        f"{through[0]:.2f} / {through[1]:.2f}" if is_measured else "–",
        f"{added[0]:+.2f} / {added[1]:+.2f}{'' if is_quick else ' OVER'}" if is_measured else "–",
        f"{recorded} of {made}",
    ]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Listening:
    """A program that listens at a port, until the end of the block."""

    def __init__(self, command, log, **options):
        self.log = open(log, "w+", encoding="utf-8")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, **options)

    def wait_for(self, is_there):
        """What `is_there` finds, which is given what the program has said."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            found = is_there(pathlib.Path(self.log.name).read_text(encoding="utf-8"))
            if found:
                return found
            time.sleep(0.05)
        raise SystemExit(f"{self.process.args[0]} does not listen: see {self.log.name}")

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.process.terminate()
        try:
            self.process.wait(START_S)
        finally:
            # It may not have ended by then; an ended one is not killed again.
            self.process.kill()
            self.process.wait()
            self.log.close()


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def address(said):
    """Where the proxy listens, once it has said so."""
    line = next((line for line in said.splitlines() if line.startswith("taffrail: recording http://")), None)
    return line and line.split()[2]


def check_http(taffrail, recorder, work, server, mode, repeat):
    """One row of the table of HTTP, and whether all of it holds."""
    instance = f"{server['name']}-{server['transport']}-{mode}"
    wrap = wrapper(taffrail, recorder, work, instance)
    fresh(work, server)
    port = free_port()
    environment = {**environment_of(server), "PORT": str(port)}
    direct = f"http://127.0.0.1:{port}{server['path']}"
    proxy_command = [*wrap, "--http", "127.0.0.1:0", "--to", direct]
    with Listening(server["command"], work / "http_server.log", env=environment) as behind:
        behind.wait_for(lambda _said: is_open(port))
        with Listening(proxy_command, work / "http_proxy.log") as proxy:
            url = proxy.wait_for(address) + server["path"]
            seen = drive(work, server, [direct, url], mode, repeat)
        ended = proxy.process.returncode
    ways = [seen["direct"], seen["proxy"]]
    same_answers = all(ways[0][what] == ways[1][what] for what in ("version", "answers"))
    made = len(server["calls"]) + seen["warm_up"] + repeat
    query = f'instance_id:"{instance}" mcp.method.name:"tools/call" network.transport:tcp'
    recorded = settle(recorder, query, made, wrap)
    alone, through = ([percentile(way["round_trips_ms"], share) for share in ADDED_MS_MAX] for way in ways)
    added = [long - short for long, short in zip(through, alone)]
    # A round trip is two messages.
    is_quick = repeat < MESSAGES_MIN or all(ms <= 2 * most for ms, most in zip(added, ADDED_MS_MAX.values()))
    good = same_answers and recorded == made and is_quick and ended == 0
    return good, [
        server["name"], server["transport"], ways[1]["version"], made,
        f"{len(ways[1]['answers'])} same" if same_answers else "DIFFER",
        f"{alone[0]:.2f} / {alone[1]:.2f}", f"{through[0]:.2f} / {through[1]:.2f}",
        f"{added[0]:+.2f} / {added[1]:+.2f}{'' if is_quick else ' OVER'}",
        f"{ended}", f"{recorded} of {made}",
    ]


def end_text(code):
    return signal.Signals(-code).name if code < 0 else str(code)


def end_of(process, how):
    """How a server ends; one that a signal does not end, by the end of its stdin."""
    if not how:
        return end_text(process.wait(START_S))
    try:
        return end_text(process.wait(END_S))
    except subprocess.TimeoutExpired:
        process.stdin.close()
        return f"goes on; {end_text(process.wait(START_S))} at the end of stdin"


def end(work, server, between, how):
    """How a server ends that is started with wrong arguments, or is sent a signal in a session."""
    fresh(work, server)
    arguments = [] if how else server.get("wrong", ["--no-such-flag"])
    with subprocess.Popen([*between, *server["command"], *arguments], env=environment_of(server),
                          stdin=subprocess.PIPE if how else subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        if how:
            process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
            process.stdin.flush()
            if not process.stdout.readline():
                raise SystemExit(f"{server['name']} does not answer")
            process.send_signal(how)
        return end_of(process, how)


def check_ends(taffrail, recorder, work, server, others_than_0):
    """One row of the table of ends, and whether all of it holds."""
    wrap = [*wrapper(taffrail, recorder, work, f"{server['name']}-ends"), "--"]
    row, good = [server["name"], server["runtime"]], True
    for how in (None, signal.SIGTERM, signal.SIGINT):
        bare, wrapped = (end(work, server, between, how) for between in ([], wrap))
        good &= bare == wrapped
        if bare != "0":
            others_than_0.add(how)
        row.append(f"{bare} / {wrapped}" if bare == wrapped else f"DIFFER {bare} / {wrapped}")
    return good, row


def table(titles):
    print("\n| " + " | ".join(titles) + " |\n|" + "---|" * len(titles), flush=True)


def row(cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeat", type=int, default=300)
    parser.add_argument("--only")
    parser.add_argument("--table", choices=("pipes", "http", "ends"))
    parser.add_argument("taffrail", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    options = parser.parse_args()
    work, taffrail = options.work.resolve(), options.taffrail.resolve()
    work.mkdir(parents=True, exist_ok=True)
    install(work)
    places = {"bin": work / "node_modules" / ".bin", "venv": work / "venv" / "bin",
              "handshake": work / "handshake" / "bin", "dir": work / "dir"}
    servers = [fill(server, places) for server in json.load(open(HERE / "servers.json", encoding="utf-8"))]
    servers = [server for server in servers if options.only in (None, server["name"])]
    of_pipes = [server for server in servers if "transport" not in server]
    of_http = [server for server in servers if "transport" in server]
    is_asked = {name: options.table in (None, name) for name in ("pipes", "http", "ends")}
    recorder = Recorder(taffrail, work)
    shutil.rmtree(work / "state", ignore_errors=True)
    all_good, others_than_0 = True, set()
    try:
        if is_asked["pipes"]:
            table(["server", "runtime", "protocol", "messages", "bytes in", "bytes out", "bytes", "answers", "exit",
                   "round trip p50 ms", "without p50/p99 ms", "with p50/p99 ms", "added", "calls recorded"])
            for server in of_pipes:
                for mode in ("legacy", "auto"):
                    good, cells = check(taffrail, recorder, work, server, mode, options.repeat)
                    all_good &= good
                    row(cells)
        if is_asked["http"]:
            table(["server", "transport", "protocol", "calls", "answers", "without p50/p99 ms", "with p50/p99 ms",
                   "added to a round trip", "exit", "calls recorded"])
            for server in of_http:
                for mode in ("legacy", "auto"):
                    good, cells = check_http(taffrail, recorder, work, server, mode, options.repeat)
                    all_good &= good
                    row(cells)
        if is_asked["ends"]:
            table(["server", "runtime", "wrong arguments", "SIGTERM", "SIGINT"])
            for server in of_pipes:
                good, cells = check_ends(taffrail, recorder, work, server, others_than_0)
                all_good &= good
                row(cells)
            all_good &= bool(options.only) or len(others_than_0) == 3
    finally:
        recorder.stop()
    sys.exit(0 if all_good else 1)


main()
