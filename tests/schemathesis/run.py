#!/usr/bin/env python3
"""Runs schemathesis, all its checks, against a development server and its own document.

Starts the server on a free loopback port with something of everything on it, makes requests until
there were enough, and stops both. Fails on any finding, and when there were too few requests.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
VERSION = "4.32.5"
WANTED = 20_000
# Seconds that all rounds may take together: on two calm processors it is some 200.
LONGEST = int(os.environ.get("SCHEMATHESIS_SECONDS", "1200"))
# Cases per operation in one round. From 200 on Hypothesis spends half its time on searching for
# extremes of its own instead of asking the server: several short rounds ask more.
CASES = 190
# Requests of a round for each of its cases: about two processes times 21 operations.
REQUESTS_OF_CASE = 40
CONTACT = "+15550100002"


def install():
    """The pinned version, in a venv of its own."""
    home = TARGET / f"schemathesis-{VERSION}"
    program = home / "bin" / "schemathesis"
    if not program.exists():
        venv.create(home, with_pip=True, clear=True)
        pip = [home / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", HERE / "requirements.txt"], check=True)
    return program


def call(url, token, body=None, headers=None):
    data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", **(headers or {})}
    request = urllib.request.Request(url, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def furnish(ready):
    """Something of everything, so that requests find what they name."""
    api, key, line = ready["api_url"], ready["api_key"], ready["line"]
    simulator, operator = ready["simulator_url"], ready["operator_token"]
    deadline = time.monotonic() + 20
    while True:
        lines = call(f"{api}/v1/lines", key)["data"]
        own = next(one for one in lines if one["handle"] == line)
        if own["advanced_features"]:
            break
        if time.monotonic() > deadline:
            raise SystemExit("the simulated line did not come up")
        time.sleep(0.05)
    texts = [
        call(f"{simulator}/messages", operator, {"line": line, "from": CONTACT, "text": text})
        for text in ("Is the shop open?", "Hello?", "🎉")
    ]
    group = call(f"{simulator}/groups", operator, {"line": line, "participants": [CONTACT, "+15550100003"]})
    memo = b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0" + bytes(64)
    voice_memo = call(f"{api}/v1/files", key, memo, {"Content-Type": "audio/mp4", "X-Filename": "memo.m4a"})
    file = call(f"{api}/v1/files", key, b"%PDF-1.7\n", {"Content-Type": "application/pdf"})
    send = {"from": line, "to": CONTACT, "attachments": [file["id"]]}
    call(f"{api}/v1/messages", key, send)
    hook = {"from": line, "url": "http://127.0.0.1:1999/", "events": ["message.received"]}
    webhook = call(f"{api}/v1/webhooks", key, hook)
    # Nobody answers there: it is tried again and again.
    again = {"id": webhook["id"], "since": 1}
    replay = call(f"{api}/v1/webhooks/replay", key, again)
    while not (deliveries := call(f"{api}/v1/deliveries", key)["data"]):
        time.sleep(0.05)
    call(f"{api}/v1/sandbox", key, {})
    query = urllib.parse.urlencode({"from": line, "to": CONTACT, "limit": 1})
    cursors = {
        path: call(f"{api}{path}?{query}", key)["next_cursor"] for path in ("/v1/messages", "/v1/chats")
    }
    return {
        "api_url": api,
        "api_key": key,
        "line": line,
        "line_id": own["id"],
        "contact": CONTACT,
        "chat": texts[0]["chat_id"],
        "group": group["chat_id"],
        "message": texts[0]["message_id"],
        "guid": texts[0]["guid"],
        "file": file["id"],
        "file_url": file["url"],
        "voice_memo": voice_memo["id"],
        "webhook": webhook["id"],
        "delivery": deliveries[0]["id"],
        "replay": replay["id"],
        "cursors": cursors,
    }


def round_of(program, state, seed, cases, phases, folder):
    """Starts one run of schemathesis: the process, where it counts its requests, and its log."""
    count = folder / f"count-{seed}"
    env = dict(
        os.environ,
        SCHEMATHESIS_HOOKS=str(HERE / "hooks.py"),
        SWITCHBOARD_STATE=json.dumps(state),
        SWITCHBOARD_COUNT=str(count),
        API_KEY=state["api_key"],
        NO_COLOR="1",
        PYTHONDONTWRITEBYTECODE="1",
    )
    command = [
        program, "--config-file", HERE / "schemathesis.toml", "run", f"{state['api_url']}/v1/openapi.json",
        "--checks", "all", "--max-examples", cases, "--seed", seed, "--phases", phases, "--request-timeout", 10,
        "--max-redirects", 0, "--workers", 1,
    ]
    log = (folder / f"log-{seed}").open("w+b")
    process = subprocess.Popen([str(word) for word in command], env=env, cwd=folder, stdout=log, stderr=log)
    return process, count, log


def main():
    program = install()
    binary = TARGET / "debug" / "switchboard"
    began = time.monotonic()
    # In memory where there is such a place: this measures answers, not disks.
    memory = pathlib.Path("/dev/shm")
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 29
    with tempfile.TemporaryDirectory(dir=memory if roomy else None) as name:
        folder = pathlib.Path(name)
        errors = (folder / "server.log").open("w+b")
        server = subprocess.Popen(
            [binary, "dev", "--json", "--listen", "127.0.0.1:0", "--data-dir", folder / "data",
             "--rate-limit", "4000000000"],
            stdout=subprocess.PIPE, stderr=errors,
        )
        running = []
        try:
            state = furnish(json.loads(server.stdout.readline()))
            made, seed = 0, 1
            while made < WANTED:
                # Examples and limits are the same each time: once is enough.
                phases = "examples,coverage,fuzzing,stateful" if seed == 1 else "fuzzing,stateful"
                # The last round is as long as what is left.
                cases = min(CASES, (WANTED - made) // REQUESTS_OF_CASE + 10)
                running = [round_of(program, state, seed + n, cases, phases, folder) for n in range(2)]
                seed += 2
                for process, count, log in running:
                    left = LONGEST - (time.monotonic() - began)
                    code = process.wait(timeout=max(left, 1))
                    log.seek(0)
                    report = log.read().decode(errors="replace")
                    made += int(count.read_text()) if count.exists() else 0
                    if code != 0 or "--verbose" in sys.argv:
                        print(report)
                    if code != 0:
                        raise SystemExit("schemathesis found something")
                print(f"{made} requests in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            if server.poll() is not None:
                raise SystemExit("the server has stopped by itself")
            errors.seek(0)
            log = errors.read().decode(errors="replace")
            if "ERROR" in log:
                raise SystemExit(f"the server logged an error:\n{log}")
            print(f"schemathesis: {made} requests, nothing found")
        except subprocess.TimeoutExpired:
            raise SystemExit(f"fewer than {WANTED} requests in {LONGEST} s") from None
        finally:
            for process, _, log in running:
                process.kill()
                process.wait()
                log.close()
            server.terminate()
            server.wait(timeout=10)
            errors.close()


if __name__ == "__main__":
    main()
