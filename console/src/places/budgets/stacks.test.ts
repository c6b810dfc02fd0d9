import { expect, test } from "vitest";
import { DAY_US, type Day, dayTicks, frameOf, stacksOf, viewsOf, xOf, yOf } from "./stacks";

function day(number: number, shares: Record<string, number>): Day {
  const views = Object.entries(shares).map(([view, micro_rho]) => ({
    view,
    micro_rho,
    collections: 1,
    roles: [],
  }));
  const spent = views.reduce((sum, share) => sum + share.micro_rho, 0);
  return {
    day: number * DAY_US,
    views,
    spent,
    left: 100 - spent,
    aggregator_micro_rho: spent,
    outsiders_micro_rho: spent,
  };
}

const DAYS = [day(0, { a: 60, b: 20 }), day(1, { a: 60, b: 20 }), day(2, { a: 60 }), day(5, { b: 20 })];

test("views are ordered by what they were charged in all", () => {
  expect(viewsOf(DAYS)).toEqual(["a", "b"]);
  expect(viewsOf([])).toEqual([]);
});

test("equal days in a row are one rectangle, and a gap or another height begins a new one", () => {
  const frame = frameOf(DAYS, 100, 600, 108);
  const [a, b] = stacksOf(DAYS, ["a", "b"], frame);
  expect(a?.path.match(/M/g)?.length).toBe(1);
  expect(b?.path.match(/M/g)?.length).toBe(2);
  expect([a?.total, b?.total]).toEqual([180, 60]);
});

test("a view stands on the views before it", () => {
  const frame = frameOf(DAYS, 100, 600, 108);
  const [, b] = stacksOf(DAYS, ["a", "b"], frame);
  expect(b?.path.startsWith(`M0.00 ${yOf(frame, 60).toFixed(2)}V${yOf(frame, 80).toFixed(2)}H200.00`)).toBe(
    true,
  );
  expect(b?.path.includes(`M500.00 ${yOf(frame, 0).toFixed(2)}V${yOf(frame, 20).toFixed(2)}H600.00`)).toBe(
    true,
  );
});

test("a third view stands on both others, and equal bars of days that do not follow each other are apart", () => {
  const days = [day(0, { a: 30, b: 20, c: 10 }), day(2, { a: 30, b: 20, c: 10 })];
  const frame = frameOf(days, 100, 300, 108);
  const [a, , c] = stacksOf(days, ["a", "b", "c"], frame);
  expect(c?.path).toContain(`M0.00 ${yOf(frame, 50).toFixed(2)}V${yOf(frame, 60).toFixed(2)}H100.00`);
  expect(a?.path.match(/M/g)?.length).toBe(2);
});

test("the frame has room for the budget and for days that exceed it", () => {
  expect(yOf(frameOf(DAYS, 100, 1, 1), 100)).toBeGreaterThan(0);
  expect(frameOf([day(0, { a: 500 })], 100, 1, 1).top).toBeGreaterThan(500);
  expect(xOf(frameOf(DAYS, 100, 600, 1), 6 * DAY_US)).toBe(600);
});

test("ticks are whole days, and no more than asked for", () => {
  const frame = frameOf([day(0, {}), day(364, {})], 1, 1, 1);
  const ticks = dayTicks(frame, 6);
  expect(ticks.length).toBeLessThanOrEqual(6);
  expect(ticks.every((tick) => tick % DAY_US === 0)).toBe(true);
});
