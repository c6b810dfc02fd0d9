// What a page asks before its code is there: a session, and then what its place shows first.

import { early } from "../api/early";
import type { components } from "../api/schema";
import type { Route } from "./routes";

/** Opens the session of a page, and asks for what an address shows. Whether it fails is seen by those who take the answers. */
export async function askEarly(
  credentials: components["schemas"]["Credentials"],
  route: Route,
): Promise<void> {
  try {
    const { response } = await early.POST("/console/api/session", { body: credentials });
    if (response.ok) {
      await Promise.all([early.GET("/console/api/about"), ...firstRequests(route)]);
    }
  } catch {
    // the console does not answer: the page says so, when it asks the same
  }
}

/** The first requests of a place: those that need nothing but its address. */
function firstRequests({ place, path, query }: Route): Promise<unknown>[] {
  const [part] = path;
  switch (place) {
    case "composer":
      return [
        early.GET("/console/api/composer/file"),
        early.GET("/console/api/composer/palette"),
        early.GET("/console/api/composer/sources"),
      ];
    case "features":
      return part === undefined
        ? [early.GET("/console/api/features")]
        : part === "-" || query.has("tab")
          ? []
          : [
              early.GET("/console/api/features/{view}", { params: { path: { view: part } } }),
              early.GET("/console/api/features/{view}/keys", {
                params: { path: { view: part }, query: { text: "", most: 30 } },
              }),
            ];
    case "budgets":
      return part === undefined ? [early.GET("/console/api/budgets/ledgers", { params: { query: {} } })] : [];
    case "releases":
      return part === undefined ? [early.GET("/console/api/releases/counts")] : [];
    case "fleet":
      return [early.GET("/console/api/fleet")];
    case "lab":
      return [early.GET("/console/api/lab/runs")];
    case "models":
      return [early.GET("/console/api/models")];
  }
}
