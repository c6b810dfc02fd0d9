// The token of the printed address.

import type { components } from "../api/schema";

type Credentials = components["schemas"]["Credentials"];

let taken: Credentials | undefined;

/** The token of the address, which is taken out of it. A second call in the same page gets the same. */
export function takeToken(): Credentials {
  const found = /^#token=([\w-]+)$/.exec(window.location.hash);
  if (found?.[1] !== undefined) {
    taken = { token: found[1] };
    window.history.replaceState(null, "", window.location.pathname);
  }
  return taken ?? {};
}
