"""curl against the server."""

import json
import shutil
import subprocess

from clients.harness import MODEL, expect, expect_equal


def missing():
    return None if shutil.which("curl") else "no curl"


def curl(context, path, *options, body=None):
    """(status, body, what -v says) of a request."""
    command = ["curl", "--silent", "--show-error", "--verbose", "--noproxy", "*", "--max-time", "120",
               "--write-out", "\n%{http_code}", *options, context.server.address + path]
    if body is not None:
        command += ["--header", "Content-Type: application/json", "--data-binary", "@-"]
    done = subprocess.run(command, input=body or "", capture_output=True, text=True, timeout=180)
    expect_equal(done.returncode, 0, f"exit code of curl {path}\n{done.stderr[-2000:]}\n")
    text, _, status = done.stdout.rpartition("\n")
    return int(status), text, done.stderr


def check_health(context):
    """GET /health"""
    status, text, _ = curl(context, "/health")
    expect_equal((status, text), (200, '{"status":"ok"}'), "/health")


def check_models(context):
    """GET /v1/models"""
    status, text, _ = curl(context, "/v1/models")
    expect_equal(status, 200, "status")
    expect_equal([model["id"] for model in json.loads(text)["data"]], [MODEL], "models")


def check_stream(context):
    """a chat, streamed (-N)"""
    question = {"messages": [{"role": "user", "content": "What is 7 + 5?"}], "temperature": 0}
    whole = json.loads(curl(context, "/v1/chat/completions", body=json.dumps(question))[1])
    status, text, said = curl(context, "/v1/chat/completions", "-N",
                              body=json.dumps({**question, "stream": True}))
    expect_equal(status, 200, "status")
    expect("content-type: text/event-stream" in said.lower(), f"no event stream: {said}")
    events = text.removesuffix("\n\n").split("\n\n")
    expect(all(event.startswith("data: ") for event in events), f"other lines than data: {text}")
    expect_equal(events[-1], "data: [DONE]", "the last event")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    pieces = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    expect_equal("".join(pieces), whole["choices"][0]["message"]["content"], "streamed text")
    expect(sum(1 for piece in pieces if piece) > 1, f"the text came at once: {text}")
    expect_equal(chunks[-1]["choices"][0]["finish_reason"], "stop", "finish_reason")


def check_large_body(context):
    """a body over 1 MB, for which curl waits (Expect: 100-continue)"""
    # What says who asks has no influence.
    body = {"prompt": "Once", "max_tokens": 4, "temperature": 0}
    small = json.loads(curl(context, "/v1/completions", body=json.dumps(body))[1])
    status, text, said = curl(context, "/v1/completions",
                              body=json.dumps({**body, "user": "u" * 1_500_000}))
    expect("> Expect: 100-continue" in said, "curl did not ask by Expect")
    expect("< HTTP/1.1 100 Continue" in said, f"no 100 Continue:\n{said[:2000]}")
    expect_equal(status, 200, f"status of {text[:500]}")
    expect_equal(json.loads(text)["choices"][0]["text"], small["choices"][0]["text"], "text")


def check_too_long(context):
    """a prompt over 1 MB is refused with 400"""
    status, text, _ = curl(context, "/v1/completions", body=json.dumps({"prompt": "cat " * 400_000}))
    expect_equal(status, 400, f"status of {text[:500]}")
    expect_equal(json.loads(text)["error"]["code"], "context_length_exceeded", "code")


def check_refused_expectation(context):
    """a body over the limit is refused with 413, and not sent"""
    status, text, said = curl(context, "/v1/completions", body=" " * (9 << 20))
    expect_equal(status, 413, f"status of {text[:500]}")
    expect("100 Continue" not in said, "it was asked for all the same")


def check_bad_request(context):
    """a body that is no JSON is refused with 400"""
    status, text, _ = curl(context, "/v1/chat/completions", body="{")
    expect_equal(status, 400, f"status of {text[:500]}")
    expect_equal(json.loads(text)["error"]["type"], "invalid_request_error", "type")


CHECKS = [check_health, check_models, check_stream, check_large_body, check_too_long,
          check_refused_expectation, check_bad_request]
