import { expect, test } from "vitest";
import { parseRoute } from "../../app/routes";
import {
  hrefOfState,
  momentText,
  parseMoment,
  parseState,
  partsOf,
  presetRange,
  type ViewState,
} from "./state";

const STATE: ViewState = {
  view: "dest_delay",
  tab: "keys",
  features: ["late_7d", "late@v1"],
  keys: ["ATL", '["a, b", true]', "<b>&=?#"],
  cell: 3,
  from: Date.UTC(2013, 4, 1) * 1000,
  to: Date.UTC(2013, 4, 2, 14, 30, 15) * 1000,
};

test("the address holds the whole state", () => {
  const route = parseRoute(hrefOfState(STATE));
  expect(route.place).toBe("features");
  expect(parseState(route.path[0] ?? "", route.query)).toEqual(STATE);
});

test("an address without a query has the defaults, and they leave no trace in it", () => {
  const state = parseState("v", new URLSearchParams());
  expect(state).toEqual({
    view: "v",
    tab: "values",
    features: [],
    keys: [],
    cell: 0,
    from: undefined,
    to: undefined,
  });
  expect(hrefOfState(state)).toBe("#/features/v");
});

test("nonsense in an address is left out", () => {
  const query = new URLSearchParams("tab=x&cell=-1&from=soon&to=&key=a&key=a");
  expect(parseState("v", query)).toMatchObject({ tab: "values", cell: 0, from: undefined, keys: ["a"] });
  const many = new URLSearchParams(Array.from({ length: 20 }, (_, i) => ["key", String(i)]));
  expect(parseState("v", many).keys).toHaveLength(8);
});

test("moments are UTC, whatever the part that is written", () => {
  const day = Date.UTC(2013, 4, 1) * 1000;
  expect(parseMoment("2013-05-01")).toBe(day);
  expect(parseMoment("2013-05-01T02:00")).toBe(day + 2 * 3600e6);
  expect(parseMoment("2013-05-01T02:00Z")).toBe(day + 2 * 3600e6);
  expect(parseMoment("2013-05-01T00:00:07Z")).toBe(day + 7e6);
  expect(parseMoment(" 2013-05-01 02:00:07.25 ")).toBe(day + 2 * 3600e6 + 7.25e6);
  for (const nonsense of ["never", "2013-02-30", "2013-05-01T25:00", "2013-05-01T02:00:07.1234567"]) {
    expect(parseMoment(nonsense)).toBeUndefined();
  }
  for (const us of [day, day + 60e6, day + 5e6, day - 1000, day + 1, day - 1, -1]) {
    expect(parseMoment(momentText(us))).toBe(us);
  }
});

test("a feature may name a version", () => {
  expect(partsOf("late_7d@v2")).toEqual({ name: "late_7d", version: "v2" });
  expect(partsOf("late")).toEqual({ name: "late", version: undefined });
});

test("a preset ends with the newest pane", () => {
  expect(presetRange(10, 100)).toEqual({ from: 90, to: undefined });
});
