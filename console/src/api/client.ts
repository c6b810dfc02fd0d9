// The typed client of the console's API. Every answer that is no success becomes an `ApiProblem`.

import { type Query, QueryClient } from "@tanstack/react-query";
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

let onSessionEnd: () => void = () => undefined;
/** Whether the present session has had an answer: one that never worked is not opened again and again. */
let hasWorked = false;

/** Sets what is done when an answer says that the page's session has ended. */
export function watchSession(ended: () => void): void {
  onSessionEnd = ended;
}

const SAFE = new Set(["GET", "HEAD"]);

const guard: Middleware = {
  onRequest({ request }) {
    if (!SAFE.has(request.method)) {
      request.headers.set("X-Covey-Console", csrf);
    }
  },
  async onResponse({ response, schemaPath }) {
    if (response.ok) {
      hasWorked ||= schemaPath !== "/console/api/session";
      return;
    }
    const problem = await problemOf(response);
    if (endsSession(problem) && hasWorked) {
      hasWorked = false;
      onSessionEnd();
    }
    throw problem;
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

/** Whether a request was refused because its session has ended, or because another tab has opened a new one. */
export function endsSession(problem: ApiProblem): boolean {
  return problem.code === "SESSION_MISSING" || problem.code === "PAGE_TOKEN_MISSING";
}

/** `$api.useQuery("get", "/console/api/…", …)`: a request whose answer is kept and shared. */
export const $api = createClient(api);

/** How often a page that cannot reach the console tries again. */
const TRY_AGAIN_MS = 5_000;

function isUnreachable(error: unknown): boolean {
  return error instanceof ApiProblem && error.status === 0;
}

/** Whether the console computes other answers first. */
function isBusy(error: unknown): boolean {
  return error instanceof ApiProblem && error.code === "CONSOLE_BUSY";
}

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (count, error) => (isUnreachable(error) && count < 1) || (isBusy(error) && count < 3),
      refetchInterval: ({ state }: Query) => (isUnreachable(state.error) ? TRY_AGAIN_MS : false),
      refetchOnWindowFocus: true,
      networkMode: "always", // the console is often on this machine, which needs no network for it
    },
    mutations: { networkMode: "always" },
  },
});
