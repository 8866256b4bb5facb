"""Open HTML pages in a browser without a window, at the width of a telephone and of a wide screen, in light and in dark.

A message on the console, a request to anywhere, a page wider than the window, letters below 11 pixels or text with less contrast than 4.5 to 1
is a failure. Exit status 77: there is no browser here.
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

widths, themes = (400, 1400), ("light", "dark")

# What a reader could not read, found by the browser itself: colours are laid over each other from the element up to the page
look = r"""() => {
  const parse = s => { const m = s.match(/[\d.]+/g).map(Number); return [m[0], m[1], m[2], m.length>3 ? m[3] : 1] }
  const over = (a, b) => [0,1,2].map(i => a[i]*a[3]+b[i]*(1-a[3])).concat(1)
  const lum = c => { const f = x => (x /= 255)<=.03928 ? x/12.92 : ((x+.055)/1.055)**2.4; return .2126*f(c[0])+.7152*f(c[1])+.0722*f(c[2]) }
  const ratio = (a, b) => { const [x, y] = [lum(a), lum(b)].sort((p, q) => q-p); return (x+.05)/(y+.05) }
  const ground = e => { const stack = []; for (let o = e; o; o = o.parentElement) stack.push(parse(getComputedStyle(o).backgroundColor))
    const dark = matchMedia('(prefers-color-scheme: dark)').matches && getComputedStyle(document.documentElement).colorScheme.includes('dark')
    return stack.reverse().reduce((b, c) => over(c, b), dark ? [18,18,18,1] : [255,255,255,1]) }
  const bad = []
  const width = document.documentElement.clientWidth
  if (document.documentElement.scrollWidth>width+1) bad.push(`page of ${document.documentElement.scrollWidth} pixels`)
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walk.nextNode()) {
    const t = walk.currentNode, e = t.parentElement, s = getComputedStyle(e), text = t.data.trim()
    if (!text || ['STYLE','SCRIPT'].includes(e.tagName) || !e.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue
    const svg = e.closest('svg'), scale = svg && svg.viewBox.baseVal.width ? svg.getBoundingClientRect().width/svg.viewBox.baseVal.width : 1
    if (e.getBoundingClientRect().width===0) continue
    if (parseFloat(s.fontSize)*scale<SMALLEST) bad.push(`letters of ${(parseFloat(s.fontSize)*scale).toFixed(1)} pixels: ${text.slice(0, 30)}`)
    const g = ground(e), c = over(parse(svg ? s.fill : s.color), g)
    if (!(svg && svg.parentElement && svg.closest('[data-own-ground]')) && ratio(c, g)<4.5) bad.push(`contrast ${ratio(c, g).toFixed(1)}: ${text.slice(0, 30)}`)
  }
  return bad }"""


def find_browser():
    "A Chromium of this machine"
    return next(
        (
            p
            for o in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
            if (p := shutil.which(o))
        ),
        None,
    )


def check(browser, path, width, theme, shots, smallest):
    "One page in one window"
    bad, page = [], browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    page.on("console", lambda m: bad.append(f"console: {m.text}"))
    page.on("pageerror", lambda e: bad.append(f"error: {e}"))
    page.on(
        "request",
        lambda r: (
            None
            if r.url.startswith(("file:", "data:", "blob:"))
            else bad.append(f"request to {r.url}")
        ),
    )
    page.goto(path.absolute().as_uri())
    page.evaluate("() => document.querySelectorAll('details').forEach(o => o.open = true)")
    bad += page.evaluate(look.replace("SMALLEST", str(smallest)))
    if shots:
        page.screenshot(path=Path(shots) / f"{path.stem}-{width}-{theme}.png", full_page=True)
    page.close()
    return [f"{path.name} at {width}, {theme}: {o}" for o in bad]


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("pages", nargs="+", type=Path)
    p.add_argument("--shots", type=Path, help="folder for pictures of the pages")
    p.add_argument("--smallest", type=float, default=11, help="pixels of the smallest letters")
    a = p.parse_args()
    if not (exe := find_browser()):
        print("no browser here: install chromium or google-chrome")
        return 77
    if a.shots:
        a.shots.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as pw:
        browser = pw.chromium.launch(executable_path=exe, args=["--no-sandbox"])
        bad = [
            o
            for path in a.pages
            for w in widths
            for t in themes
            for o in check(browser, path, w, t, a.shots, a.smallest)
        ]
        browser.close()
    for o in bad:
        print(o)
    print(f"{len(a.pages)} pages, {len(bad)} faults")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
