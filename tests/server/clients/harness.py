"""A `midge serve` that runs, and what the checks of all clients share."""

import json
import os
import re
import signal
import subprocess
import threading
import urllib.request
from pathlib import Path

MODEL = "tiny-phi"
START_SECONDS = 300  # sanitizers take their time
STOP_SECONDS = 60


class CheckFailed(Exception):
    """Something is not as it should be; the text says what."""


def expect(is_so, what):
    if not is_so:
        raise CheckFailed(what)


def expect_equal(found, wanted, what):
    expect(found == wanted, f"{what}: {found!r}, expected {wanted!r}")


def run_midge(program, *arguments):
    """The standard output of a midge command."""
    command = [program, *map(str, arguments)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=START_SECONDS)
    expect(done.returncode == 0, f"{' '.join(command)}: code {done.returncode}\n{done.stderr}")
    return done.stdout


class Server:
    """`midge serve` on a free port of this machine."""

    def __init__(self, program, *options):
        # A key of the person who runs this is none of the test's.
        environment = {k: v for k, v in os.environ.items() if k != "MIDGE_API_KEY"}
        self.log = []
        self._serves = threading.Event()
        self._process = subprocess.Popen(
            [program, "serve", MODEL, "--port", "0", *map(str, options)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
        self.address = None  # http://HOST:PORT
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        if not self._serves.wait(START_SECONDS) or self.address is None:
            self._process.kill()
            raise CheckFailed("midge serve does not start:\n" + "".join(self.log))

    def _read_log(self):
        for line in self._process.stderr:
            self.log.append(line)
            found = re.match(r"serving \S+ at (http://\S+)/$", line)
            if found and self.address is None:
                self.address = found[1]
                self._serves.set()
        self._serves.set()

    @property
    def base_url(self):
        return self.address + "/v1"

    def post(self, path, body):
        """The JSON that answers a POST, without any client's own ways."""
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def stop(self):
        """Ends it as a service manager does; it must end well."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise CheckFailed(f"midge serve runs {STOP_SECONDS} s after SIGTERM") from None
        self._reader.join()
        expect(code == 0, f"midge serve ended with code {code}:\n" + "".join(self.log[-40:]))


class Context:
    """What a check is given."""

    def __init__(self, program, server, folder):
        self.program = str(program)
        self.server = server
        self.folder = Path(folder)  # for files; removed at the end

    def answer_of_run(self, prompt, *options):
        """What `midge run` answers to the same."""
        text = run_midge(self.program, "run", MODEL, prompt, "--temp", 0, "-q", *options)
        return text.removesuffix("\n")
