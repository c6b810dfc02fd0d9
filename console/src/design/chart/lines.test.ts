import { describe, expect, test } from "vitest";
import { aligned, alone, type ChartLine, lastAt, panned, runs, zoomed } from "./lines";

function line(moments: number[], value: (number | null)[], more: Partial<ChartLine> = {}): ChartLine {
  return { id: "a", label: "A", colour: 0, moments, value, ...more };
}

describe("one time axis", () => {
  test("has the moments of all lines, in order", () => {
    const found = aligned([line([1, 3, 5], [10, null, 30]), line([2, 3], [7, 8])]);
    expect(found.moments).toEqual([1, 2, 3, 5]);
    expect(found.places).toEqual([
      [0, 2, 3],
      [1, 2],
    ]);
    expect(found.columns[0]?.[2]).toEqual([10, undefined, null, 30]);
    expect(found.columns[1]?.[2]).toEqual([undefined, 7, 8, undefined]);
  });

  test("keeps both ends of the bands", () => {
    const found = aligned([line([1, 2], [5, null], { low: [4, null], high: [6, null] })]);
    expect(found.columns[0]).toEqual([
      [4, null],
      [6, null],
      [5, null],
    ]);
  });

  test("is empty without lines", () => {
    expect(aligned([]).moments).toEqual([]);
  });
});

test("values between nulls stand alone, whatever lies on other lines between them", () => {
  expect(alone([1, null, 2, 3, null, 4])).toEqual([0, 5]);
  expect(alone([1, undefined, 2, undefined, null, undefined, 3])).toEqual([6]);
  expect(alone([null, 7, null])).toEqual([1]);
  expect(alone([])).toEqual([]);
});

test("zoom keeps the middle, and stays within the whole", () => {
  expect(zoomed([40, 60], 0.5, [0, 100], 1)).toEqual([45, 55]);
  expect(zoomed([40, 60], 2, [0, 100], 1)).toEqual([30, 70]);
  expect(zoomed([0, 20], 2, [0, 100], 1)).toEqual([0, 40]);
  expect(zoomed([0, 100], 2, [0, 100], 1)).toEqual([0, 100]);
  expect(zoomed([49, 51], 0.1, [0, 100], 4)).toEqual([48, 52]);
});

test("pan moves by a part of the width, and stops at the ends", () => {
  expect(panned([40, 60], 0.5, [0, 100])).toEqual([50, 70]);
  expect(panned([90, 100], 0.5, [0, 100])).toEqual([90, 100]);
  expect(panned([5, 25], -0.5, [0, 100])).toEqual([0, 20]);
});

test("the point at a place is the last one at or before it", () => {
  expect([0, 1, 2, 3, 9].map((place) => lastAt([1, 3, 4], place))).toEqual([-1, 0, 0, 1, 2]);
  expect(lastAt([], 3)).toBe(-1);
});

test("runs of a status are as long as they can be, and OK makes none", () => {
  expect(runs([0, 5, 5, 0, 5, 3, 3, 0])).toEqual([
    [5, 1, 2],
    [5, 4, 4],
    [3, 5, 6],
  ]);
  expect(runs([])).toEqual([]);
});
