import { describe, expect, it } from "vitest";
import { barOf, scaleOf } from "./errorBars";

describe("the bar of an expected error", () => {
  it("is the 95 % interval around the assumed value", () => {
    const bar = barOf({ clients: 100, value: 0.5, se: 0.1, drowned: false }, scaleOf("Rate", undefined, 0.5));
    expect(bar?.low).toBeCloseTo(0.304);
    expect(bar?.high).toBeCloseTo(0.696);
    expect(bar).toMatchObject({ value: 0.5 });
  });
  it("stays on the scale", () => {
    const bar = barOf({ clients: 10, value: 60, se: 100, drowned: true }, scaleOf("Mean", [-60, 180], 60));
    expect(bar).toMatchObject({ low: 0, high: 1, value: 0.5 });
  });
  it("is not there where the value would be null", () => {
    expect(barOf({ clients: 10, value: null, se: null, drowned: true }, [0, 1])).toBeUndefined();
  });
  it("has a scale of its own for counts", () => {
    expect(scaleOf("Count", undefined, 1000)).toEqual([0, 2000]);
    expect(scaleOf("Count", undefined, 0)).toEqual([0, 1]);
  });
});
