"""Open HTML pages in a browser without a window, in two widths and in light and dark.

The widths are those of a telephone and of a wide screen. A failure is: a message on the console,
a request to anywhere, a page wider than the window, letters below 11 pixels, text with less
contrast than 4.5 to 1, or a figure without a text in its place (`look.js`). With `--opening 3` the
first section of a report has to begin within three screens of 1,400 by 900 pixels. Exit status 77:
there is no browser here.
"""

import argparse
import shutil
import sys
from itertools import product
from pathlib import Path

from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = (400, 1400)
HEIGHT = 900
THEMES = ("light", "dark")
LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8")


def find_browser():
    "Path of a Chromium of this machine, None if there is none"
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    return found[0] if found else None


def listen(page, faults):
    "Add what a page says on its console and asks of others to a list of faults"

    def on_request(request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            faults.append(f"request to {request.url}")

    page.on("console", lambda message: faults.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on("request", on_request)


def run_in_browser(
    find_faults,  # Function of a browser; returns a list of faults
    what,  # What was looked at
):  # Exit status: 1 if there is a fault, 77 if there is no browser here
    "Print each fault of pages in a browser without a window"
    program = find_browser()
    if not program:
        print("no browser here: install chromium or google-chrome")
        return 77
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        faults = find_faults(browser)
        browser.close()
    for fault in faults:
        print(fault)
    print(f"{what}, {len(faults)} faults")
    return int(bool(faults))


def screens_before_sections(page):
    "Height of what stands above the first section, in screens; None for a page without sections"
    top = page.evaluate(
        "() => { const h = document.querySelector('h2');"
        " return h && h.getBoundingClientRect().top + scrollY }"
    )
    return None if top is None else top / HEIGHT


def check(browser, path, width, theme, smallest, shots=None, opening=None):
    "Faults of one page in one window"
    faults = []
    page = browser.new_page(viewport={"width": width, "height": HEIGHT}, color_scheme=theme)
    listen(page, faults)
    page.goto(path.absolute().as_uri())
    if opening is not None and width == max(WIDTHS):
        screens = screens_before_sections(page)
        if screens is None:
            faults.append("no sections")
        elif screens > opening:
            faults.append(f"{screens:.1f} screens before the first section")
    page.evaluate("() => document.querySelectorAll('details').forEach(o => o.open = true)")
    faults += page.evaluate(LOOK, smallest)
    if shots:
        page.screenshot(path=shots / f"{path.stem}-{width}-{theme}.png", full_page=True)
    page.close()
    return [f"{path.name} at {width}, {theme}: {fault}" for fault in faults]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--shots", type=Path, help="folder for pictures of the pages")
    parser.add_argument("--opening", type=float, help="most screens before the first section")
    parser.add_argument("--smallest", type=float, default=11, help="pixels of the smallest letters")
    args = parser.parse_args()
    if args.shots:
        args.shots.mkdir(parents=True, exist_ok=True)

    def find_faults(browser):
        faults = []
        for path, width, theme in product(args.pages, WIDTHS, THEMES):
            faults += check(
                browser, path, width, theme, args.smallest, shots=args.shots, opening=args.opening
            )
        return faults

    return run_in_browser(find_faults, f"{len(args.pages)} pages")


if __name__ == "__main__":
    sys.exit(main())
