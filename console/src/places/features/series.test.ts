import { expect, test } from "vitest";
import { gapsOf, linesOf, rowsOf, type SeriesForm, type Shown, statusCounts } from "./series";

function answer(more: Partial<SeriesForm> = {}): SeriesForm {
  return {
    view: "v",
    feature: "late",
    cell: null,
    pane_us: 10,
    every: 1,
    panes: 2,
    moments: [10, 20],
    released: [21, 31],
    releases: ["aa", "bb"],
    keys: [
      {
        key: "ATL",
        value: [1, null],
        se: [0.5, null],
        low: [0, null],
        high: [2, null],
        n: [9, 3],
        status: [1, 5],
      },
      { key: "LAX", value: [3, 4], se: [1, 1], low: [1, 2], high: [5, 6], n: null, status: [0, 0] },
    ],
    statuses: ["OK", "ROUGH_SE", "STALE_BUDGET", "VOID", "LOW_COVERAGE", "DROWNED"],
    gaps: [{ start: 30, end: 40, panes: 1, state: "void", reason: "BUDGET_SPENT", release: "cc" }],
    more_gaps: false,
    ...more,
  };
}

const ONE: Shown = { feature: "late", unit: "late", data: answer() };

test("each key of each feature is a line; another unit has the right axis", () => {
  const lines = linesOf(
    [ONE, { feature: "planes", unit: "planes", data: answer({ keys: answer().keys.slice(1) }) }],
    false,
  );
  expect(lines.map((line) => [line.label, line.colour, line.axis, line.dashed])).toEqual([
    ["ATL, late", 0, "left", false],
    ["LAX, late", 1, "left", false],
    ["LAX, planes", 2, "right", true],
  ]);
  expect(new Set(lines.map((line) => line.id)).size).toBe(3);
  expect(lines[0]?.value).toEqual([1, null]);
});

test("a constant entity needs no key in its labels", () => {
  expect(linesOf([ONE], true)[0]?.label).toBe("late");
  expect(linesOf([ONE], false)[0]?.label).toBe("ATL");
});

test("rows are newest first, and a pane without a row has one with its reason", () => {
  const rows = rowsOf([ONE]);
  expect(rows.map((row) => [row.moment, row.key, row.status, row.reason])).toEqual([
    [30, "–", "VOID", "BUDGET_SPENT"],
    [20, "ATL", "DROWNED", ""],
    [20, "LAX", "OK", ""],
    [10, "ATL", "ROUGH_SE", ""],
    [10, "LAX", "OK", ""],
  ]);
  expect(rows[1]).toMatchObject({ value: null, n: 3, release: "bb" });
  expect(new Set(rows.map((row) => row.id)).size).toBe(5);
});

test("a void pane with rows says its reason in them", () => {
  const gaps = [
    { start: 20, end: 30, panes: 1, state: "void" as const, reason: "BATCH_TOO_SMALL", release: "bb" },
  ];
  const rows = rowsOf([{ ...ONE, data: answer({ gaps }) }]);
  expect(rows.map((row) => row.reason)).toEqual(["BATCH_TOO_SMALL", "BATCH_TOO_SMALL", "", ""]);
});

test("of a thinned series, panes that are left out are no gaps", () => {
  expect(rowsOf([{ ...ONE, data: answer({ every: 2 }) }])).toHaveLength(4);
});

test("gaps of several features are drawn once", () => {
  expect(gapsOf([ONE, ONE])).toEqual([{ start: 30, end: 40, kind: "void", reason: "BUDGET_SPENT" }]);
});

test("statuses are counted without OK", () => {
  expect(statusCounts([ONE])).toEqual([
    ["ROUGH_SE", 1],
    ["DROWNED", 1],
  ]);
});
