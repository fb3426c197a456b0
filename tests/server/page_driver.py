#!/usr/bin/env python3
"""Drives the chat page of a running server in headless Chromium, and prints a line per check.

usage: page_driver.py URL SCREENSHOT_DIR [--key KEY] [--pace MS] [--ask TEXT] [--ask-long TEXT]

Needs Debian's package chromium (or another one, named by CHROMIUM) and `pip install playwright`,
whose own browsers are not needed. Screenshots go to SCREENSHOT_DIR. The exit status is 1 if a
check failed.

A small model answers within a frame of the screen. So the page is given the stream's events one
by one, MS milliseconds apart (100; 0 leaves the stream as it is): only then is an answer seen to
grow, and is there time to stop it.
"""

import argparse
import contextlib
import os
import pathlib
import sys
import time

from playwright.sync_api import Error, sync_playwright

LARGEST_PAGE = 40_000
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}

# Violations of the security policy are reported to the console as well, but not in every version.
WATCH_POLICY = """
  window.violations = [];
  document.addEventListener('securitypolicyviolation',
    (event) => window.violations.push(event.violatedDirective + ' ' + event.blockedURI));
"""

# fetch() whose event streams come slowly. Stopping works as it does without it.
PACE = """
  const real = window.fetch;
  window.fetch = async (path, options = {}) => {
    const response = await real(path, options);
    if (!(response.headers.get('Content-Type') ?? '').startsWith('text/event-stream')) return response;
    const reader = response.body.getReader(), decoder = new TextDecoder(), encoder = new TextEncoder();
    let text = '', ended = false;
    const nextEvent = async () => {
      while (!ended && !text.includes('\\n\\n')) {
        const { done, value } = await reader.read();
        text += decoder.decode(value, { stream: !done });
        ended = done;
      }
      const end = text.indexOf('\\n\\n');
      const event = end < 0 ? text : text.slice(0, end + 2);
      text = text.slice(event.length);
      return event;
    };
    return new Response(new ReadableStream({
      start: (out) => options.signal?.addEventListener('abort',
        () => { reader.cancel(); out.error(new DOMException('stopped', 'AbortError')); }),
      pull: async (out) => {
        const event = await nextEvent();
        await new Promise((go) => setTimeout(go, PACE_MS));
        if (options.signal?.aborted) return;
        if (event) out.enqueue(encoder.encode(event)); else out.close();
      },
    }, { highWaterMark: 0 }), response);
  };
"""

ANSWER = "article.answer:last-child"


class Checks:
    """Counts what failed, and goes on after it."""

    def __init__(self):
        self.failed = 0

    def that(self, name, holds, detail=""):
        self.failed += not holds
        print(("ok    " if holds else "FAIL  ") + name + (f": {detail}" if detail else ""), flush=True)

    @contextlib.contextmanager
    def part(self, name):
        try:
            yield
        except Error as error:
            self.that(name, False, str(error).splitlines()[0])


def open_page(browser, arguments, viewport=None, scheme="light", touch=False):
    """A page in a context of its own; what it complains about is collected in page.complaints."""
    context = browser.new_context(viewport=viewport or DESKTOP, color_scheme=scheme, has_touch=touch)
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda message: message.type in ("error", "warning")
            and page.complaints.append(message.text))
    page.add_init_script(WATCH_POLICY)
    if arguments.pace:
        page.add_init_script(PACE.replace("PACE_MS", str(arguments.pace)))
    if arguments.key:
        page.add_init_script(f"sessionStorage.setItem('midge.key', JSON.stringify({arguments.key!r}))")
    return page


def load(page, url):
    response = page.goto(url)
    page.wait_for_selector("#model option", state="attached")
    return response


def ask(page, text):
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def wait_until_answered(page, seconds=180):
    # No wait_for_function: it evaluates a string in the page, which the policy forbids.
    page.wait_for_selector("body:not(.busy)", timeout=1000 * seconds)


def answer_text(page):
    return page.inner_text(f"{ANSWER} .text")


def lengths_while_answering(page):
    """The lengths the answer had, one after another."""
    seen = []
    while page.evaluate("document.body.classList.contains('busy')"):
        length = len(answer_text(page))
        if not seen or length != seen[-1]:
            seen.append(length)
        time.sleep(0.02)
    return seen


def check_page_itself(checks, page, arguments):
    response = load(page, arguments.url)
    body = response.body()
    checks.that("the page is served", response.status == 200, f"{len(body)} bytes")
    checks.that("the page is small", len(body) <= LARGEST_PAGE)
    checks.that("nonces are filled in", b"@NONCE@" not in body and body.count(b"nonce=") == 2)
    policy = response.header_value("content-security-policy") or ""
    checks.that("a policy allows nothing by default", "default-src 'none'" in policy)
    names = page.eval_on_selector_all("#model option", "all => all.map((one) => one.value)")
    checks.that("models are listed", bool(names), ", ".join(names))


def check_answer(checks, page, arguments):
    ask(page, arguments.ask)
    page.wait_for_selector("article.answer")
    lengths = lengths_while_answering(page)
    checks.that("an answer grows", len(set(lengths)) >= 3, f"lengths {lengths[:8]}")
    checks.that("an answer is shown", bool(answer_text(page)), repr(answer_text(page)[:60]))
    figures = page.inner_text(f"{ANSWER} .figures")
    for part in ("tok/s", "first after", "prompt", "iB"):
        checks.that(f"figures tell '{part}'", part in figures, " | ".join(figures.split("\n")))
    checks.that("no trouble is shown", page.locator(".trouble:visible").count() == 0)


def check_again(checks, page):
    page.click(f"{ANSWER} .again")
    wait_until_answered(page)
    checks.that("an answer is made again", bool(answer_text(page))
                and page.locator("article.answer").count() == 1)


def check_stop(checks, page, arguments, way):
    """Stops a long answer, by the button or by Escape."""
    ask(page, arguments.ask_long)
    page.wait_for_selector(f"{ANSWER}.live .text > *")
    if way == "button":
        page.get_by_label("Stop", exact=True).click()
    else:
        page.keyboard.press("Escape")
    wait_until_answered(page, 5)
    length = len(answer_text(page))
    time.sleep(0.5)
    checks.that(f"an answer is stopped by {way}", "Stopped." in page.inner_text(ANSWER)
                and len(answer_text(page)) == length, f"{length} characters")


def check_reload(checks, page):
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Temperature").fill("0.5")
    page.keyboard.press("Escape")
    before = page.locator("#turns .text").all_inner_texts()
    page.reload()
    page.wait_for_selector("#model option", state="attached")
    checks.that("the conversation survives a reload",
                before and page.locator("#turns .text").all_inner_texts() == before,
                f"{len(before)} texts")
    checks.that("settings survive a reload", page.input_value("#temperature") == "0.5")
    kept = page.evaluate("JSON.stringify(localStorage)")
    key = page.evaluate("JSON.parse(sessionStorage.getItem('midge.key') ?? '\"\"')")
    checks.that("the key is not kept in localStorage", not key or key not in kept)


def check_new_chat(checks, page):
    count = page.locator("#turns article").count()
    page.get_by_role("button", name="New chat").click()
    checks.that("a new chat is empty", page.locator("#turns article").count() == 0)
    page.get_by_role("button", name="Bring back").click()
    checks.that("the last conversation comes back", page.locator("#turns article").count() == count)


def check_keyboard(checks, page):
    page.get_by_label("Message", exact=True).fill("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    value = page.get_by_label("Message", exact=True).input_value()
    checks.that("Shift and Enter begin a line", value == "one\ntwo", repr(value))
    page.get_by_label("Message", exact=True).fill("")
    nameless = page.eval_on_selector_all(
        "button, input, select, textarea",
        "all => all.filter((one) => !one.ariaLabel && !one.innerText.trim() && !one.textContent.trim()"
        " && !one.labels?.length).map((one) => one.outerHTML.slice(0, 60))")
    checks.that("every control has a name", not nameless, " ".join(nameless))


def check_quiet(checks, page, where):
    violations = page.evaluate("window.violations")
    checks.that(f"no violation of the policy, {where}", not violations, "; ".join(violations))
    checks.that(f"nothing on the console, {where}", not page.complaints,
                "; ".join(page.complaints)[:300])


def check_width(checks, page, name):
    wide = page.evaluate("document.scrollingElement.scrollWidth > innerWidth || "
                         "document.querySelector('main').scrollWidth > innerWidth")
    checks.that(f"nothing is wider than the screen, {name}", not wide)


def take_screenshots(checks, browser, arguments, name, viewport, scheme):
    page = open_page(browser, arguments, viewport, scheme, touch=viewport is PHONE)

    def shot(what):
        page.screenshot(path=arguments.screenshots / f"{name}-{scheme}-{what}.png")
        check_width(checks, page, f"{name} {scheme} {what}")

    load(page, arguments.url)
    shot("empty")
    ask(page, arguments.ask)
    page.wait_for_selector("article.answer")
    wait_until_answered(page)
    ask(page, arguments.ask_long)
    page.wait_for_selector(f"{ANSWER}.live .text > *")
    shot("answering")
    page.keyboard.press("Escape")
    wait_until_answered(page)
    shot("stopped")
    page.get_by_role("button", name="Settings").click()
    page.wait_for_timeout(300)
    shot("settings")
    check_quiet(checks, page, f"{name} {scheme}")
    page.context.close()


def check_functions(checks, browser, arguments):
    page = open_page(browser, arguments)
    parts = [("loading", lambda: check_page_itself(checks, page, arguments)),
             ("answering", lambda: check_answer(checks, page, arguments)),
             ("answering again", lambda: check_again(checks, page)),
             ("stopping by button", lambda: check_stop(checks, page, arguments, "button")),
             ("stopping by Escape", lambda: check_stop(checks, page, arguments, "Escape")),
             ("reloading", lambda: check_reload(checks, page)),
             ("a new chat", lambda: check_new_chat(checks, page)),
             ("the keyboard", lambda: check_keyboard(checks, page)),
             ("quiet", lambda: check_quiet(checks, page, "all along"))]
    for name, check in parts:
        with checks.part(name):
            check()
    page.context.close()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("screenshots", type=pathlib.Path)
    parser.add_argument("--key", help="the API key, if the server asks for one")
    parser.add_argument("--pace", type=int, default=100, metavar="MS")
    parser.add_argument("--ask", default="What is 7 + 5?")
    parser.add_argument("--ask-long", default="Count from 1 to 300, one number a line.")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    arguments.screenshots.mkdir(parents=True, exist_ok=True)
    checks = Checks()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"])
        check_functions(checks, browser, arguments)
        for name, viewport in (("phone", PHONE), ("desktop", DESKTOP)):
            for scheme in ("light", "dark"):
                with checks.part(f"screenshots, {name} {scheme}"):
                    take_screenshots(checks, browser, arguments, name, viewport, scheme)
        browser.close()
    print(f"{checks.failed} checks failed" if checks.failed else "all checks hold")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
