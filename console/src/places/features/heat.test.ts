import { describe, expect, test } from "vitest";
import {
  certainty,
  colourOf,
  type HeatMap,
  ordered,
  type Palette,
  pixels,
  rgbOf,
  scaleOf,
  summaries,
} from "./heat";

const PALETTE: Palette = {
  ground: [0, 0, 0],
  low: [0, 0, 200],
  middle: [100, 100, 100],
  high: [200, 0, 0],
  statuses: [
    [1, 1, 1],
    [9, 9, 9],
  ],
};

const MAP: HeatMap = {
  view: "v",
  feature: "f",
  cell: null,
  pane_us: 10,
  every: 1,
  panes: 2,
  first: 0,
  total: 2,
  keys: ["ATL", "LAX"],
  moments: [10, 20],
  value: [1, null, 3, 5],
  se: [0, null, 0, 0],
  status: [0, 1, 0, 0],
  statuses: ["OK", "ROUGH_SE"],
};

describe("scale", () => {
  test("leaves a few extremes out", () => {
    const values = Array.from({ length: 101 }, (_, i) => i as number | null);
    expect(scaleOf([...values, null])).toEqual({ low: 2, high: 98, diverging: false });
  });
  test("is around 0 where both signs are large", () => {
    expect(scaleOf([-5, 10])).toEqual({ low: -10, high: 10, diverging: true });
    expect(scaleOf([-0.5, 10]).diverging).toBe(false);
  });
  test("has a width also without values, or with one", () => {
    expect(scaleOf([null])).toEqual({ low: 0, high: 1, diverging: false });
    expect(scaleOf([7])).toEqual({ low: 7, high: 8, diverging: false });
  });
});

test("colours lie between the ends, and stay there beyond them", () => {
  const one = { low: 0, high: 10, diverging: false };
  expect([-1, 0, 5, 10, 99].map((value) => colourOf(value, one, PALETTE)[0])).toEqual([
    100, 100, 150, 200, 200,
  ]);
  const two = { low: -10, high: 10, diverging: true };
  expect(colourOf(-10, two, PALETTE)).toEqual([0, 0, 200]);
  expect(colourOf(0, two, PALETTE)).toEqual([100, 100, 100]);
});

test("what is uncertain is pale", () => {
  const scale = { low: 0, high: 10, diverging: false };
  expect(certainty(0, scale)).toBe(1);
  expect(certainty(null, scale)).toBe(1);
  expect(certainty(1, scale)).toBeCloseTo(0.608);
  expect(certainty(100, scale)).toBeCloseTo(1 / 3);
});

test("each cell has its pixel, in the order of the rows", () => {
  const found = pixels(MAP, "value", { low: 1, high: 5, diverging: false }, PALETTE, [1, 0]);
  expect([0, 4, 8, 12].map((at) => found[at])).toEqual([150, 200, 100, 0]);
  expect([3, 7, 11, 15].map((at) => found[at])).toEqual([255, 255, 255, 255]);
  const statuses = pixels(MAP, "status", { low: 0, high: 1, diverging: false }, PALETTE, [0, 1]);
  expect([0, 4, 8, 12].map((at) => statuses[at])).toEqual([1, 9, 1, 1]);
});

test("keys have summaries, and orders", () => {
  const found = summaries(MAP);
  expect(found[0]).toMatchObject({
    key: "ATL",
    known: 1,
    newest: 1,
    newestMoment: 10,
    least: 1,
    greatest: 1,
  });
  expect(found[1]).toMatchObject({ key: "LAX", known: 2, newest: 5, least: 3, greatest: 5 });
  expect(ordered(found, "key")).toEqual([0, 1]);
  expect(ordered(found, "newest")).toEqual([1, 0]);
  expect(ordered(found, "known")).toEqual([1, 0]);
});

test("keys without a value come after those with the least", () => {
  const found = summaries({ ...MAP, value: [null, null, -3, -5] });
  expect(ordered(found, "newest")).toEqual([1, 0]);
});

test("colours of the theme are read", () => {
  expect(rgbOf("rgb(1, 22, 255)")).toEqual([1, 22, 255]);
});
