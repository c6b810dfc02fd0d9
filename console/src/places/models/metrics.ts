// The intervals of a metric over versions, as positions between 0 and 1.

import type { Metric, Version } from "./types";

export const MODEL = "model";

export interface Bar {
  version: number;
  value: number;
  low: number | null;
  high: number | null;
}

export interface Scale {
  from: number;
  to: number;
}

/** The names of the metrics of the models themselves, each once. */
export function metricNames(versions: readonly Version[]): string[] {
  const all = versions.flatMap((version) => version.metrics.filter((one) => one.of === MODEL));
  return [...new Set(all.map((one) => one.name))];
}

export function metricOf(version: Version, name: string, of: string = MODEL): Metric | undefined {
  return version.metrics.find((one) => one.of === of && one.name === name);
}

/** What the versions were compared with in their tests, without the models themselves. */
export function comparedWith(versions: readonly Version[]): string[] {
  const all = versions.flatMap((version) => version.metrics.map((one) => one.of));
  return [...new Set(all)].filter((one) => one !== MODEL);
}

/** The bars of a metric, for the versions that have it. */
export function barsOf(versions: readonly Version[], name: string): Bar[] {
  return versions.flatMap((version) => {
    const found = metricOf(version, name);
    return found === undefined || found.value === null
      ? []
      : [{ version: version.version, value: found.value, low: found.low, high: found.high }];
  });
}

/** The scale that shows all bars, with a margin. */
export function scaleOf(bars: readonly Bar[]): Scale {
  const all = bars.flatMap((bar) => [bar.value, bar.low ?? bar.value, bar.high ?? bar.value]);
  const from = Math.min(...all);
  const to = Math.max(...all);
  const margin = to > from ? (to - from) * 0.08 : Math.max(Math.abs(to), 1) * 0.08;
  return { from: from - margin, to: to + margin };
}

/** The place of a value on a scale, between 0 and 1. */
export function placed(value: number, scale: Scale): number {
  return (value - scale.from) / (scale.to - scale.from);
}
