"""Use a page of this package as a reader does: by the keyboard, in a browser without a window.

    python tools/drive_pages.py explorer loss.html

Prints each fault; the exit status is 1 if there is one, and 77 if there is no browser here.
"""

import sys
from pathlib import Path

from check_pages import listen, run_in_browser

TELEPHONE = {"width": 380, "height": 800}


class Drive:
    "One page in a window, and the faults that were found on it"

    def __init__(self, browser, path, javascript=True):
        self.faults = []
        self.page = browser.new_page(
            viewport=TELEPHONE, java_script_enabled=javascript, accept_downloads=True
        )
        listen(self.page, self.faults)
        self.page.goto(Path(path).absolute().as_uri())

    def expect(self, what, found, wanted):
        "Note a fault if something is not as it should be"
        if found != wanted:
            self.faults.append(f"{what}: {found!r}, not {wanted!r}")

    def text(self, selector):
        "Text of the first element of a selector"
        return self.page.locator(selector).first.inner_text()

    def fits(self):
        "The page must not be wider than the window"
        width = self.page.evaluate("document.documentElement.scrollWidth")
        if width > TELEPHONE["width"]:
            self.faults.append(f"a page of {width} pixels on a telephone")


def drive_explorer(browser, path):
    "The figure of the loss: same numbers without its script, arrow keys move the sliders"
    still = Drive(browser, path, javascript=False)
    drive = Drive(browser, path)
    for selector in (".total", "table", "fieldset"):
        drive.expect(f"{selector} of the script", drive.text(selector), still.text(selector))
    for name in ("d", "cx", "aria-label"):
        read = f"[...document.querySelectorAll('svg, svg *')].map(e => e.getAttribute('{name}'))"
        drive.expect(f"{name} of the picture", drive.page.evaluate(read), still.page.evaluate(read))
    drive.fits()
    drive.expect("note on scripts", drive.page.locator(".still").is_visible(), False)
    before = drive.text(".total")
    drive.page.keyboard.press("Tab")
    focused = drive.page.evaluate("document.activeElement.getAttribute('aria-label')")
    drive.expect("first stop of Tab", focused, "Score of response 1 (best)")
    drive.page.keyboard.press("Home")
    drive.expect("value after Home", drive.text(".value"), "−3.00")
    drive.expect("pull after Home", drive.text(".pull"), "↑ 3")
    if drive.text(".total") == before:
        drive.faults.append(f"the loss stays at {before!r}")
    picture = drive.page.locator("svg").get_attribute("aria-label")
    drive.expect("picture in words", "response 1 (best): up by 3" in picture, True)
    drive.page.locator(".reset").press("Enter")
    drive.expect("loss after Reset", drive.text(".total"), before)
    return still.faults + drive.faults


DRIVES = {"explorer": drive_explorer}


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in DRIVES:
        print(f"usage: drive_pages.py {'|'.join(DRIVES)} PAGE")
        return 2
    name, page = sys.argv[1:]
    return run_in_browser(lambda browser: DRIVES[name](browser, page), name)


if __name__ == "__main__":
    sys.exit(main())
