import { onlineManager } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

const sent = vi.hoisted(() => {
  const requests: Request[] = [];
  const answers: (() => Response)[] = [];
  const Plain = globalThis.Request;
  globalThis.Request = class extends Plain {
    constructor(url: string | URL | Request, init?: RequestInit) {
      super(typeof url === "string" ? new URL(url, "http://console.test") : url, init);
    }
  };
  globalThis.fetch = async (input) => {
    requests.push(input as Request);
    const answer = answers.shift();
    if (answer === undefined) {
      throw new TypeError("no connection");
    }
    return answer();
  };
  return { requests, answers };
});

import { api, queries, setSessionToken, watchSession } from "./client";
import { ApiProblem } from "./problem";

const refusal = (status: number, code: string) => () =>
  new Response(JSON.stringify({ code, detail: "no", mend: "" }), { status });
const ended = vi.fn();

beforeEach(() => {
  sent.requests.length = 0;
  sent.answers.length = 0;
  ended.mockClear();
  watchSession(ended);
});
afterEach(() => onlineManager.setOnline(true));

test("a request that may change something carries the token of its session, and a GET does not", async () => {
  setSessionToken("secret");
  sent.answers.push(
    () => Response.json({}),
    () => Response.json({}),
  );
  await api.GET("/console/api/about");
  await api.POST("/console/api/session", { body: {} });
  expect(sent.requests.map((one) => one.headers.get("X-Covey-Console"))).toEqual([null, "secret"]);
});

test.each([
  [401, "SESSION_MISSING", 1],
  [403, "PAGE_TOKEN_MISSING", 1],
  [401, "CREDENTIALS_REFUSED", 0],
  [403, "ROLE_TOO_SMALL", 0],
])("status %d with %s ends the session %d times", async (status, code, times) => {
  sent.answers.push(() => Response.json({}), refusal(status, code), refusal(status, code));
  await api.GET("/console/api/about");
  await expect(api.GET("/console/api/about")).rejects.toMatchObject({ status, code });
  await expect(api.GET("/console/api/about")).rejects.toMatchObject({ status, code });
  expect(ended).toHaveBeenCalledTimes(times);
});

test("a session that never worked is not opened again and again", async () => {
  sent.answers.push(
    () => Response.json({}),
    refusal(401, "SESSION_MISSING"),
    () => Response.json({ csrf: "new" }),
    refusal(401, "SESSION_MISSING"),
  );
  await api.GET("/console/api/about");
  await expect(api.GET("/console/api/about")).rejects.toThrow();
  await api.POST("/console/api/session", { body: {} });
  await expect(api.GET("/console/api/about")).rejects.toThrow();
  expect(ended).toHaveBeenCalledOnce();
});

test("a console that does not answer is a problem with a mend", async () => {
  await expect(api.GET("/console/api/about")).rejects.toMatchObject({ status: 0, code: "UNREACHABLE" });
});

test("a machine without a network still asks its own console", async () => {
  onlineManager.setOnline(false);
  expect(await queries.fetchQuery({ queryKey: ["x"], queryFn: async () => 3 })).toBe(3);
});

test("a busy console is asked again, and one that does not answer once at once and then every five seconds", () => {
  const { retry, refetchInterval } = queries.getDefaultOptions().queries ?? {};
  const away = new ApiProblem({ status: 0, code: "UNREACHABLE", detail: "", mend: "" });
  const busy = new ApiProblem({ status: 503, code: "CONSOLE_BUSY", detail: "", mend: "" });
  const refused = new ApiProblem({ status: 404, code: "UNKNOWN_VIEW", detail: "", mend: "" });
  const again = retry as (count: number, error: Error) => boolean;
  expect([again(0, away), again(1, away), again(0, refused)]).toEqual([true, false, false]);
  expect([again(2, busy), again(3, busy)]).toEqual([true, false]);
  const every = refetchInterval as (query: { state: { error: unknown } }) => number | false;
  const intervals = [away, refused, null].map((error) => every({ state: { error } }));
  expect(intervals).toEqual([5_000, false, false]);
});
