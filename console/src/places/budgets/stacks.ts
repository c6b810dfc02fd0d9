// The charged days of a ledger as stacked bars: one path for each view, in units of the drawing.

import type { components } from "../../api/schema";

export type Day = components["schemas"]["LedgerDay"];

export const DAY_US = 86_400_000_000;

export interface Frame {
  /** The first day and the day after the last, µs. */
  start: number;
  end: number;
  /** The largest micro-ρ that is drawn. */
  top: number;
  width: number;
  height: number;
}

export interface Stack {
  view: string;
  /** The micro-ρ of all days together. */
  total: number;
  path: string;
}

/** The views of some days, the one with the largest charges first. */
export function viewsOf(days: readonly Day[]): string[] {
  const totals = new Map<string, number>();
  for (const day of days) {
    for (const share of day.views) {
      totals.set(share.view, (totals.get(share.view) ?? 0) + share.micro_rho);
    }
  }
  return [...totals].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).map(([view]) => view);
}

/** The frame of a drawing: whole days, with room above the budget. */
export function frameOf(days: readonly Day[], budget: number, width: number, height: number): Frame {
  const first = days[0]?.day ?? 0;
  const last = days.at(-1)?.day ?? 0;
  const most = Math.max(budget, ...days.map((day) => day.spent), 1);
  return { start: first, end: last + DAY_US, top: most * 1.08, width, height };
}

export function xOf(frame: Frame, moment: number): number {
  return ((moment - frame.start) / (frame.end - frame.start)) * frame.width;
}

export function yOf(frame: Frame, microRho: number): number {
  return frame.height - (microRho / frame.top) * frame.height;
}

/** The bars of each view on top of those before it. Days in a row with equal bars are one rectangle. */
export function stacksOf(days: readonly Day[], views: readonly string[], frame: Frame): Stack[] {
  const below = new Map(days.map((day) => [day.day, 0]));
  return views.map((view) => {
    const bars: { day: number; from: number; to: number }[] = [];
    let total = 0;
    for (const day of days) {
      const charged = day.views.find((share) => share.view === view)?.micro_rho ?? 0;
      const from = below.get(day.day) ?? 0;
      if (charged > 0) {
        bars.push({ day: day.day, from, to: from + charged });
        below.set(day.day, from + charged);
        total += charged;
      }
    }
    return { view, total, path: pathOf(bars, frame) };
  });
}

function pathOf(bars: readonly { day: number; from: number; to: number }[], frame: Frame): string {
  const parts: string[] = [];
  for (let first = 0; first < bars.length; ) {
    let last = first;
    while (follows(bars[last], bars[last + 1])) {
      last += 1;
    }
    const [bar, end] = [bars[first], bars[last]];
    if (bar !== undefined && end !== undefined) {
      const [left, right] = [xOf(frame, bar.day), xOf(frame, end.day + DAY_US)];
      const [low, high] = [yOf(frame, bar.from), yOf(frame, bar.to)];
      parts.push(
        `M${left.toFixed(2)} ${low.toFixed(2)}V${high.toFixed(2)}H${right.toFixed(2)}V${low.toFixed(2)}Z`,
      );
    }
    first = last + 1;
  }
  return parts.join("");
}

function follows(
  one: { day: number; from: number; to: number } | undefined,
  next: { day: number; from: number; to: number } | undefined,
): boolean {
  return (
    one !== undefined &&
    next !== undefined &&
    next.day === one.day + DAY_US &&
    next.from === one.from &&
    next.to === one.to
  );
}

/** Some days of a frame for its axis, at most so many, by whole months or days. */
export function dayTicks(frame: Frame, most: number): number[] {
  const days = Math.round((frame.end - frame.start) / DAY_US);
  const step = Math.max(1, Math.ceil(days / Math.max(1, most)));
  return Array.from({ length: Math.ceil(days / step) }, (_, index) => frame.start + index * step * DAY_US);
}
