import { describe, expect, it } from "vitest";
import { CLIENTS, movedTo, type Scale, STEPS, stepOf, valueAt } from "./scale";

const RHO: Scale = { min: 0.001, max: 10, kind: "log" };
const WIDTH: Scale = { min: -60, max: 180, kind: "linear" };

describe("a slider", () => {
  it("reaches both ends", () => {
    for (const scale of [CLIENTS, RHO, WIDTH]) {
      expect([valueAt(scale, 0), valueAt(scale, STEPS)]).toEqual([scale.min, scale.max]);
      expect([stepOf(scale, scale.min), stepOf(scale, scale.max)]).toEqual([0, STEPS]);
    }
  });
  it("gives plain numbers that rise with the step", () => {
    const values = Array.from({ length: STEPS + 1 }, (_, step) => valueAt(RHO, step));
    expect(values).toEqual([...values].sort((a, b) => a - b));
    expect(values.every((value) => value === Number(value.toPrecision(3)))).toBe(true);
  });
  it("never sticks: each step leads to the next, up and down", () => {
    for (const [scale, whole] of [
      [CLIENTS, true],
      [{ min: 2, max: 10_000, kind: "log" }, true],
      [RHO, false],
      [WIDTH, false],
    ] as const) {
      let value: number = scale.min;
      for (let moves = 0; value < scale.max; moves += 1) {
        const next = movedTo(scale, value, stepOf(scale, value) + 1, whole);
        expect(next).toBeGreaterThan(value);
        expect(whole ? Number.isInteger(next) : true).toBe(true);
        expect(moves).toBeLessThan(2 * STEPS);
        value = next;
      }
      expect(movedTo(scale, value, stepOf(scale, value) - 1, whole)).toBeLessThan(value);
    }
  });
  it("holds values outside at its ends", () => {
    expect([stepOf(CLIENTS, 1), stepOf(CLIENTS, 1e9)]).toEqual([0, STEPS]);
  });
});
