// @vitest-environment node

import uPlot from "uplot";
import { expect, test } from "vitest";
import { dateOf, TIMES } from "./times";

const AT = Date.parse("2013-02-03T14:05:06.007Z") / 1000;

/** A moment on an axis whose times are `distance` seconds apart: its text, and what stands below the first one. */
function written(distance: number): string {
  const rows = [...(TIMES as (string | number | null)[][])].sort((a, b) => Number(b[0]) - Number(a[0]));
  const row = rows.find(([from]) => Number(from) <= distance);
  return [row?.[1], row?.[2]]
    .map((pattern) => (typeof pattern === "string" ? uPlot.fmtDate(pattern)(dateOf(AT)) : ""))
    .join("");
}

test.each([
  [366 * 86_400, "2013"],
  [28 * 86_400, "Feb\n2013"],
  [86_400, "02-03\n2013"],
  [3_600, "14:05\n2013-02-03"],
  [60, "14:05\n2013-02-03"],
  [5, "14:05:06\n2013-02-03"],
  [0.002, ":06.007\n2013-02-03 14:05"],
])("times %d s apart are written as on the rest of the page, in UTC", (distance, text) => {
  expect(written(distance)).toBe(text);
});

test("no time is written as in America", () => {
  expect(JSON.stringify(TIMES)).not.toMatch(/\{(M|D|YY|h|aa|AA)\}/);
});
