import { expect, test } from "vitest";
import { sharesText, single, wordsOf } from "./weights";

test("weights become the words of the command, in the order of versions", () => {
  expect(wordsOf({ newest: false, weights: { 2: "0.1", 1: " 0.9 ", 3: "" } })).toEqual(["v1=0.9", "v2=0.1"]);
});

test("a version alone needs no weight, and newest no version", () => {
  expect(wordsOf(single(3))).toEqual(["v3"]);
  expect(wordsOf({ newest: false, weights: { 1: "5", 2: "0" } })).toEqual(["v1"]);
  expect(wordsOf({ newest: true, weights: { 1: "1" } })).toEqual(["newest"]);
});

test("no weight, or one that cannot be read, is no promotion", () => {
  for (const text of ["", "0", "-1", "1e3", "x", "0.1.2", "Infinity"]) {
    expect(wordsOf({ newest: false, weights: { 1: text } })).toBeUndefined();
  }
});

test("shares are percentages", () => {
  expect(
    sharesText([
      { version: 1, share: 0.9 },
      { version: 2, share: 0.1 },
    ]),
  ).toBe("v1 90 %, v2 10 %");
});
