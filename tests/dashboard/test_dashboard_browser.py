"""The dashboard's pages in a real browser: our figures and notes are there, whole and readable."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from made_runs import made_trial, many
from stored_runs import store_run

from schedsearch import FAMILIES
from schedsearch.dashboard.publish import publish
from schedsearch.dashboard.serve import serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OURS = '[id^="user-defined-plot:"]'
SHOWN = f"""() => [...document.querySelectorAll('{OURS}')].map(div => {{
  const box = div.getBoundingClientRect();
  const texts = [...div.querySelectorAll("text")]
    .filter(text => text.textContent.trim() && !text.closest(".hoverlayer"));
  const out = texts.filter(text => {{
    const at = text.getBoundingClientRect();
    return at.left < box.left - 1 || at.right > box.right + 1
        || at.bottom > box.bottom + 1 || at.top < box.top - 1;
  }});
  const ticks = [...div.querySelectorAll(".ytick text")].map(t => t.getBoundingClientRect());
  const over = ticks.filter((p, i) => ticks.slice(i + 1)
    .some(q => p.top < q.bottom - 3 && q.top < p.bottom - 3));
  const marks = div.querySelectorAll(".scatterlayer .js-line, .scatterlayer .point");
  return {{
    id: div.id.split(":")[1], marks: marks.length, width: box.width, height: box.height,
    titles: [".gtitle", ".xtitle", ".ytitle"].map(t => div.querySelector(t)?.textContent ?? ""),
    cut: out.map(text => text.textContent), over: over.length,
  }};
}})"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Serve the dashboard of a run of all families, and return its page."""
    trials = [*many(80), made_trial(80, "ReduceLROnPlateau+CosineAnnealingLR", loss=0.05)]
    run = store_run(tmp_path, {"made": trials})
    publish(run, tmp_path / "made" / "artifacts", seconds=0.5)
    said, stop = list[str](), threading.Event()
    options = {"browser": False, "tell": said.append, "until": stop.wait}
    thread = threading.Thread(target=serve, args=(run,), kwargs=options)
    thread.start()
    while thread.is_alive() and not said:
        time.sleep(0.01)
    assert said, "the dashboard ended before it served a page"
    yield said[0].removeprefix("dashboard: ")
    stop.set()
    thread.join()


def page(browser: "Browser", url: str) -> tuple["Page", list[str]]:
    tab = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
    wrong: list[str] = []
    tab.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.goto(url)
    return tab, wrong


@pytest.mark.slow
def test_the_study_page_shows_our_figures_and_its_note(browser: "Browser", address: str) -> None:
    tab, wrong = page(browser, address)
    tab.wait_for_function(f"document.querySelectorAll('{OURS} .gtitle').length === 4")
    figures = {figure["id"]: figure for figure in tab.evaluate(SHOWN)}
    assert set(figures) == {"convergence-0", "convergence-1", "rates-0", "families-0"}
    for name, figure in figures.items():
        assert figure["marks"] > (60 if name == "families-0" else 10), name
        assert figure["width"] > 500, name
        assert figure["height"] == 450, name
        title, along, up = figure["titles"]
        assert title, name
        assert along, name
        assert up or name == "families-0", name
        assert (figure["cut"], figure["over"]) == ([], 0), name
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1400
    assert wrong == []

    tab.goto(f"{address}/note")
    tab.get_by_role("heading", name="ReduceLROnPlateau+CosineAnnealingLR peak_lr=0.1").wait_for()
    assert tab.locator("table tbody tr").count() == len(FAMILIES)
    assert tab.locator("pre", has_text="schedsearch.Schedule(").count() == 1
    tab.locator("table a").first.click()
    tab.get_by_role("heading", name="Trial 80").wait_for()
    tab.get_by_text("The best of the search so far").wait_for()
    picture = tab.locator('img[alt="learning rate and losses of trial 80"]')
    picture.wait_for()
    assert picture.evaluate("img => img.decode().then(() => img.naturalWidth)") > 1000
    tab.get_by_text("trial-80-curve.csv").wait_for()
    assert wrong == []
