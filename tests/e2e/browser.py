"""Debian's Chromium, headless and in its sandbox, driven by Playwright.

Chromium has no sandbox when root runs it, so root's tests run it as `nobody`, with a folder of its
own. Where it cannot run in its sandbox (no user namespaces and no setuid helper either), the tests
that use it are skipped and say why; it never runs without.
"""

import contextlib
import os
import pwd
import shutil
import tempfile
from pathlib import Path

import playwright.sync_api as playwright
import pytest

from programs import ANSWER

CHROMIUM = "/usr/bin/chromium"
MILLISECONDS = 1000 * ANSWER

WRAPPER = """#!/bin/sh
exec setpriv --reuid={user.pw_uid} --regid={user.pw_gid} --clear-groups --inh-caps=-all \\
  --reset-env env HOME='{home}' TMPDIR='{home}' {chromium} "$@"
"""

# A page's promise that never settles must fail the test and not hang it.
BOUNDED = """
async given => {{
  const late = new Promise((_, fail) =>
    setTimeout(() => fail(new Error("nothing came in the page")), {milliseconds}));
  return await Promise.race([({script})(given), late]);
}}
"""


def in_page(page, script, given=None):
    """What an async function of JavaScript returns in the page."""
    return page.evaluate(BOUNDED.format(script=script, milliseconds=MILLISECONDS), given)


def start_in_page(page, script, given=None):
    """Begins it; `finished(page)` is what it returned."""
    started = BOUNDED.format(script=script, milliseconds=MILLISECONDS)
    page.evaluate(f"given => {{ window.started = ({started})(given); }}", given)


def finished(page):
    return page.evaluate("() => window.started")


@contextlib.contextmanager
def folder_of_browser():
    """(executable, folder) for whoever runs the tests."""
    # Not pytest's folder, which is its owner's alone.
    with tempfile.TemporaryDirectory(prefix="simplon-browser-") as name:
        folder = Path(name)
        home = folder / "home"
        profile = home / "profile"
        profile.mkdir(parents=True)
        if os.geteuid() != 0:
            yield CHROMIUM, home
            return
        user = pwd.getpwnam("nobody")
        folder.chmod(0o755)
        for owned in (home, profile):
            os.chown(owned, user.pw_uid, user.pw_gid)
        wrapper = folder / "chromium"
        wrapper.write_text(WRAPPER.format(user=user, home=home, chromium=CHROMIUM))
        wrapper.chmod(0o755)
        yield str(wrapper), home


@contextlib.contextmanager
def chromium():
    """A context of a running browser."""
    if not shutil.which(CHROMIUM):
        pytest.skip(f"{CHROMIUM} is not installed (Debian's chromium)")
    with folder_of_browser() as (executable, home), playwright.sync_playwright() as driver:
        try:
            context = driver.chromium.launch_persistent_context(
                home / "profile",
                executable_path=executable,
                headless=True,
                chromium_sandbox=True,
                downloads_path=home,
                timeout=MILLISECONDS,
            )
        except playwright.Error as error:
            pytest.skip("Chromium does not start in its sandbox here: " + reason(error))
        context.set_default_timeout(MILLISECONDS)
        with contextlib.closing(context):
            yield context


def reason(error):
    """The line that says it, of Playwright's many."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if "[err]" in line]
    telling = [line for line in said if "FATAL" in line or "sandbox" in line.lower()]
    return (telling or lines or ["no reason given"])[0]


def sandbox_report(context):
    """What the browser says about its sandbox."""
    page = context.new_page()
    page.goto("chrome://sandbox")
    try:
        return page.locator("body").inner_text()
    finally:
        page.close()
