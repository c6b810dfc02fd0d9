// The address of a place: `#/features/dest_delay?key=ATL`. It is in the fragment, so the server needs no routes for it.

import { useSyncExternalStore } from "react";

export const PLACES = ["composer", "features", "budgets", "releases", "fleet", "lab", "models"] as const;
export type Place = (typeof PLACES)[number];

export const TITLES: Readonly<Record<Place, string>> = {
  composer: "Composer",
  features: "Features",
  budgets: "Budgets",
  releases: "Releases",
  fleet: "Fleet",
  lab: "Lab",
  models: "Models",
};

export interface Route {
  place: Place;
  /** The parts of the path after the place. */
  path: readonly string[];
  query: URLSearchParams;
}

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [first = "", ...rest] = path.split("/").map(decoded);
  const place = PLACES.find((one) => one === first) ?? "composer";
  return { place, path: rest.filter((part) => part !== ""), query: new URLSearchParams(query) };
}

export function hrefOf(
  place: Place,
  path: readonly string[] = [],
  query: Record<string, string> = {},
): string {
  const search = new URLSearchParams(query).toString();
  return `#/${[place, ...path].map(encodeURIComponent).join("/")}${search === "" ? "" : `?${search}`}`;
}

/** Goes to an address. `replace` keeps the way back clean while a state in the query changes often. */
export function navigate(href: string, { replace = false } = {}): void {
  if (replace) {
    window.history.replaceState(null, "", href);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    window.location.hash = href;
  }
}

export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => window.location.hash);
  return parseRoute(hash);
}

function subscribe(changed: () => void): () => void {
  window.addEventListener("hashchange", changed);
  return () => window.removeEventListener("hashchange", changed);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
