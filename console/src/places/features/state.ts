// What the page of a view shows, as its address says it: `#/features/dest_delay?feature=late_7d&key=ATL&from=2013-05-01`.

import { hrefOf } from "../../app/routes";

export const TABS = ["values", "keys", "moment", "elsewhere"] as const;
export type Tab = (typeof TABS)[number];

/** The most lines of a chart: a feature of a key is one. */
export const MOST_LINES = 8;

export interface ViewState {
  view: string;
  tab: Tab;
  /** `late_7d`, or `late_7d@v1` of a pinned version; none: the view's first one. */
  features: readonly string[];
  /** Join keys as the API writes them; none: the first of the domain. */
  keys: readonly string[];
  /** The cell of a histogram. */
  cell: number;
  /** µs; undefined: an open end. */
  from: number | undefined;
  to: number | undefined;
}

export function parseState(view: string, query: URLSearchParams): ViewState {
  const tab = TABS.find((one) => one === query.get("tab")) ?? "values";
  const cell = Number(query.get("cell") ?? 0);
  return {
    view,
    tab,
    features: distinct(query.getAll("feature")),
    keys: distinct(query.getAll("key")),
    cell: Number.isInteger(cell) && cell >= 0 && cell <= 65_536 ? cell : 0,
    from: parseMoment(query.get("from")),
    to: parseMoment(query.get("to")),
  };
}

export function hrefOfState(state: ViewState): string {
  const query = new URLSearchParams();
  if (state.tab !== "values") {
    query.set("tab", state.tab);
  }
  for (const feature of state.features) {
    query.append("feature", feature);
  }
  for (const key of state.keys) {
    query.append("key", key);
  }
  if (state.cell !== 0) {
    query.set("cell", String(state.cell));
  }
  for (const [name, moment] of [
    ["from", state.from],
    ["to", state.to],
  ] as const) {
    if (moment !== undefined) {
      query.set(name, momentText(moment));
    }
  }
  const search = query.toString();
  return hrefOf("features", [state.view]) + (search === "" ? "" : `?${search}`);
}

const MOMENT = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?Z?)?$/;

/** `2013-05-01T14:00Z` or a part of it, with up to six decimals of a second, as µs; undefined: it is no time. */
export function parseMoment(text: string | null | undefined): number | undefined {
  const found = MOMENT.exec(text?.trim() ?? "");
  if (found === null) {
    return undefined;
  }
  const [, day = "", minute = "00:00", second = "00", decimals = ""] = found;
  const ms = Date.parse(`${day}T${minute}:${second}Z`);
  const isDay = !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(day); // not 30 February
  return isDay ? ms * 1000 + Number(decimals.padEnd(6, "0")) : undefined;
}

/** µs as the shortest text that `parseMoment` reads. */
export function momentText(us: number): string {
  const whole = Math.floor(us / 1e6) * 1e6;
  const decimals =
    us === whole
      ? ""
      : `.${String(us - whole)
          .padStart(6, "0")
          .replace(/0+$/, "")}`;
  const text = new Date(whole / 1000).toISOString().replace(".000Z", `${decimals}Z`);
  const short = text.replace(/:00Z$/, "Z");
  return short.endsWith("T00:00Z") ? short.slice(0, 10) : short;
}

/** (name, version) of a chosen feature: `late_7d@v1` is of `v1`. */
export function partsOf(feature: string): { name: string; version: string | undefined } {
  const [name = "", version] = feature.split("@", 2);
  return { name, version };
}

const DAY = 86_400e6;
export const PRESETS = [
  ["7 days", 7 * DAY],
  ["30 days", 30 * DAY],
  ["90 days", 90 * DAY],
  ["1 year", 366 * DAY],
] as const;

/** The time of a preset: up to the end of the newest pane. */
export function presetRange(width: number, end: number): { from: number; to: undefined } {
  return { from: end - width, to: undefined };
}

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)].slice(0, MOST_LINES);
}
