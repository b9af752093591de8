#!/usr/bin/env python3
"""Runs real MCP servers under the official clients, bare and behind `taffrail run`.

    scripts/mcp_servers/check.py [--repeat N] [--only NAME] TAFFRAIL WORKDIR

Installs package.json and both requirements files into WORKDIR, starts a server of TAFFRAIL there, and
prints a table. For each MCP server there is a session of the bare server and one of the wrapped, both
between two programs that count, hash and note when each line passes:
- the streams outside the wrapper and inside it have the same hashes, in both directions;
- the answers and the exit code are those of the bare server;
- how long each message is on its way from one of the two programs to the other, without the wrapper
  between them and with it: what it adds is the difference, whatever the server and the client take.
  Messages that were sent before the inner program was ready wait for its start and are left out;
- how many calls the wrapper recorded, counted by search, against how many were made. A wrapper waits
  half a second at its end for the server; what is not sent by then, on a machine that has much else to
  do, is sent by the next run of the instance, which is what happens here too.
Exits with 1 if any of it does not hold.
"""
import argparse
import json
import os
import pathlib
import secrets
import shutil
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


def install(work):
    """The servers and the clients, once."""
    shutil.copy(HERE / "package.json", work)
    for name in ("drive_node.mjs",):
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


def drive(work, server, command, mode, repeat):
    """What the client saw."""
    plan = json.dumps({"mode": mode, "calls": server["calls"], "repeat": repeat})
    if server["runtime"] == "node":
        driver = ["node", work / "drive_node.mjs"]
    else:
        driver = [work / "venv" / "bin" / "python", HERE / "drive_python.py"]
    environment = {**os.environ, "MEMORY_FILE_PATH": str(server["memory"])}
    done = subprocess.run([*driver, plan, *command], env=environment, capture_output=True, text=True, timeout=180)
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
            "--server", recorder.url, "--"]


def settle(recorder, query, made, wrap):
    """How many calls are found, once nothing waits to be sent any more."""
    recorded = recorder.count(query)
    for _ in range(SETTLE_ROUNDS):
        if recorded == made:
            break
        # The next run of the instance sends what those before it have left.
        subprocess.run([*wrap, "sleep", "2"], stdin=subprocess.DEVNULL, check=True)
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
    wrapped, outside, inside = session(work, server, wrap, mode, repeat)

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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeat", type=int, default=300)
    parser.add_argument("--only")
    parser.add_argument("taffrail", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    options = parser.parse_args()
    work, taffrail = options.work.resolve(), options.taffrail.resolve()
    work.mkdir(parents=True, exist_ok=True)
    install(work)
    places = {"bin": work / "node_modules" / ".bin", "venv": work / "venv" / "bin",
              "handshake": work / "handshake" / "bin", "dir": work / "dir"}
    servers = [fill(server, places) for server in json.load(open(HERE / "servers.json", encoding="utf-8"))]
    titles = ["server", "runtime", "protocol", "messages", "bytes in", "bytes out", "bytes", "answers", "exit",
              "round trip p50 ms", "without p50/p99 ms", "with p50/p99 ms", "added", "calls recorded"]
    print("| " + " | ".join(titles) + " |\n|" + "---|" * len(titles), flush=True)
    recorder = Recorder(taffrail, work)
    shutil.rmtree(work / "state", ignore_errors=True)
    all_good = True
    try:
        for server in servers:
            if options.only and options.only != server["name"]:
                continue
            for mode in ("legacy", "auto"):
                good, row = check(taffrail, recorder, work, server, mode, options.repeat)
                all_good &= good
                print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)
    finally:
        recorder.stop()
    sys.exit(0 if all_good else 1)


main()
