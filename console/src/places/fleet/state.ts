// What events change of the fleet's state, and how the place words what it shows.

import type { StreamState } from "../../api/events";
import type { Tone } from "../../design/Badge";
import { moment } from "../../design/format";
import type { Coverage, EndedPlan, FleetState } from "./types";

/** The parts of the state that come as events, by their names. */
export const PARTS = ["sites", "panes", "plan", "roles", "arrivals"] as const;
export type PartName = (typeof PARTS)[number];

export function isPart(name: string): name is PartName {
  return PARTS.some((one) => one === name);
}

/** The state after an event; the same object for an event that is no part. */
export function withPart(state: FleetState, name: string, data: unknown): FleetState {
  return isPart(name) && typeof data === "object" && data !== null ? { ...state, [name]: data } : state;
}

/** The connection in words, and its tone. */
export function connection(state: StreamState): readonly [string, Tone] {
  switch (state) {
    case "connecting":
      return ["Connecting", "plain"];
    case "open":
      return ["Live", "good"];
    case "lost":
      return ["Connection lost, trying again", "warn"];
    case "ended":
      return ["Not live, read every 5 s", "warn"];
  }
}

export const CELLS: Readonly<Record<string, string>> = {
  counted: "●",
  missing: "×",
  "not enrolled": "–",
  unknown: "?",
};

export interface SiteRow {
  site: string;
  /** Of each shown pane. */
  cells: readonly string[];
  counted: number;
  /** Panes whose plan had the site on its roster. */
  enrolled: number;
}

/** The rows of the matrix, the least complete first. */
export function siteRows(coverage: Coverage): SiteRow[] {
  const rows = coverage.sites.map((site, index): SiteRow => {
    const cells = coverage.shown.map((pane) => pane.sites[index] ?? "unknown");
    return {
      site,
      cells,
      counted: cells.filter((one) => one === "counted").length,
      enrolled: cells.filter((one) => one === "counted" || one === "missing").length,
    };
  });
  return rows.sort((a, b) => share(a) - share(b) || a.site.localeCompare(b.site));
}

function share(row: SiteRow): number {
  return row.enrolled === 0 ? 2 : row.counted / row.enrolled;
}

/** `3 answered, 1 absent`. */
export function counts(of: Readonly<Record<string, number>>): string {
  const parts = Object.entries(of).map(([name, many]) => `${many.toLocaleString("en")} ${name}`);
  return parts.join(", ") || "–";
}

/** What became of the plan that ended last. */
export function endedText({ at, views, announced, answers }: EndedPlan): string {
  const why = announced
    ? ""
    : " The sites were only asked what they would answer, and nothing was charged: too few would take part.";
  return `The last plan, of ${views.join(", ")}, ended at ${moment(at)} UTC: ${counts(answers)}.${why}`;
}

/** `once`, or `12 times`. */
export function times(many: number): string {
  return many === 1 ? "once" : `${many.toLocaleString("en")} times`;
}

/** A time span in its largest unit, such as `3 min`. */
export function span(seconds: number): string {
  const units = [
    ["d", 86_400],
    ["h", 3_600],
    ["min", 60],
  ] as const;
  for (const [unit, size] of units) {
    if (Math.abs(seconds) >= size) {
      return `${Math.round(seconds / size).toLocaleString("en")} ${unit}`;
    }
  }
  return `${Math.round(seconds)} s`;
}

/** A pane's state with its reason; a retraction says so once. */
export function stateText(state: string, reason: string | null): string {
  const why = reason?.replace(/^RETRACTED(: )?/, "") ?? "";
  return why === "" ? state : `${state}: ${why}`;
}
