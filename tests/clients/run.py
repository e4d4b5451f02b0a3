#!/usr/bin/env python3
"""Generates clients from the OpenAPI documents of a development server, and runs the programs that use them.

For Python with openapi-python-client, for TypeScript with openapi-typescript and openapi-fetch. Fails when

* a document is no OpenAPI 3.1, or a generator has anything to say about it,
* the program that uses every operation does not compile or does not run, or leaves out an operation,
* a wrong call compiles,
* the tours in examples/ do not run as they stand.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = TARGET / "debug" / "switchboard"
# Seconds that one program may take, on a machine that has much else to do.
LONGEST = 300
# The documents: where each is, and what its client is called in Python and in TypeScript.
DOCUMENTS = (
    ("/v1/openapi.json", "programs", "programs"),
    ("/admin/v1/openapi.json", "operator_api", "operator"),
    ("/simulator/v1/openapi.json", "simulator", "simulator"),
)
# How many wrong calls there are at least, so that none is lost by mistake.
WRONG_CALLS = 35
TOUR = """\
asked: Is the shop open?
told: message.received Hello?
answered: sent
told: message.sent Until six.
phone: Until six.
refused: contact_has_not_messaged: Cannot send to a contact who has not messaged this line first.
picture: sent
"""


def named_by_content(name, *files):
    """A folder of the tools, made anew when what they are pinned to changes."""
    content = b"".join(file.read_bytes() for file in files)
    return TARGET / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"


def install():
    """The pinned versions, in folders of their own: the programs of Python, and those of TypeScript."""
    requirements = HERE / "requirements.txt"
    python = named_by_content("clients-python", requirements)
    if not (python / "done").exists():
        venv.create(python, with_pip=True, clear=True)
        pip = [python / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", requirements], check=True)
        (python / "done").touch()
    lists = [HERE / "package.json", HERE / "package-lock.json"]
    node = named_by_content("clients-node", *lists)
    if not (node / "done").exists():
        shutil.rmtree(node, ignore_errors=True)
        node.mkdir(parents=True)
        for file in lists:
            shutil.copy(file, node)
        npm = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel", "error"]
        subprocess.run(npm, cwd=node, check=True)
        (node / "done").touch()
    return python / "bin", node


def run(command, cwd, env=None, must=True):
    """What it prints. Fails if it fails, with all that it has printed."""
    settings = {**os.environ, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=settings, text=True, timeout=LONGEST,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    if must and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} fails:\n{done.stdout}")
    return done.stdout


class Server:
    """A development server with nothing on it yet."""

    def __init__(self, folder):
        self.log = (folder / "server.log").open("w+b")
        command = [BINARY, "dev", "--json", "--listen", "127.0.0.1:0", "--data-dir", folder / "data"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log)
        ready = json.loads(self.process.stdout.readline())
        self.url = ready["api_url"]
        self.env = {
            "URL": self.url,
            "KEY": ready["api_key"],
            "OPERATOR": ready["operator_token"],
            "LINE": ready["line"],
            "SANDBOX": ready["sandbox_line"],
            # A proxy of the machine that runs the tests is not on the way to loopback.
            "NO_PROXY": "*",
            "no_proxy": "*",
        }
        deadline = time.monotonic() + 20
        while not self.line_is_up(ready):
            if time.monotonic() > deadline:
                raise RuntimeError("the simulated line did not come up")
            time.sleep(0.05)

    def line_is_up(self, ready):
        key = {"Authorization": f"Bearer {ready['api_key']}"}
        lines = json.loads(self.read("/v1/lines", key))["data"]
        return any(one["advanced_features"] for one in lines if one["handle"] == ready["line"])

    def read(self, path, headers=None):
        request = urllib.request.Request(self.url + path, headers=headers or {})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            return answer.read()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.seek(0)
        errors = [line for line in self.log.read().decode(errors="replace").splitlines() if "ERROR" in line]
        if errors:
            raise RuntimeError("the server logged errors:\n" + "\n".join(errors))


def operations(document):
    """The method, the path and the id of each operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation["operationId"]


def snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def python(tools, folder, documents):
    """Generates, checks and runs the Python client."""
    folder = folder / "python"
    shutil.copytree(HERE / "python", folder)
    path = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    tour = (folder / "tour.py").read_text()
    for file, document, package, _ in documents:
        run([tools / "openapi-spec-validator", file], folder)
        generate = ["generate", "--path", file, "--output-path", package, "--meta", "none", "--fail-on-warning"]
        said = run([tools / "openapi-python-client", *generate], folder, path)
        if said.strip() != f"Generating {package}":
            raise RuntimeError(f"openapi-python-client says of {package}:\n{said}")
        made = {one.stem for one in (folder / package / "api").glob("*/*.py") if one.stem != "__init__"}
        known = {snake(name) for _, _, name in operations(document)}
        # `type` is a word of Python's own, and `getOpenApi` is not split where we would.
        if len(made) != len(known):
            raise RuntimeError(f"{package} has {len(made)} operations of {len(known)}")
        unused = [name for name in made if not re.search(rf"\b{name}\.(sync|sync_detailed|_get_kwargs)\(", tour)]
        if unused:
            raise RuntimeError(f"tour.py does not call {unused} of {package}")
    # What the generated code itself looks like to mypy is not ours.
    mypy = [tools / "mypy", "--strict", "--follow-imports=silent", "--cache-dir", folder / "cache"]
    run([*mypy, "tour.py"], folder)
    said = run([*mypy, "wrong.py"], folder, must=False)
    found = {int(line) for line in re.findall(r"^wrong\.py:(\d+): error:", said, re.MULTILINE)}
    lines = enumerate((folder / "wrong.py").read_text().splitlines(), 1)
    judge_wrong("wrong.py", found, {number for number, line in lines if "# wrong:" in line}, said)
    serve_and_run("tour.py", folder, [tools / "python", "tour.py"], "every operation works\n")
    serve_and_run("examples/tour.py", folder, [tools / "python", ROOT / "examples" / "tour.py"], TOUR)


def typescript(node, folder, documents):
    """Generates, checks and runs the TypeScript client."""
    folder = folder / "typescript"
    shutil.copytree(HERE / "typescript", folder)
    shutil.copy(HERE / "package.json", folder)
    shutil.copy(ROOT / "examples" / "tour.ts", folder / "example.ts")
    (folder / "node_modules").symlink_to(node / "node_modules")
    tools = node / "node_modules" / ".bin"
    tour = (folder / "tour.ts").read_text()
    for file, document, _, name in documents:
        run([tools / "openapi-typescript", file, "--output", f"{name}.ts"], folder)
        unused = [
            f"{method} {path}"
            for method, path, _ in operations(document)
            if not re.search(rf'\.{method}\("{re.escape(path)}"', tour)
        ]
        if unused:
            raise RuntimeError(f"tour.ts does not call {unused}")
    options = ["--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", "--pretty", "false"]
    files = ["tour.ts", "wrong.ts", "example.ts"]
    # A wrong call that compiles is an error: its line says that it expects one.
    run([tools / "tsc", *options, "--noUncheckedIndexedAccess", "--outDir", "out", *files], folder)
    wrong = (folder / "wrong.ts").read_text().count("// @ts-expect-error")
    judge_wrong("wrong.ts", set(range(wrong)), set(range(wrong)), "")
    (folder / "package.json").rename(folder / "out" / "package.json")
    serve_and_run("tour.ts", folder, ["node", "out/tour.js"], "every operation works\n")
    serve_and_run("examples/tour.ts", folder, [tools / "tsx", "example.ts"], TOUR)


def judge_wrong(name, found, wanted, said):
    if found != wanted or len(wanted) < WRONG_CALLS:
        missed, extra = sorted(wanted - found), sorted(found - wanted)
        raise RuntimeError(f"{name}: {len(wanted)} wrong calls; not found {missed}, found beside {extra}\n{said}")


def serve_and_run(what, folder, command, wanted):
    """Runs a program against a server of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        server = Server(pathlib.Path(own))
        try:
            said = run(command, folder, server.env)
        finally:
            server.stop()
    if said != wanted:
        raise RuntimeError(f"{what} prints:\n{said}\ninstead of:\n{wanted}")
    print(f"{what}: runs", file=sys.stderr, flush=True)


def main():
    tools, node = install()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        server = Server(folder)
        documents = []
        try:
            for path, package, module in DOCUMENTS:
                file = folder / f"{module}.json"
                file.write_bytes(server.read(path))
                documents.append((file, json.loads(file.read_bytes()), package, module))
        finally:
            server.stop()
        failures = []

        def part(work, *arguments):
            try:
                work(*arguments)
            except Exception as failure:  # Each says what is wrong in it.
                failures.append(f"{work.__name__}: {failure}")

        parts = [
            threading.Thread(target=part, args=(python, tools, folder, documents)),
            threading.Thread(target=part, args=(typescript, node, folder, documents)),
        ]
        for one in parts:
            one.start()
        for one in parts:
            one.join()
        if failures:
            raise SystemExit("\n".join(failures))
    print(f"generated clients: all is well, in {time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
