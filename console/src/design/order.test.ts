import { expect, test } from "vitest";
import { ordered } from "./order";

const by = (one: string | number | null) => one;

test("numbers and texts are sorted either way, and nulls are last", () => {
  expect(ordered([3, null, 10, 2], by, false)).toEqual([2, 3, 10, null]);
  expect(ordered([3, null, 10, 2], by, true)).toEqual([10, 3, 2, null]);
  expect(ordered(["site-10", "site-2", "Site-1"], by, false)).toEqual(["Site-1", "site-2", "site-10"]);
});

test("without an order the rows are as they were, and sorting leaves the given list alone", () => {
  const rows = [2, 1];
  expect(ordered(rows, undefined, false)).toBe(rows);
  expect(ordered(rows, by, false)).toEqual([1, 2]);
  expect(rows).toEqual([2, 1]);
});
