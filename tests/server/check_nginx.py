#!/usr/bin/env python3
"""Puts nginx with the configurations of packaging/nginx before real servers, and checks what comes through.

usage: check_nginx.py MIDGE [--keep]

MIDGE is the program; it serves the bundled tiny-phi. Everything runs on free ports of 127.0.0.1, in
a temporary folder, without root. Needs nginx and openssl: without them the exit status is 77. It is 1
if a check failed.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

CONFIGURATIONS = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "nginx"
NAME = "llm.example.org"
KEY = "key-of-the-nginx-check"
LONG = {"prompt": "One day", "max_tokens": 1800, "ignore_eos": True, "seed": 1}
SHORT = {"prompt": "One day", "max_tokens": 4, "seed": 1}

NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/midge.conf;
    include {folder}/upstream.conf;
}}
"""


class Checks:
    def __init__(self):
        self.failed = 0

    def that(self, name, holds, detail=""):
        self.failed += not holds
        print(("ok    " if holds else "FAIL  ") + name + (f": {detail}" if detail else ""), flush=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def end(process, how=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(how)
        process.wait(60)


def wait_for(condition, seconds=20):
    """Whether it came true in time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


class Midge:
    """A server on a free port."""

    def __init__(self, program, folder, *options):
        (folder / "key").write_text(KEY + "\n")
        self.process = subprocess.Popen(
            [program, "serve", "tiny-phi", "--port", "0", "--name", NAME, "--key-file", folder / "key",
             "--no-calibration", "--cache-dir", "", "--stop-seconds", "30", *options],
            stderr=subprocess.PIPE, text=True)
        self.port = 0
        for line in self.process.stderr:
            if found := re.search(r"at http://127\.0\.0\.1:(\d+)/", line):
                self.port = int(found[1])
                break
        if not self.port:
            raise RuntimeError("midge serve did not start")
        # Nobody reads its log: it must not fill the pipe.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def metric(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {KEY}"})
            text = connection.getresponse().read().decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if line.startswith(name) and not line.startswith("#"))


class Proxy:
    """nginx before some servers, and requests to it over TLS."""

    def __init__(self, nginx, folder, upstream, servers, edits=()):
        self.folder = folder
        self.port = free_port()
        self.host = f"{NAME}:{self.port}"
        text = (CONFIGURATIONS / "midge.conf").read_text()
        for old, new in ((r"listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
                         (r" *listen \[::\]:443 [^\n]*\n", ""),
                         (r"/etc/nginx/midge/", f"{folder}/"), *edits):
            text, count = re.subn(old, new, text)
            assert count, f"midge.conf does not have {old}"
        (folder / "midge.conf").write_text(text)
        addresses = iter(servers)
        text, count = re.subn(r"server [\d.]+:8080", lambda _: f"server 127.0.0.1:{next(addresses).port}",
                              (CONFIGURATIONS / upstream).read_text())
        assert count == len(servers), f"{upstream} has {count} servers"
        (folder / "upstream.conf").write_text(text)
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
                        "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                       check=True, capture_output=True)
        self.context = ssl.create_default_context(cafile=folder / "cert.pem")
        self.process = subprocess.Popen([nginx, "-p", folder, "-e", folder / "error.log",
                                         "-c", folder / "nginx.conf"])
        if not wait_for(self.is_open):
            raise RuntimeError("nginx did not start: " + (folder / "error.log").read_text())

    def is_open(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def connect(self):
        """A connection whose certificate was checked against the name."""
        connection = http.client.HTTPSConnection(NAME, self.port, timeout=120)
        connection.sock = self.context.wrap_socket(
            socket.create_connection(("127.0.0.1", self.port), timeout=120), server_hostname=NAME)
        return connection

    def ask(self, path, body=None, host=None, key=KEY, **fields):
        """Status, and what was answered."""
        with contextlib.closing(self.connect()) as connection:
            send(connection, path, body, host or self.host, key, **fields)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def complete(self, body):
        return self.ask("/v1/completions", body)

    @contextlib.contextmanager
    def stream(self, body):
        with contextlib.closing(self.connect()) as connection:
            send(connection, "/v1/completions", body | {"stream": True}, self.host, KEY)
            yield connection.getresponse()


def send(connection, path, body, host, key, **fields):
    headers = {"Host": host, **{name.replace("_", "-"): value for name, value in fields.items()}}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    if isinstance(body, dict):
        body = json.dumps(body)
        headers["Content-Type"] = "application/json"
    connection.request("GET" if body is None else "POST", path, body, headers)


def code_of(text):
    """The code of an error; None if it is no error in JSON."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return json.loads(text)["error"]["code"]
    return None


def check_names(checks, proxy):
    status, text = proxy.ask("/health", key=None)
    checks.that("TLS: the server answers", status == 200, text)
    status, text = proxy.ask("/v1/models", key=None)
    checks.that("without the key it refuses", status == 401, code_of(text))
    status, text = proxy.ask("/v1/models")
    checks.that("the key is passed on", status == 200)
    status, text = proxy.ask("/v1/models", host="attacker.example")
    checks.that("a foreign Host is refused", status == 403, code_of(text))
    status, text = proxy.ask("/v1/completions", SHORT, Origin=f"https://{proxy.host}")
    checks.that("the chat page may ask", status == 200, text[:80])
    status, text = proxy.ask("/v1/completions", SHORT, Origin="https://attacker.example")
    checks.that("a foreign page may not", status == 403, code_of(text))
    checks.that("/metrics is not for clients", proxy.ask("/metrics")[0] == 404)


def check_limits(checks, proxy, midge):
    status, text = proxy.complete({"prompt": "x" * (9 << 20)})
    checks.that("a body of 9 MiB is refused", status == 413, code_of(text))
    with contextlib.ExitStack() as streams:
        for _ in range(16):
            streams.enter_context(proxy.stream(LONG)).read(1)
        status, text = proxy.complete(SHORT)
        checks.that("the 17th request of a client is refused", (status, code_of(text)) == (429, "too_many"))
    checks.that("the engine is free again", wait_for(lambda: midge.metric("midge_requests_running") == 0))


def check_streaming(checks, proxy):
    begin = time.monotonic()
    times = []
    last = b""
    with proxy.stream(LONG) as response:
        for line in response:
            if line.startswith(b"data:"):
                times.append(time.monotonic() - begin)
                last = line
    checks.that("a stream ends as it should", last.strip() == b"data: [DONE]", f"{len(times)} events")
    gaps = sorted(later - earlier for earlier, later in zip(times, times[1:]))
    figures = (f"first event after {times[0]:.3f} s, last after {times[-1]:.3f} s, "
               f"longest silence {gaps[-1]:.3f} s")
    checks.that("it comes as it is written", times[0] < 0.2 * times[-1] and gaps[-1] < 0.3 * times[-1],
                figures)
    quarters = [sum(1 for at in times if at * 4 // times[-1] == quarter) for quarter in range(4)]
    checks.that("and in every quarter of the time", min(quarters) > len(times) // 20, f"{quarters} events")


def check_disconnects(checks, proxy, midge):
    cancelled = 'midge_ended_total{model="tiny-phi",end="cancelled"}'
    before = midge.metric(cancelled)
    with proxy.stream(LONG) as response:
        response.read(200)
    begin = time.monotonic()
    checks.that("a stream whose client goes is cancelled",
                wait_for(lambda: midge.metric(cancelled) == before + 1),
                f"seen after {time.monotonic() - begin:.3f} s")
    with contextlib.closing(proxy.connect()) as connection:
        send(connection, "/v1/completions", LONG, proxy.host, KEY)
        wait_for(lambda: midge.metric("midge_requests_running") == 1)
    begin = time.monotonic()
    checks.that("so is an answer in one piece",
                wait_for(lambda: midge.metric(cancelled) == before + 2),
                f"seen after {time.monotonic() - begin:.3f} s")


def check_one(checks, programs, folder):
    with contextlib.ExitStack() as running:
        midge = Midge(programs["midge"], folder)
        running.callback(end, midge.process)
        proxy = Proxy(programs["nginx"], folder, "midge-one.conf", [midge])
        running.callback(end, proxy.process)
        check_names(checks, proxy)
        check_streaming(checks, proxy)
        check_disconnects(checks, proxy, midge)
        check_limits(checks, proxy, midge)
        end(midge.process)
        checks.that("midge stops in good order", midge.process.returncode == 0)
        status, text = proxy.complete(SHORT)
        checks.that("without it nginx tells so", (status, code_of(text)) == (503, "unavailable"))


def check_forgotten_buffering(checks, programs, folder):
    """nginx collects answers unless it is told otherwise: then by midge itself."""
    with contextlib.ExitStack() as running:
        midge = Midge(programs["midge"], folder)
        running.callback(end, midge.process)
        proxy = Proxy(programs["nginx"], folder, "midge-one.conf", [midge],
                      [("proxy_buffering off;", "proxy_buffering on;")])
        running.callback(end, proxy.process)
        begin = time.monotonic()
        with proxy.stream(LONG | {"max_tokens": 200}) as response:
            response.readline()
            first = time.monotonic() - begin
            response.read()
        whole = time.monotonic() - begin
        checks.that("a short stream passes a proxy that collects", first < 0.5 * whole,
                    f"first event after {first:.3f} s of {whole:.3f}")


def check_boxes(checks, programs, folder):
    with contextlib.ExitStack() as running:
        boxes = [Midge(programs["midge"], folder) for _ in range(2)]
        for box in boxes:
            running.callback(end, box.process)
        proxy = Proxy(programs["nginx"], folder, "midge-boxes.conf", boxes)
        running.callback(end, proxy.process)
        statuses = [proxy.complete(SHORT)[0] for _ in range(20)]
        shares = [int(box.metric("midge_ended_total")) for box in boxes]
        checks.that("both boxes are asked", statuses == [200] * 20 and min(shares) >= 5, f"{shares}")
        with proxy.stream(LONG) as response:
            response.read(200)
            first, other = sorted(boxes, key=lambda box: -box.metric("midge_requests_running"))
            first.process.send_signal(signal.SIGTERM)
            statuses = [proxy.complete(SHORT)[0] for _ in range(20)]
            checks.that("one stops: the other takes what comes", statuses == [200] * 20,
                        f"{set(statuses)}")
            checks.that("the stream that it had ends as it should",
                        response.read().rstrip().endswith(b"data: [DONE]"))
        checks.that("it stops in good order", first.process.wait(60) == 0)
        statuses = [proxy.complete(SHORT)[0] for _ in range(20)]
        checks.that("it is gone: the other takes what comes", statuses == [200] * 20,
                        f"{set(statuses)}")
        end(other.process)
        status, text = proxy.complete(SHORT)
        checks.that("both are gone", (status, code_of(text)) == (503, "unavailable"))


def check_busy_boxes(checks, programs, folder):
    with contextlib.ExitStack() as running:
        options = ("--running", "1", "--queue", "0", "--threads", "1")
        boxes = [Midge(programs["midge"], folder, *options) for _ in range(2)]
        for box in boxes:
            running.callback(end, box.process)
        proxy = Proxy(programs["nginx"], folder, "midge-boxes.conf", boxes)
        running.callback(end, proxy.process)
        with proxy.stream(LONG) as one:
            one.read(200)
            free = min(boxes, key=lambda box: box.metric("midge_requests_running"))
            statuses = [proxy.complete(SHORT)[0] for _ in range(3)]
            checks.that("one is full: the other takes what comes", statuses == [200] * 3, f"{statuses}")
            with proxy.stream(LONG) as two:
                two.read(200)
                checks.that("a second stream goes to it", free.metric("midge_requests_running") == 1)
                answers = [proxy.complete(SHORT) for _ in range(4)]
                codes = sorted({f"{status} {code_of(text)}" for status, text in answers})
                checks.that("both are full: clients are told to wait",
                            all(status in (429, 503) for status, _ in answers), ", ".join(codes))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("midge", type=pathlib.Path)
    parser.add_argument("--keep", action="store_true", help="keep the temporary folders")
    arguments = parser.parse_args()
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    programs = {"midge": arguments.midge.resolve(), "nginx": shutil.which("nginx", path=path)}
    if programs["nginx"] is None or shutil.which("openssl") is None:
        print("skipped: needs nginx and openssl")
        return 77
    checks = Checks()
    for check in (check_one, check_forgotten_buffering, check_boxes, check_busy_boxes):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="midge-nginx-"))
        try:
            check(checks, programs, folder)
        finally:
            if arguments.keep:
                print(f"kept {folder}")
            else:
                shutil.rmtree(folder, ignore_errors=True)
    print(f"{checks.failed} checks failed" if checks.failed else "all checks hold")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
