import { afterEach, expect, test, vi } from "vitest";
import { api } from "./client";
import { early } from "./early";

const ASKED = ["get", "post"] as const;

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** Answers each request with its number. */
function counting(): { asked: string[] } {
  const asked: string[] = [];
  vi.stubGlobal("location", { origin: "http://here" });
  vi.stubGlobal("fetch", (request: Request) => {
    asked.push(`${request.method} ${request.url}`);
    return Promise.resolve(Response.json({ name: String(asked.length) }));
  });
  return { asked };
}

const BASE = { baseUrl: "http://here" };
const VIEW = { ...BASE, params: { path: { view: "a" } } };

test("an early answer is given to the first who asks the same, and the second asks anew", async () => {
  const { asked } = counting();
  expect((await early.GET("/console/api/features/{view}", VIEW)).response.ok).toBe(true);
  const names = [];
  for (const _ of ASKED) {
    names.push((await api.GET("/console/api/features/{view}", VIEW)).data?.name);
  }
  expect(names).toEqual(["1", "2"]);
  expect(asked).toEqual(Array(2).fill("GET http://here/console/api/features/a"));
});

test("an early answer is not given to another request", async () => {
  const { asked } = counting();
  await early.POST("/console/api/session", { ...BASE, body: {} });
  await api.GET("/console/api/about", BASE);
  expect(asked).toEqual(["POST http://here/console/api/session", "GET http://here/console/api/about"]);
});

test("an early answer that waits too long is forgotten", async () => {
  vi.useFakeTimers();
  const { asked } = counting();
  await early.GET("/console/api/about", BASE);
  vi.advanceTimersByTime(10_000);
  await api.GET("/console/api/about", BASE);
  expect(asked).toHaveLength(2);
});

test("an early request that is refused or lost is the problem of the one who asks", async () => {
  vi.stubGlobal("fetch", () => Promise.resolve(Response.json({ code: "KEY_NEEDED" }, { status: 401 })));
  expect((await early.POST("/console/api/session", { ...BASE, body: {} })).response.status).toBe(401);
  await expect(api.POST("/console/api/session", { ...BASE, body: {} })).rejects.toMatchObject({
    code: "KEY_NEEDED",
  });
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("no connection")));
  await expect(early.GET("/console/api/about", BASE)).rejects.toThrow("no connection");
  await expect(api.GET("/console/api/about", BASE)).rejects.toMatchObject({ code: "UNREACHABLE" });
});
