// The first requests of a page, sent while its code is still on the way. Whoever asks the same first gets the answer.

import createFetchClient from "openapi-fetch";
import type { paths } from "./schema";

const KEPT_MS = 10_000;
const kept = new Map<string, Promise<Response>>();

/** Sends requests whose answers are kept for the page. What it returns has the status of the answer, and no content. */
export const early = createFetchClient<paths>({ credentials: "same-origin", fetch: keep });

async function keep(request: Request): Promise<Response> {
  const key = keyOf(request);
  const answer = fetch(request);
  kept.set(key, answer);
  setTimeout(() => kept.delete(key), KEPT_MS); // later the page wants to know what is so then
  const { status } = await answer;
  return new Response(null, { status: status === 200 ? 204 : status });
}

/** `fetch`, or the answer to an early request. Each is given once. */
export function fetchOrTake(request: Request): Promise<Response> {
  const key = keyOf(request);
  const answer = kept.get(key);
  kept.delete(key);
  return answer ?? fetch(request);
}

function keyOf({ method, url }: Request): string {
  return `${method} ${url}`;
}
