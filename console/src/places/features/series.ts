// From the answers of the API to the lines of a chart and the rows of its table.

import type { components } from "../../api/schema";
import { type ChartGap, type ChartLine, pointAt } from "../../design/chart/lines";

export type SeriesForm = components["schemas"]["SeriesForm"];

export interface Shown {
  /** The feature as it was chosen, with its version. */
  feature: string;
  /** What its lines are compared by: features of one kind have one axis. */
  unit: string;
  data: SeriesForm;
}

/** A line for each key of each feature. Features of another unit than the first have the right axis, and dashes. */
export function linesOf(shown: readonly Shown[], constant: boolean): ChartLine[] {
  const lines: ChartLine[] = [];
  for (const [order, { feature, unit, data }] of shown.entries()) {
    for (const one of data.keys) {
      lines.push({
        id: `${feature} ${one.key}`,
        label:
          shown.length > 1 ? (constant ? feature : `${one.key}, ${feature}`) : constant ? feature : one.key,
        colour: lines.length,
        dashed: order > 0,
        moments: data.moments,
        value: one.value,
        low: one.low,
        high: one.high,
        status: one.status,
        axis: unit === shown[0]?.unit ? "left" : "right",
      });
    }
  }
  return lines;
}

export function gapsOf(shown: readonly Shown[]): ChartGap[] {
  const gaps = new Map<number, ChartGap>();
  for (const gap of shown.flatMap((one) => one.data.gaps)) {
    gaps.set(gap.start, { start: gap.start, end: gap.end, kind: gap.state, reason: gap.reason });
  }
  return [...gaps.values()].sort((a, b) => a.start - b.start);
}

export interface Row {
  id: string;
  moment: number;
  key: string;
  feature: string;
  value: number | null;
  se: number | null;
  low: number | null;
  high: number | null;
  n: number | null;
  status: string;
  reason: string;
  release: string;
}

/** A row for each pane, key and feature, the newest first; and one for each gap without any row. */
export function rowsOf(shown: readonly Shown[]): Row[] {
  const rows: Row[] = [];
  for (const { feature, data } of shown) {
    const reasons = data.moments.map((moment) => gapAt(data.gaps, moment)?.reason ?? "");
    for (const one of data.keys) {
      for (const [i, moment] of data.moments.entries()) {
        rows.push({
          id: `${feature} ${one.key} ${moment}`,
          moment,
          key: one.key,
          feature,
          value: one.value[i] ?? null,
          se: one.se[i] ?? null,
          low: one.low[i] ?? null,
          high: one.high[i] ?? null,
          n: one.n?.[i] ?? null,
          status: data.statuses[one.status[i] ?? 0] ?? "",
          reason: reasons[i] ?? "",
          release: data.releases[i] ?? "",
        });
      }
    }
    for (const gap of data.every === 1 ? data.gaps : []) {
      if (!data.moments.some((moment) => gap.start <= moment && moment < gap.end)) {
        const nothing = { value: null, se: null, low: null, high: null, n: null };
        const id = `${feature} – ${gap.start}`;
        const more = { status: "VOID", reason: gap.reason, release: gap.release };
        rows.push({ id, moment: gap.start, key: "–", feature, ...nothing, ...more });
      }
    }
  }
  return rows.sort((a, b) => b.moment - a.moment);
}

type Gap = SeriesForm["gaps"][number];

/** The gap that holds a moment; gaps are in order. */
function gapAt(gaps: readonly Gap[], moment: number): Gap | undefined {
  const gap = gaps[pointAt(gaps, moment, (one) => one.start)];
  return gap !== undefined && moment < gap.end ? gap : undefined;
}

/** How many values there are of each status, without OK, the most frequent first. */
export function statusCounts(shown: readonly Shown[]): [status: string, count: number][] {
  const counts = new Map<string, number>();
  for (const { data } of shown) {
    for (const code of data.keys.flatMap((one) => one.status)) {
      const name = data.statuses[code] ?? "";
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  counts.delete("OK");
  return [...counts].sort((a, b) => b[1] - a[1]);
}
