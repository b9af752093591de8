"""Runs a command with its standard streams passed through, and says what passed.

    hashing_tee.py REPORT command…

REPORT becomes a JSON object: for stdin, stdout, stderr the bytes and their SHA-256, and the exit
code (negative: the signal that ended the command), which is passed on.
"""
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading


def pump(source, target, digest):
    """Copies until the end of either side; closes the target."""
    while True:
        try:
            piece = os.read(source, 65536)
        except OSError:
            break
        if not piece:
            break
        digest["hash"].update(piece)
        digest["bytes"] += len(piece)
        try:
            view = memoryview(piece)
            while view:
                view = view[os.write(target, view):]
        except OSError:
            break
    try:
        os.close(target)
    except OSError:
        pass


def main():
    report, command = sys.argv[1], sys.argv[2:]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: child.send_signal(received))
    digests = {name: {"hash": hashlib.sha256(), "bytes": 0} for name in ("stdin", "stdout", "stderr")}
    ways = {
        "stdin": (0, os.dup(child.stdin.fileno())),
        "stdout": (child.stdout.fileno(), os.dup(1)),
        "stderr": (child.stderr.fileno(), os.dup(2)),
    }
    child.stdin.close()
    os.close(1)
    threads = {
        name: threading.Thread(target=pump, args=(*way, digests[name]), daemon=True)
        for name, way in ways.items()
    }
    for thread in threads.values():
        thread.start()
    code = child.wait()
    for name in ("stdout", "stderr"):
        threads[name].join(5)
    passed = {
        name: {"bytes": digest["bytes"], "sha256": digest["hash"].hexdigest()}
        for name, digest in digests.items()
    }
    with open(report, "w", encoding="utf-8") as file:
        json.dump({**passed, "exit": code}, file)
    os._exit(code if code >= 0 else 128 - code)


main()
