// What a reader could not read, found by the browser itself. Colours are laid over each other
// from the element up to the page. Called with the smallest size of letters in pixels.
(smallest) => {
  const parse = (color) => {
    const parts = color.match(/[\d.]+/g).map(Number)
    return [parts[0], parts[1], parts[2], parts.length > 3 ? parts[3] : 1]
  }
  const over = (above, below) =>
    [0, 1, 2].map((i) => above[i] * above[3] + below[i] * (1 - above[3])).concat(1)
  const linear = (x) => ((x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
  const luminance = (c) => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2])
  const contrast = (a, b) => {
    const [light, dark] = [luminance(a), luminance(b)].sort((p, q) => q - p)
    return (light + 0.05) / (dark + 0.05)
  }
  const background = (element) => {
    const layers = []
    for (let e = element; e; e = e.parentElement) {
      layers.push(parse(getComputedStyle(e).backgroundColor))
    }
    const scheme = getComputedStyle(document.documentElement).colorScheme
    const dark = matchMedia('(prefers-color-scheme: dark)').matches && scheme.includes('dark')
    const page = dark ? [18, 18, 18, 1] : [255, 255, 255, 1]
    return layers.reverse().reduce((below, above) => over(above, below), page)
  }

  const bad = []
  const root = document.documentElement
  if (root.scrollWidth > root.clientWidth + 1) bad.push(`page of ${root.scrollWidth} pixels`)
  for (const figure of document.querySelectorAll('figure svg:not([aria-hidden]), img')) {
    const text = figure.getAttribute('aria-label') || figure.getAttribute('alt')
    if (!text) bad.push('figure without an alternative text')
  }
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walk.nextNode()) {
    const text = walk.currentNode.data.trim()
    const element = walk.currentNode.parentElement
    const visible = element.checkVisibility({ opacityProperty: true, visibilityProperty: true })
    if (!text || ['STYLE', 'SCRIPT'].includes(element.tagName) || !visible) continue
    if (element.getBoundingClientRect().width === 0) continue
    const start = text.slice(0, 30)
    const style = getComputedStyle(element)
    const svg = element.closest('svg')
    const drawn = svg && svg.viewBox.baseVal.width
    const scale = drawn ? svg.getBoundingClientRect().width / drawn : 1
    const size = parseFloat(style.fontSize) * scale
    if (size < smallest) bad.push(`letters of ${size.toFixed(1)} pixels: ${start}`)
    const below = background(element)
    const ratio = contrast(over(parse(svg ? style.fill : style.color), below), below)
    const ownGround = svg && svg.parentElement && svg.closest('[data-own-ground]')
    if (!ownGround && ratio < 4.5) bad.push(`contrast ${ratio.toFixed(1)}: ${start}`)
  }
  return bad
}
