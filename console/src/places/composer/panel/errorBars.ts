// The bar of an expected error: the assumed value, and its 95 % interval, on a scale that belongs to the feature.

import type { components } from "../../../api/schema";

export type Expected = components["schemas"]["ExpectedError"];

const NORMAL_95 = 1.96;

export interface Bar {
  /** Places between 0 and 1: the ends of the interval, and the value. */
  readonly low: number;
  readonly high: number;
  readonly value: number;
}

/** The scale of a feature: a share from 0 to 1, a mean over its clip, else from 0 to twice the value. */
export function scaleOf(
  kind: string,
  clip: readonly [number, number] | undefined,
  value: number,
): [number, number] {
  if (kind === "Rate") {
    return [0, 1];
  }
  return clip === undefined ? [0, Math.max(2 * Math.abs(value), 1)] : [clip[0], clip[1]];
}

/** The bar of an expected error; undefined where the value would be null. */
export function barOf(expected: Expected, scale: readonly [number, number]): Bar | undefined {
  const { value, se } = expected;
  if (value === null || se === null) {
    return undefined;
  }
  const [from, to] = scale;
  const place = (one: number) => Math.min(1, Math.max(0, (one - from) / (to - from)));
  const [low, high] = [value - NORMAL_95 * se, value + NORMAL_95 * se];
  return {
    low: place(low),
    high: place(high),
    value: place(value),
  };
}
