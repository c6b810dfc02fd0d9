import { expect, test } from "vitest";
import { barsOf, comparedWith, metricNames, placed, scaleOf } from "./metrics";
import type { Version } from "./types";

function version(number: number, metrics: Version["metrics"]): Version {
  return {
    version: number,
    registered_at: 0,
    share: 0,
    deletable: true,
    kind: "",
    task: "",
    seed: "",
    service: "",
    features: [],
    columns: [],
    views: [],
    labels: null,
    files: {},
    metrics,
    damaged: null,
  };
}

const VERSIONS = [
  version(2, [
    { of: "model", name: "auc", value: 0.7, low: 0.6, high: 0.8 },
    { of: "constant", name: "auc", value: 0.5, low: 0.5, high: 0.5 },
    { of: "constant", name: "only of the baseline", value: 0.5, low: 0.5, high: 0.5 },
  ]),
  version(1, [{ of: "model", name: "auc", value: 0.9, low: null, high: null }]),
  version(3, [{ of: "model", name: "loss", value: null, low: null, high: null }]),
];

test("only versions with a value of the metric have a bar", () => {
  expect(metricNames(VERSIONS)).toEqual(["auc", "loss"]);
  expect(comparedWith(VERSIONS)).toEqual(["constant"]);
  expect(barsOf(VERSIONS, "auc").map((bar) => bar.version)).toEqual([2, 1]);
  expect(barsOf(VERSIONS, "loss")).toEqual([]);
});

test("every end of every bar is on the scale", () => {
  const bars = barsOf(VERSIONS, "auc");
  const scale = scaleOf(bars);
  for (const value of [0.6, 0.7, 0.8, 0.9]) {
    expect(placed(value, scale)).toBeGreaterThan(0);
    expect(placed(value, scale)).toBeLessThan(1);
  }
});

test("a scale of one value is not empty", () => {
  const scale = scaleOf([{ version: 1, value: 0, low: null, high: null }]);
  expect(placed(0, scale)).toBeCloseTo(0.5);
});
