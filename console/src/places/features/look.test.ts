import { expect, test } from "vitest";
import {
  ageText,
  allRefs,
  intervalText,
  keyParts,
  paneText,
  refsOf,
  type SeenValue,
  valueText,
} from "./look";

const SEEN: SeenValue = {
  ref: "v:late",
  value: 0.25,
  se: 0.1,
  low: 0.05,
  high: 0.45,
  n: 30,
  status: "OK",
  pane: {
    view: "v",
    start: Date.UTC(2013, 4, 1) * 1000,
    end: Date.UTC(2013, 4, 2) * 1000,
    released: 0,
    state: "opened",
    reason: null,
    release: "aa",
    age: 2 * 86_400e6,
  },
};
const NOTHING: SeenValue = { ...SEEN, value: null, low: null, high: null, pane: null };

test("a key's text has a part for each column", () => {
  expect(keyParts("ATL", ["dest"])).toEqual({ dest: "ATL" });
  expect(keyParts("[7]", ["dest"])).toEqual({ dest: "[7]" });
  expect(keyParts('[7, true, "a"]', ["id", "hub", "x"])).toEqual({ id: "7", hub: "true", x: "a" });
  expect(keyParts("nonsense", ["id", "hub"])).toEqual({ id: "", hub: "" });
  expect(keyParts('[-9007199254740993, "a, \\"b]\\" \\u00e9"]', ["id", "x"])).toEqual({
    id: "-9007199254740993",
    x: 'a, "b]" é',
  });
});

test("references are separated by blanks or commas", () => {
  expect(refsOf(" v:a, v:b\nv:a ")).toEqual(["v:a", "v:b"]);
  expect(refsOf("")).toEqual([]);
});

test("all references are stored and computed features", () => {
  const list = {
    now: 0,
    views: [{ name: "v", features: [{ name: "a" }, { name: "a_7d" }] }],
    on_demand: [{ name: "risk", outputs: ["high"] }],
    services: [],
  } as unknown as Parameters<typeof allRefs>[0];
  expect(allRefs(list)).toEqual(["v:a", "v:a_7d", "risk:high"]);
});

test("what was seen is written in words", () => {
  expect([valueText(SEEN), intervalText(SEEN), paneText(SEEN), ageText(SEEN)]).toEqual([
    "0.25",
    "0.05 to 0.45",
    "2013-05-01 to 2013-05-02",
    "2 days",
  ]);
  expect([valueText, intervalText, paneText, ageText].map((text) => text(NOTHING))).toEqual([
    "–",
    "–",
    "–",
    "–",
  ]);
  const list = { ...SEEN, value: [1, 2], low: [0, 1], high: [2, 3] };
  expect([valueText(list), intervalText(list)]).toEqual(["1, 2", "0 to 2; 1 to 3"]);
});

test("a pane that was void or retracted then says so", () => {
  const pane = { ...SEEN.pane, state: "void", reason: "TOO_FEW" } as NonNullable<SeenValue["pane"]>;
  expect(paneText({ ...SEEN, pane })).toBe("2013-05-01 to 2013-05-02 (void: TOO_FEW)");
});
