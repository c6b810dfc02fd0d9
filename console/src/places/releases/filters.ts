// The conditions of the list of releases: in the address as the user reads them, and in the request.

export const STATES = ["opened", "void", "retracted"] as const;
export type State = (typeof STATES)[number];

export interface Filters {
  view: string;
  state: "" | State;
  trust: string;
  /** UTC days, `2013-05-01`; an empty text: no bound. */
  from: string;
  to: string;
  /** In a reason, or the beginning of a release or plan. */
  text: string;
}

export interface Conditions {
  view?: string;
  state?: State;
  trust?: string;
  first?: number;
  end?: number;
  text?: string;
}

const KEYS = ["view", "state", "trust", "from", "to", "text"] as const;
const DAY_US = 86_400_000_000;

export function filtersOf(query: URLSearchParams): Filters {
  const state = query.get("state") ?? "";
  return {
    view: query.get("view") ?? "",
    state: STATES.find((one) => one === state) ?? "",
    trust: query.get("trust") ?? "",
    from: dayOf(query.get("from")),
    to: dayOf(query.get("to")),
    text: textOf(query.get("text") ?? ""),
  };
}

/** The query of an address; what is empty is left out. */
export function queryOf(filters: Filters): Record<string, string> {
  return Object.fromEntries(KEYS.flatMap((key) => (filters[key] === "" ? [] : [[key, filters[key]]])));
}

/** The conditions of a request: `to` is the last day, with all of its panes. */
export function conditionsOf(filters: Filters): Conditions {
  return {
    ...(filters.view === "" ? {} : { view: filters.view }),
    ...(filters.state === "" ? {} : { state: filters.state }),
    ...(filters.trust === "" ? {} : { trust: filters.trust }),
    ...(filters.from === "" ? {} : { first: startOf(filters.from) }),
    ...(filters.to === "" ? {} : { end: startOf(filters.to) + DAY_US }),
    ...(filters.text === "" ? {} : { text: filters.text }),
  };
}

/** The text of a search, without blanks around it, as long as the API takes it. */
export function textOf(typed: string): string {
  return typed.trim().slice(0, 200);
}

function dayOf(text: string | null): string {
  return text !== null && /^\d{4}-\d{2}-\d{2}$/.test(text) && Number.isFinite(startOf(text)) ? text : "";
}

function startOf(day: string): number {
  return Date.parse(`${day}T00:00:00Z`) * 1000;
}
