"""Pictures of parts of a run's report, in light and in dark, as Chromium shows them."""

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from schedsearch import open_run
from schedsearch.report.page import export_report

# name -> what of the page is shown
PICTURES = {
    "answer": "header, .answer, [data-figure='confirmation']",
    "convergence": ".legend, [data-figure='convergence']",
}
WIDTH, COLOURS = 900, 128  # few enough for a small file
KEEP = """shown => {
  const kept = [...document.querySelectorAll(shown)];
  const hide = [...document.querySelectorAll("header, .legend, article > section, .every, .made")];
  for (const each of hide) if (!kept.includes(each)) each.style.display = "none";
  document.querySelector(".legend").style.border = "none";
  document.body.style.padding = "0 1rem 1rem";
}"""


def take(page: Page, report: Path, shown: str, path: Path) -> None:
    """Open a report, hide all but a part, and write what is seen."""
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-drawn]")
    page.evaluate(KEEP, shown)
    page.wait_for_timeout(300)  # the figures take the room that they have now
    seen = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    seen.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Write the pictures, and print where."""
    parser = argparse.ArgumentParser(prog="scripts/pictures", description=__doc__)
    parser.add_argument("run", help="a run's folder")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    args = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("scripts/pictures: needs Chromium (Debian: apt install chromium)")
    args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as started:
        report = Path(temporary) / "report.html"
        export_report([open_run(args.run)], report)
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(
                color_scheme=scheme,
                viewport={"width": WIDTH, "height": 100},
                device_scale_factor=1.5,
            )
            for name, shown in PICTURES.items():
                path = args.folder / f"{name}-{scheme}.png"
                take(page, report, shown, path)
                print(f"{path} ({path.stat().st_size / 1000:.0f} kB)")
        browser.close()


if __name__ == "__main__":
    main()
