#!/usr/bin/env python3
"""Runs real MCP servers under the official clients, bare and behind `taffrail run`.

    scripts/mcp_servers/check.py [--repeat N] [--only NAME] TAFFRAIL WORKDIR

Installs package.json and both requirements files into WORKDIR, starts a server of TAFFRAIL there, and
prints a table. For each MCP server:
- the streams outside the wrapper and inside it have the same hashes, in both directions;
- the answers and the exit code are those of the bare server;
- the round trips of one call, without the tees, bare and wrapped: what the wrapper adds;
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
    for _ in range(5):
        if recorded == made:
            break
        # The next run of the instance sends what those before it have left.
        subprocess.run([*wrap, "sleep", "2"], stdin=subprocess.DEVNULL, check=True)
        recorded = recorder.count(query)
    return recorded


def check(taffrail, recorder, work, server, mode, repeat):
    """One row of the table, and whether all of it holds."""
    instance = f"{server['name']}-{mode}"
    tee = [sys.executable, str(HERE / "hashing_tee.py")]
    outer, inner = str(work / "outer.json"), str(work / "inner.json")
    wrap = wrapper(taffrail, recorder, work, instance)

    fresh(work, server)
    bare = drive(work, server, [*tee, outer, *server["command"]], mode, 0)
    bare_tee = json.load(open(outer, encoding="utf-8"))
    fresh(work, server)
    wrapped = drive(work, server, [*tee, outer, *wrap, *tee, inner, *server["command"]], mode, 0)
    outside, inside = (json.load(open(path, encoding="utf-8")) for path in (outer, inner))

    same_bytes = all(outside[way] == inside[way] for way in ("stdin", "stdout", "stderr"))
    same_answers = bare == wrapped
    same_exit = bare_tee["exit"] == outside["exit"] == inside["exit"]

    fresh(work, server)
    quick = drive(work, server, server["command"], mode, repeat)["round_trips_ms"]
    fresh(work, server)
    slowed = drive(work, server, [*wrap, *server["command"]], mode, repeat)["round_trips_ms"]
    made = 2 * len(server["calls"]) + (repeat if server["calls"] else 0)
    query = f'instance_id:"{instance}" mcp.method.name:"tools/call"'
    recorded = settle(recorder, query, made, wrap)
    added = [percentile(slowed, share) - percentile(quick, share) for share in (0.5, 0.99)]
    good = same_bytes and same_answers and same_exit and recorded == made
    return good, [
        server["name"], server["runtime"], wrapped["version"], len(wrapped["answers"]),
        outside["stdin"]["bytes"], outside["stdout"]["bytes"],
        "same" if same_bytes else "DIFFER", "same" if same_answers else "DIFFER",
        f"{outside['exit']}" if same_exit else f"DIFFER {bare_tee['exit']} {outside['exit']} {inside['exit']}",
        f"{percentile(quick, .5):.2f} / {percentile(quick, .99):.2f}" if quick else "–",
        f"{added[0]:+.2f} / {added[1]:+.2f}" if quick else "–",
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
    titles = ["server", "runtime", "protocol", "requests", "bytes in", "bytes out", "bytes", "answers", "exit",
              "bare p50/p99 ms", "added p50/p99 ms", "calls recorded"]
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
