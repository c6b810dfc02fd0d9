// The typed client of the console's API. Every answer that is no success becomes an `ApiProblem`.

import { QueryClient } from "@tanstack/react-query";
import createFetchClient, { type Middleware } from "openapi-fetch";
import createClient from "openapi-react-query";
import { fetchOrTake } from "./early";
import { ApiProblem, problemOf } from "./problem";
import type { paths } from "./schema";

let csrf = "";

/** Sets the token that every request but a GET carries. It belongs to one session. */
export function setSessionToken(token: string): void {
  csrf = token;
}

const SAFE = new Set(["GET", "HEAD"]);

const guard: Middleware = {
  onRequest({ request }) {
    if (!SAFE.has(request.method)) {
      request.headers.set("X-Covey-Console", csrf);
    }
  },
  async onResponse({ response }) {
    if (!response.ok) {
      throw await problemOf(response);
    }
  },
  onError({ error }) {
    return new ApiProblem({
      status: 0,
      code: "UNREACHABLE",
      detail: `The console does not answer (${error instanceof Error ? error.message : "no connection"}).`,
      mend: "Check that `covey console` still runs. This page tries again by itself.",
    });
  },
};

/** `api.GET("/console/api/…")`: one request. */
export const api = createFetchClient<paths>({ credentials: "same-origin", fetch: fetchOrTake });
api.use(guard);

/** `$api.useQuery("get", "/console/api/…", …)`: a request whose answer is kept and shared. */
export const $api = createClient(api);

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (count, error) => error instanceof ApiProblem && error.status === 0 && count < 3,
      refetchOnWindowFocus: true,
    },
  },
});
