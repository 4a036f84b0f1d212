"""The tutorial's page and the site itself, as a person meets them, in Debian's chromium."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.conftest import PATIENCE
from tests.docs.pages import DOCS, ROOT, write_files
from tests.process import running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ELSEWHERE = re.compile(
    r"""(?:<(?:script|img|iframe|source)\b[^>]*\bsrc|<link\b[^>]*\bhref)=["']?
    (?:https?:)?//(?!127\.)[^>"']+ | @import[^;]+// | url\(["']?(?:https?:)?//[^)]+""",
    re.X,
)
CANONICAL = re.compile(r"""<link\b[^>]*rel=["']?(?:canonical|prev|next)""")

pytestmark = [pytest.mark.timeout(90)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        reason = "chromium is not installed: `apt-get install chromium` lets the browser tests run"
        if os.environ.get("LONGWIRE_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("material") is None:
        pytest.skip("what makes the site is not installed: `make docs` does that")
    target = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(target)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout
    return target


def quiet_page(browser: Browser) -> Page:
    """Return a page of a browser in which nothing may ask for anything outside of this machine."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    strange: list[str] = []
    page.on("request", lambda r: strange.append(r.url) if is_elsewhere(r.url) else None)
    page.on("pageerror", lambda error: strange.append(str(error)))
    page.strange = strange  # type: ignore[attr-defined]
    return page


def is_elsewhere(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "file://", "data:", "blob:", "about:"))


def test_the_tutorials_page_echoes(browser: Browser, tmp_path: Path) -> None:
    write_files("tutorial/first.md", tmp_path)
    with running("app:app", "--port=0", cwd=tmp_path) as server:
        page = browser.new_page()
        page.goto(server.url)
        page.locator("input").fill("hello")
        page.get_by_role("button").click()
        expect(page.locator("pre")).to_have_text("open\nEcho: hello\n")
        server.popen.terminate()
        expect(page.locator("pre")).to_contain_text("closed with 1012")
        page.close()


def test_the_rooms_page_chats_in_two_tabs(browser: Browser, tmp_path: Path) -> None:
    write_files("tutorial/rooms.md", tmp_path)
    with running("app:app", "--port=0", cwd=tmp_path) as server:
        ada, bob = browser.new_page(), browser.new_page()
        for page in (ada, bob):
            page.goto(server.url)
            expect(page.locator("pre")).to_contain_text("came")
        ada.locator("input").fill("hello")
        ada.get_by_role("button").click()
        for page in (ada, bob):
            expect(page.locator("pre")).to_contain_text('"text": "hello"')
            page.close()


def test_a_page_for_everything_and_nothing_from_elsewhere(site: Path) -> None:
    pages = {path.relative_to(site).with_suffix(".md").as_posix() for path in site.rglob("*.html")}
    assert pages == {p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md")} | {"404.md"}
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        for found in ELSEWHERE.finditer(path.read_text("utf-8")):
            assert CANONICAL.match(found[0]), f"{path.name}: {found[0]}"


def test_the_search_works_on_files_alone(browser: Browser, site: Path) -> None:
    page = quiet_page(browser)
    page.goto(f"file://{site}/how-to/deploy.html")
    page.get_by_label("Search").first.click()
    page.get_by_role("textbox", name="Search").press_sequentially("backpressure")
    expect(page.locator(".md-search-result__item").first).to_be_visible()
    expect(page.locator(".md-search-result__list")).to_contain_text("Backpressure and bounds")
    assert page.strange == []  # type: ignore[attr-defined]
    page.close()


def test_options_and_names_are_those_of_the_code(site: Path) -> None:
    from longwire import documents, hub, toolkit
    from longwire.cli.serve import serve

    options = (site / "reference" / "options.html").read_text("utf-8")
    for parameter in serve.params:
        for flag in (*parameter.opts, *parameter.secondary_opts):
            assert flag == "app" or f"<code>{flag}</code>" in options, flag
    for module, page in ((hub, "hub"), (toolkit, "toolkit"), (documents, "documents")):
        text = (site / "reference" / f"{page}.html").read_text("utf-8")
        for name in module.__all__:
            assert f"{module.__name__}.{name}" in text, name
