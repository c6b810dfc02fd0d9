// @vitest-environment jsdom

import { act, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { useEvents } from "./events";

class Source extends EventTarget {
  static readonly CLOSED = 2;
  static made: Source[] = [];
  readyState = 0;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  close = vi.fn();

  constructor(readonly url: string) {
    super();
    Source.made.push(this);
  }
}

beforeEach(() => {
  Source.made = [];
  vi.stubGlobal("EventSource", Source);
});
afterEach(() => vi.unstubAllGlobals());

test("a stream is followed while it is shown, and says how it is", () => {
  const events: unknown[] = [];
  const hook = renderHook(() => useEvents("/stream", (...one) => events.push(one), ["sites", "panes"]));
  const source = Source.made[0] as Source;
  expect(hook.result.current).toBe("connecting");
  act(() => source.onopen?.());
  expect(hook.result.current).toBe("open");
  act(() => {
    source.dispatchEvent(new MessageEvent("panes", { data: '{"a":1}', lastEventId: "7" }));
    source.dispatchEvent(new MessageEvent("other", { data: "not followed" }));
  });
  expect(events).toEqual([["panes", { a: 1 }, "7"]]);
  act(() => source.onerror?.());
  expect(hook.result.current).toBe("lost");
  source.readyState = Source.CLOSED;
  act(() => source.onerror?.());
  expect(hook.result.current).toBe("ended");
  hook.unmount();
  expect(source.close).toHaveBeenCalledOnce();
});

test("the newest handler gets the events, without a new connection", () => {
  const handlers = [vi.fn(), vi.fn()];
  const hook = renderHook(({ at }) => useEvents("/stream", handlers[at] ?? vi.fn(), ["done"]), {
    initialProps: { at: 0 },
  });
  hook.rerender({ at: 1 });
  Source.made[0]?.dispatchEvent(new MessageEvent("done", { data: "null" }));
  expect(handlers.map((one) => one.mock.calls.length)).toEqual([0, 1]);
  expect(Source.made.length).toBe(1);
});

test("without an address nothing is followed, and another address ends the stream before", () => {
  const hook = renderHook(({ url }) => useEvents(url, vi.fn(), ["done"]), {
    initialProps: { url: undefined as string | undefined },
  });
  expect(Source.made).toEqual([]);
  hook.rerender({ url: "/one" });
  hook.rerender({ url: "/two" });
  expect(Source.made.map((one) => [one.url, one.close.mock.calls.length])).toEqual([
    ["/one", 1],
    ["/two", 0],
  ]);
});
