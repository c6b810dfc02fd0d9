// The colours of the theme for canvases, which know no CSS variables.

/** The present value of a colour of tokens.css, such as `--accent`, as `rgb(…)`. */
export function colour(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

export const SERIES = 8;

/** The name of the colour of a series. */
export function seriesColour(index: number): string {
  return `--series-${(index % SERIES) + 1}`;
}
