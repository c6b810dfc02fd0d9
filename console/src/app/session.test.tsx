// @vitest-environment jsdom

import { act, renderHook, waitFor } from "@testing-library/react";
import { beforeEach, expect, test, vi } from "vitest";
import { ApiProblem } from "../api/problem";

const server = vi.hoisted(() => ({ post: vi.fn(), ended: (): void => undefined, token: "", cleared: 0 }));
vi.mock("../api/client", () => ({
  api: { POST: server.post },
  queries: { clear: () => server.cleared++, invalidateQueries: () => Promise.resolve() },
  setSessionToken: (token: string) => {
    server.token = token;
  },
  watchSession: (ended: () => void) => {
    server.ended = ended;
  },
}));

import { asksForKey, demotion, useSession } from "./session";

const refusal = (code: string) => new ApiProblem({ status: 401, code, detail: "no", mend: "" });
const session = (role: string, csrf: string) => ({ data: { name: role, role, csrf } });

beforeEach(() => server.post.mockReset());

test("a key is asked for where the console has keys, and nowhere else", () => {
  expect(asksForKey(refusal("KEY_NEEDED"), {})).toBe(true);
  expect(asksForKey(refusal("CREDENTIALS_REFUSED"), { key: "wrong" })).toBe(true);
  expect(asksForKey(refusal("CREDENTIALS_REFUSED"), { token: "old" })).toBe(false);
});

test("only a smaller role than before is a demotion", () => {
  expect([undefined, "reader", "operator"].map((one) => demotion(one as never, "operator"))).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(demotion("operator", "author")?.code).toBe("SESSION_MISSING");
  expect(demotion("author", "reader")?.message).toContain("author");
});

test("a session that has ended is opened again while the page stays", async () => {
  server.post.mockResolvedValueOnce(session("reader", "one"));
  const hook = renderHook(useSession);
  await waitFor(() => expect(hook.result.current.state.kind).toBe("open"));
  const cleared = server.cleared;
  server.post.mockResolvedValueOnce(session("operator", "two"));
  act(() => server.ended());
  expect(hook.result.current.state.kind).toBe("open");
  await waitFor(() => expect(server.token).toBe("two"));
  expect([server.post.mock.calls.length, server.cleared]).toEqual([2, cleared]);
});

test("an operator whose session has ended does not become a reader without a word", async () => {
  server.post.mockResolvedValueOnce(session("operator", "one"));
  const hook = renderHook(useSession);
  await waitFor(() => expect(hook.result.current.state.kind).toBe("open"));
  server.post.mockResolvedValueOnce(session("reader", "two"));
  act(() => server.ended());
  await waitFor(() => expect(hook.result.current.state.kind).toBe("refused"));
  expect(server.token).toBe("one");
});

test("a session that was refused keeps what it was asked with, and another one is of another user", async () => {
  server.post.mockRejectedValueOnce(refusal("KEY_NEEDED"));
  const hook = renderHook(useSession);
  await waitFor(() => expect(hook.result.current.state.kind).toBe("refused"));
  const cleared = server.cleared;
  server.post.mockRejectedValueOnce(refusal("CREDENTIALS_REFUSED"));
  act(() => hook.result.current.open({ key: "k" }));
  expect(hook.result.current.state.kind).toBe("opening");
  await waitFor(() =>
    expect(hook.result.current.state).toMatchObject({ kind: "refused", credentials: { key: "k" } }),
  );
  expect(server.cleared).toBe(cleared + 1);
});
