// How the time axis of a chart writes times: as the rest of the page does, year, month, day, and in UTC.

import uPlot from "uplot";

const DAY = 86_400;
/** How times are written, by the distance of two of them in seconds: the text of each, and what stands below where it changes. */
export const TIMES: uPlot.Axis.Values = [
  [365 * DAY, "{YYYY}", null, null, null, null, null, null, 1],
  [28 * DAY, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [DAY, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
  [
    0.001,
    ":{ss}.{fff}",
    "\n{YYYY}-{MM}-{DD} {HH}:{mm}",
    null,
    "\n{MM}-{DD} {HH}:{mm}",
    null,
    "\n{HH}:{mm}",
    null,
    1,
  ],
];

/** The date of seconds since the epoch, whose parts are those of UTC. */
export function dateOf(seconds: number): Date {
  return uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");
}
