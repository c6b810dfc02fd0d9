// The statuses of values: what they mean, and their colours in charts and heat maps.

interface Meaning {
  text: string;
  colour: string;
}

const MEANINGS: Readonly<Record<string, Meaning>> = {
  OK: { text: "the value is there", colour: "--good" },
  ROUGH_SE: { text: "the standard error is rough; use the interval", colour: "--series-6" },
  STALE_BUDGET: { text: "the last value: a later day had no budget left", colour: "--series-2" },
  VOID: { text: "the pane was not opened, or was retracted", colour: "--bad" },
  LOW_COVERAGE: { text: "too few panes of the window were opened", colour: "--series-7" },
  DROWNED: { text: "n is too small against its noise", colour: "--line-strong" },
  SUPPRESSED: { text: "the noised count of clients is below the limit", colour: "--series-4" },
  OUTSIDE_MAX_AGE: { text: "the row is older than the view's ttl", colour: "--series-3" },
  NOT_FOUND: { text: "no such key, or no row yet", colour: "--series-8" },
  UNDEFINED: { text: "the function of an on-demand view returned none", colour: "--series-5" },
};

/** What a status says about a value. */
export function meaningOf(status: string): string {
  return MEANINGS[status]?.text ?? "";
}

/** The name of the colour of a status. */
export function statusColour(status: string): string {
  return MEANINGS[status]?.colour ?? "--text-2";
}
