import { expect, test } from "vitest";
import { type Box, layered } from "./layout";

const box = (id: string): Box => ({ id, width: 100, height: 40 });

test("a join goes to a later layer, and boxes of a layer do not overlap", () => {
  const places = layered(["a", "b", "c", "d"].map(box), [
    { source: "a", target: "b" },
    { source: "a", target: "c" },
    { source: "c", target: "d" },
  ]);
  const at = (id: string) => places.get(id) ?? { x: Number.NaN, y: Number.NaN };
  expect(at("b").x).toBeGreaterThanOrEqual(at("a").x + 100);
  expect(at("d").x).toBeGreaterThanOrEqual(at("c").x + 100);
  expect(at("b").x).toBe(at("c").x);
  expect(Math.abs(at("b").y - at("c").y)).toBeGreaterThanOrEqual(40);
});

test("rows instead of columns", () => {
  const places = layered(["a", "b"].map(box), [{ source: "a", target: "b" }], { direction: "down" });
  expect(places.get("b")?.y).toBeGreaterThanOrEqual((places.get("a")?.y ?? 0) + 40);
});

test("joins of unknown boxes, with themselves and in cycles are harmless", () => {
  const places = layered(["a", "b"].map(box), [
    { source: "a", target: "b" },
    { source: "b", target: "a" },
    { source: "a", target: "a" },
    { source: "gone", target: "a" },
  ]);
  const without = layered(["a", "b"].map(box), [{ source: "a", target: "b" }]);
  expect(places.get("a")).toEqual(without.get("a"));
  expect(places.size).toBe(2);
  expect([...places.values()].every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))).toBe(true);
});
