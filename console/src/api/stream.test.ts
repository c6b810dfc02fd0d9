import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { followStream, LOOK_MS, SILENT_MS, type StreamState } from "./stream";

class Source extends EventTarget {
  static readonly CLOSED = 2;
  static opened: Source[] = [];
  readyState = 0;
  onopen = () => {};
  onerror = () => {};

  constructor(readonly url: string) {
    super();
    Source.opened.push(this);
  }

  connect(): void {
    this.readyState = 1;
    this.onopen();
  }

  fail(state: number): void {
    this.readyState = state;
    this.onerror();
  }

  send(name: string, data: string): void {
    this.dispatchEvent(new MessageEvent(name, { data, lastEventId: "7" }));
  }

  close(): void {
    this.readyState = Source.CLOSED;
  }
}

const states: StreamState[] = [];
const events: unknown[] = [];
let stop = () => {};

function source(index: number): Source {
  const found = Source.opened[index];
  if (found === undefined) {
    throw new Error(`${Source.opened.length} streams were opened`);
  }
  return found;
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", Source);
  vi.stubGlobal("window", new EventTarget());
  stop = followStream("/events", ["sites"], {
    onEvent: (...event) => events.push(event),
    onState: (state) => states.push(state),
  });
});

afterEach(() => {
  stop();
  states.length = events.length = Source.opened.length = 0;
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("an event has its name, its data and its number", () => {
  source(0).connect();
  source(0).send("sites", '{"sites": []}');
  source(0).send("others", "1");
  expect(events).toEqual([["sites", { sites: [] }, "7"]]);
  expect(states).toEqual(["open"]);
});

test("a stream that says that it is alive stays open", () => {
  source(0).connect();
  for (let said = 0; said < 10; said += 1) {
    vi.advanceTimersByTime(15_000);
    source(0).send("alive", "{}");
  }
  expect(Source.opened).toHaveLength(1);
});

test("a stream that was silent for too long is lost, and opened again", () => {
  source(0).connect();
  vi.advanceTimersByTime(SILENT_MS + LOOK_MS);
  expect(source(0).readyState).toBe(Source.CLOSED);
  expect(states).toEqual(["open", "lost"]);
  source(1).connect();
  source(1).send("sites", "1");
  expect([states, events]).toEqual([["open", "lost", "open"], [["sites", 1, "7"]]]);
});

test("a machine that wakes up looks at once", () => {
  source(0).connect();
  vi.setSystemTime(Date.now() + 3_600_000);
  window.dispatchEvent(new Event("online"));
  expect(Source.opened).toHaveLength(2);
});

test("a refused stream is opened again, and a lost one is left to the browser", () => {
  source(0).fail(0);
  vi.advanceTimersByTime(LOOK_MS);
  expect(Source.opened).toHaveLength(1);
  source(0).fail(Source.CLOSED);
  vi.advanceTimersByTime(LOOK_MS);
  expect(Source.opened).toHaveLength(2);
  expect(states).toEqual(["lost", "ended"]);
});

test("a stream that is not followed any more is not opened again", () => {
  stop();
  vi.advanceTimersByTime(10 * SILENT_MS);
  expect(Source.opened).toHaveLength(1);
});
