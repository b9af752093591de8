"""Runs a command with its standard streams passed through, and says what passed.

    hashing_tee.py REPORT command…

REPORT becomes a JSON object: for stdin, stdout, stderr the bytes, their SHA-256 and when the end of
each line passed; when this program was ready; and the exit code (negative: the signal that ended the
command), which is passed on. Times are nanoseconds of CLOCK_MONOTONIC, which all processes share.
"""
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time


def pump(source, target, digest):
    """Copies until the end of either side; closes the target."""
    while True:
        try:
            piece = os.read(source, 65536)
        except OSError:
            break
        if not piece:
            break
        passed_ns = time.monotonic_ns()
        try:
            view = memoryview(piece)
            while view:
                view = view[os.write(target, view):]
        except OSError:
            break
        finally:
            # After the bytes have gone on, so that it delays none.
            digest["hash"].update(piece)
            digest["bytes"] += len(piece)
            digest["lines_ns"] += [passed_ns] * piece.count(b"\n")
    try:
        os.close(target)
    except OSError:
        pass


def main():
    report, command = sys.argv[1], sys.argv[2:]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: child.send_signal(received))
    digests = {
        name: {"hash": hashlib.sha256(), "bytes": 0, "lines_ns": []} for name in ("stdin", "stdout", "stderr")
    }
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
    ready_ns = time.monotonic_ns()
    for thread in threads.values():
        thread.start()
    code = child.wait()
    for name in ("stdout", "stderr"):
        threads[name].join(5)
    passed = {
        name: {
            "bytes": digest["bytes"],
            "sha256": digest["hash"].hexdigest(),
            "lines_ns": digest["lines_ns"],
        }
        for name, digest in digests.items()
    }
    with open(report, "w", encoding="utf-8") as file:
        json.dump({**passed, "ready_ns": ready_ns, "exit": code}, file)
    os._exit(code if code >= 0 else 128 - code)


main()
