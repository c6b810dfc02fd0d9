import { expect, test } from "vitest";
import { counts, endedText, siteRows, span, stateText, times, withPart } from "./state";
import type { Coverage, FleetState } from "./types";

const STATE: FleetState = {
  project: "p",
  directory: "d",
  collect_command: "covey collect",
  sites: { sites: [], problem: null },
  panes: { views: [], problem: null },
  plan: { plan: null, last: null, problem: null },
  roles: { since: null, roles: [], problem: null },
  arrivals: { panes: [], problem: null },
};

function coverage(rows: Record<string, string>): Coverage {
  const sites = Object.keys(rows);
  const length = Object.values(rows)[0]?.length ?? 0;
  const words: Record<string, string> = { c: "counted", m: "missing", n: "not enrolled", u: "unknown" };
  return {
    view: "v",
    sites,
    panes: length,
    shown: Array.from({ length }, (_, at) => ({
      start: at,
      end: at + 1,
      state: "opened",
      reason: null,
      counted: null,
      enrolled: null,
      client_share: null,
      sites: sites.map((site) => words[rows[site]?.[at] ?? "u"] ?? "unknown"),
    })),
  };
}

test("an event replaces its part and nothing else", () => {
  const changed = withPart(STATE, "plan", { plan: null, problem: "broken" });
  expect(changed.plan.problem).toBe("broken");
  expect(changed.sites).toBe(STATE.sites);
});

test("an event of another name, or without content, changes nothing", () => {
  expect(withPart(STATE, "directory", "elsewhere")).toBe(STATE);
  expect(withPart(STATE, "sites", null)).toBe(STATE);
});

test("the least complete sites are first, those without a roster last", () => {
  const rows = siteRows(coverage({ a: "ccc", b: "cmm", c: "ncc", d: "uuu", e: "mcc" }));
  expect(rows.map((row) => row.site)).toEqual(["b", "e", "a", "c", "d"]);
  expect(rows.map((row) => [row.counted, row.enrolled])).toEqual([
    [1, 3],
    [2, 3],
    [3, 3],
    [2, 2],
    [0, 0],
  ]);
});

test("a span has its largest unit", () => {
  expect([0, 59, 60, 5400, 200_000].map(span)).toEqual(["0 s", "59 s", "1 min", "2 h", "2 d"]);
});

test("a plan that ended says what became of it, and whether anything was charged", () => {
  const plan = { at: 1_796_154_350_000_000, views: ["a", "b"], announced: true, answers: { answered: 2 } };
  expect(endedText(plan)).toBe("The last plan, of a, b, ended at 2026-12-01 19:45:50 UTC: 2 answered.");
  expect(endedText({ ...plan, announced: false, answers: { refused: 2 } })).toMatch(
    /: 2 refused\. The sites were only asked .* nothing was charged/,
  );
});

test("one time is once", () => {
  expect([times(1), times(1200)]).toEqual(["once", "1,200 times"]);
});

test("no counts are a dash", () => {
  expect([counts({}), counts({ answered: 1200, absent: 1 })]).toEqual(["–", "1,200 answered, 1 absent"]);
});

test("a state has its reason, and a retraction says so once", () => {
  expect(stateText("opened", null)).toBe("opened");
  expect(stateText("void", "BATCH_TOO_SMALL")).toBe("void: BATCH_TOO_SMALL");
  expect(stateText("retracted", "RETRACTED: a wrong clock")).toBe("retracted: a wrong clock");
});

test("an object under the name of another part of the state changes nothing", () => {
  expect(withPart(STATE, "directory", { odd: true })).toBe(STATE);
});
