import { describe, expect, it } from "vitest";
import { CLIENTS, type Scale, STEPS, stepOf, valueAt } from "./scale";

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
    const values = Array.from({ length: STEPS + 1 }, (_, step) => valueAt(CLIENTS, step));
    expect(values).toEqual([...values].sort((a, b) => a - b));
    expect(values.every((value) => Number.isInteger(value))).toBe(true);
    expect(valueAt(RHO, 77)).toBe(Number(valueAt(RHO, 77).toPrecision(2)));
  });
  it("holds values outside at its ends", () => {
    expect([stepOf(CLIENTS, 1), stepOf(CLIENTS, 1e9)]).toEqual([0, STEPS]);
  });
});
