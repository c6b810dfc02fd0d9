// How fresh a view is, in words.

import type { components } from "../../api/schema";
import type { Tone } from "../../design/Badge";

export type ViewForm = components["schemas"]["ViewForm"];
type Freshness = ViewForm["freshness"];

export const TONES: Readonly<Record<Freshness, Tone>> = {
  fresh: "good",
  late: "warn",
  expired: "bad",
  replayed: "plain",
  empty: "plain",
};

export const MEANINGS: Readonly<Record<Freshness, string>> = {
  fresh: "The next pane is not due yet.",
  late: "The next pane is due.",
  expired: "The newest row is older than the view's ttl, so it is not served.",
  replayed: "All panes were collected over past events.",
  empty: "No pane is published yet.",
};

const UNITS = [
  ["day", 86_400e6],
  ["hour", 3_600e6],
  ["minute", 60e6],
  ["second", 1e6],
] as const;

/** A duration in its largest unit, such as `3 days`. */
export function duration(us: number): string {
  const [name, width] = UNITS.find(([, one]) => Math.abs(us) >= one) ?? ["second", 1e6];
  const count = Math.round(us / width);
  return `${count.toLocaleString("en")} ${name}${Math.abs(count) === 1 ? "" : "s"}`;
}

/** Whether every word of a search is in the texts of a view. */
export function matches(view: ViewForm, search: string): boolean {
  const tags = Object.entries(view.tags).map(([name, value]) => `${name}=${value}`);
  const features = view.features.map((one) => one.name);
  const keys = view.entity.map((one) => one.name);
  const text = [view.name, view.owner, view.description, ...tags, ...features, ...keys]
    .join(" ")
    .toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
