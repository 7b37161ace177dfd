"""The report in a real browser: no errors, no requests, every section, and a legend that works."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from made_runs import confirmed_run, embedded, made_run, made_trial, many

from schedsearch.report.page import report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# By family, over all panels: how many traces are on the page, and how many of them can be seen.
COUNT = """family => {
  let all = 0, seen = 0;
  for (const div of document.querySelectorAll(".panel")) {
    for (const trace of div.data) {
      if (trace.meta.family === family) { all += 1; seen += trace.visible === true; }
    }
  }
  return [all, seen];
}"""
DRAWN = """() => [...document.querySelectorAll(".panel")].map(div => {
  const box = div.getBoundingClientRect();
  const drawn = ".scatterlayer .js-line, .scatterlayer .point, .barlayer path";
  const marks = div.querySelectorAll(drawn);
  return [div.id, box.width, box.height, marks.length, box.right];
})"""
CUT = """() => [...document.querySelectorAll(".panel")].flatMap(div => {
  const box = div.getBoundingClientRect();
  return [...div.querySelectorAll(".xtick text, .ytick text, .xtitle, .ytitle, .annotation-text")]
    .map(text => [text.textContent, text.getBoundingClientRect()])
    .filter(([_, at]) => at.left < box.left - 1 || at.right > box.right + 1
                         || at.bottom > box.bottom + 1 || at.top < box.top - 1)
    .map(([text]) => `${div.id}: ${text}`);
})"""
OVERLAP = """() => [...document.querySelectorAll(".panel")].flatMap(div =>
  [".xtick text", ".ytick text"].flatMap(ticks => {
    const at = [...div.querySelectorAll(ticks)]
      .map(t => [t.textContent, t.getBoundingClientRect()]);
    return at.flatMap(([a, p], i) => at.slice(i + 1)
      .filter(([_, q]) => p.left < q.right - 1 && q.left < p.right - 1
                          && p.top < q.bottom - 2 && q.top < p.bottom - 2)
      .map(([b]) => `${div.id}: ${a} on ${b}`));
  }))"""


Open = Callable[..., tuple["Page", list[str]]]


@pytest.fixture
def opened(browser: "Browser", tmp_path: Path) -> Iterator[Open]:
    """Return an opener of pages: the page, and what went wrong on it."""
    contexts = []

    def show(page: str, **options: Any) -> tuple["Page", list[str]]:
        path = tmp_path / "it's a report.html"
        path.write_text(page)
        context = browser.new_context(**options)
        contexts.append(context)
        tab = context.new_page()
        wrong: list[str] = []
        tab.add_init_script("window.alert = text => { throw new Error(text); }")
        tab.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        tab.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        tab.on("dialog", lambda dialog: dialog.dismiss())
        tab.on(
            "request",
            lambda request: None if request.url == path.as_uri() else wrong.append(request.url),
        )
        tab.goto(path.as_uri())
        tab.wait_for_selector("html[data-drawn]", timeout=60_000)
        return tab, wrong

    yield show
    for context in contexts:
        context.close()


SIZES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1200, "height": 900}},
    "phone": {"viewport": {"width": 375, "height": 800}, "has_touch": True},
}


def assert_whole(tab: "Page", page: str, width: int) -> None:
    """Check that a page shows all that it holds: no empty panel, nothing cut, nothing overlapping.

    Where there is no panel at all, the answer and what reproduces it are there.
    """
    titles = tab.locator("section.figure h2").all_inner_texts()
    assert len(titles) == page.count('class="figure"')
    assert tab.evaluate("document.documentElement.scrollWidth") <= width, "no sideways scrolling"
    panels = tab.evaluate(DRAWN)
    assert len(panels) == page.count('class="panel"')
    for name, wide, high, marks, right in panels:
        assert marks > 0, f"{name} is empty"
        assert wide > 300, name
        assert high > 150, name
        assert right <= width, name
    assert tab.evaluate(CUT) == []
    assert tab.evaluate(OVERLAP) == []
    told = tab.locator(".panel .xtitle").all_text_contents()
    labels = [p["layout"]["xaxis"]["title"]["text"] for p in embedded(page)["panels"]]
    assert told == [label.replace("<br>", "") for label in labels]
    assert tab.locator(".headline").first.is_visible()
    assert tab.locator(".provenance").last.is_visible()


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_a_page_shows_every_section_whole(opened: Open, size: str) -> None:
    long = "ReduceLROnPlateau+CosineAnnealingLR"
    trials = [*many(120), made_trial(120, "StepLR", rungs=[(200, 0.5), (600, 0.3)])]
    trials += [made_trial(121 + i, long, peak_lr=0.003 * 1.1**i) for i in range(30)]
    trials += [made_trial(151 + i, long, loss=0.2 + i / 100) for i in range(10)]
    run = made_run(trials)
    page = report([run])
    tab, wrong = opened(page, **SIZES[size])
    assert wrong == []
    assert page.count('class="figure"') == 10
    assert_whole(tab, page, SIZES[size]["viewport"]["width"])


def ranked() -> Any:
    """Make a run in which each family has a study of its own."""
    return made_run(many(90), "ranked", ranks=True)


ODD: dict[str, tuple[Callable[[], Any], set[str], set[str]]] = {
    "one trial": (lambda: made_run([made_trial(0, "StepLR")]), {"winner"}, {"importance"}),
    "all diverged": (
        lambda: made_run([made_trial(i, "StepLR", state="diverged") for i in range(3)]),
        {"families", "budget"},
        {"winner", "convergence", "compute"},
    ),
    "one family": (
        lambda: made_run([made_trial(i, "SWALR", loss=0.1 + i / 90) for i in range(30)]),
        {"convergence", "importance"},
        {"fidelity"},
    ),
    "a thousand trials": (lambda: confirmed_run(1000), {"confirmation", "importance"}, set()),
    "a study per family": (ranked, {"convergence", "families", "compute"}, {"confirmation"}),
    "a confirmation": (confirmed_run, {"confirmation", "convergence"}, {"fidelity"}),
    "nothing finished": (lambda: made_run([]), set(), {"winner", "families"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("odd", ODD)
def test_reports_of_odd_studies_are_whole(opened: Open, odd: str) -> None:
    make, has, lacks = ODD[odd]
    run = make()
    page = report([run])
    size = "phone" if odd == "a confirmation" else "desktop"
    tab, wrong = opened(page, **SIZES[size])
    assert wrong == []
    assert_whole(tab, page, SIZES[size]["viewport"]["width"])
    names = tab.locator("section.figure").evaluate_all("all => all.map(s => s.dataset.figure)")
    assert has <= set(names)
    assert not lacks & set(names)
    points = "all => all.flatMap(div => div.data.map(t => t.x.length)).reduce((a, b) => a + b, 0)"
    trials = tab.locator('[data-figure="families"] .panel').evaluate_all(points)
    assert trials == len(run.trials), "all trials of all studies have a point"
    assert tab.locator(".legend .family").count() == len(run.families())


@pytest.mark.slow
def test_the_legend_hides_a_band_with_its_line(opened: Open) -> None:
    run = confirmed_run()
    assert run.confirmed is not None
    family = run.confirmed.winner.finalist.schedule.family
    tab, wrong = opened(report([run]), **SIZES["desktop"])
    panels = '[data-figure="convergence"] .panel'
    seen = f"""family => [...document.querySelectorAll('{panels}')].flatMap(div =>
      div.data.filter(t => t.meta.family === family && t.visible === true)
                     .map(t => t.meta.kind))"""
    filled = tab.locator('[data-figure="convergence"] .fills path.js-fill')
    before = filled.count()
    assert sorted(tab.evaluate(seen, family)) == ["band", "band", "line", "line"]
    tab.locator(f'.legend [data-family="{family}"]').click()
    assert tab.evaluate(seen, family) == []
    assert filled.count() == before - 2
    assert wrong == []


@pytest.mark.slow
def test_the_legend_switches_a_family_in_all_figures(opened: Open) -> None:
    tab, wrong = opened(report([made_run(many(120))]), **SIZES["desktop"])
    button = tab.locator('.legend [data-family="StepLR"]')
    everything, seen = tab.evaluate(COUNT, "StepLR")
    assert everything == seen > 8
    other = tab.evaluate(COUNT, "Constant")
    button.click()
    assert tab.evaluate(COUNT, "StepLR") == [everything, 0]
    assert tab.evaluate(COUNT, "Constant") == other, "the others stay"
    assert button.get_attribute("aria-pressed") == "false"
    assert tab.locator('tr[data-family="StepLR"]').get_attribute("class") == "off"
    button.click()
    assert tab.evaluate(COUNT, "StepLR") == [everything, everything]
    tab.locator("#every").click()
    assert tab.evaluate(COUNT, "Constant")[1] == tab.evaluate(COUNT, "StepLR")[1] == 0
    tab.locator("#every").click()
    assert tab.evaluate(COUNT, "Constant") == other
    assert wrong == []


@pytest.mark.slow
def test_hover_shows_the_schedule(opened: Open) -> None:
    run = made_run([made_trial(0, "StepLR", loss=0.2), made_trial(1, "StepLR", loss=0.3)])
    tab, _ = opened(report([run]), **SIZES["desktop"])
    point = tab.locator('[data-figure="families"] .scatterlayer .point').first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = tab.locator('[data-figure="families"] .hovertext')
    label.wait_for(timeout=5000)
    assert "StepLR peak_lr=0.1 step_frac=0.333" in (label.text_content() or "")


@pytest.mark.slow
def test_a_dark_page_is_dark_and_changes_with_the_system(opened: Open) -> None:
    background = """() => [getComputedStyle(document.body).backgroundColor,
        getComputedStyle(document.querySelector(".panel .main-svg")).backgroundColor,
        getComputedStyle(document.querySelector(".panel .xtick text")).fill]"""
    tab, wrong = opened(report([made_run(many(30))]), color_scheme="dark", **SIZES["desktop"])
    assert tab.evaluate(background) == ["rgb(20, 23, 26)", "rgb(20, 23, 26)", "rgb(230, 233, 236)"]
    tab.emulate_media(color_scheme="light")
    tab.wait_for_function(f"() => ({background})()[1] === 'rgb(255, 255, 255)'")
    assert tab.evaluate(background)[2] == "rgb(29, 33, 37)"
    assert wrong == []


@pytest.mark.slow
def test_a_name_with_a_script_in_it_is_a_name(opened: Open) -> None:
    name = """<script>alert(1)<!--"'"""
    tab, wrong = opened(report([made_run([made_trial(0, "StepLR")], name=name)]))
    assert wrong == []
    assert tab.locator("h1").inner_text().startswith(name)
