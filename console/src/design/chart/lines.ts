// The lines of a chart, and its arithmetic: one time axis for all, points that stand alone, zoom and pan. Times are µs.

export interface ChartLine {
  /** Names the line among the lines of a chart. */
  id: string;
  label: string;
  /** The number of its colour; see `seriesColour`. */
  colour: number;
  dashed?: boolean;
  /** Increasing. All other columns are as long. */
  moments: readonly number[];
  value: readonly (number | null)[];
  /** The ends of the 95 % interval. */
  low?: readonly (number | null)[];
  high?: readonly (number | null)[];
  /** Codes of `statuses` of the chart; 0 is not shown. */
  status?: readonly number[];
  /** Lines of one axis have one unit. */
  axis?: "left" | "right";
}

/** A time without a value, shaded from top to bottom. */
export interface ChartGap {
  start: number;
  end: number;
  kind: "void" | "retracted";
  reason: string;
}

export type Range = readonly [number, number];
export type Column = (number | null | undefined)[];

export interface Aligned {
  /** µs, increasing: the moments of all lines. */
  moments: number[];
  /** By line: the place in `moments` of each of its points. */
  places: number[][];
  /** By line: low, high and value on the time axis of all; undefined where the line has no point. */
  columns: [Column, Column, Column][];
}

/** Puts lines onto one time axis. */
export function aligned(lines: readonly ChartLine[]): Aligned {
  const moments = [...new Set(lines.flatMap((line) => line.moments))].sort((a, b) => a - b);
  const place = new Map(moments.map((moment, index) => [moment, index]));
  const places = lines.map((line) => line.moments.map((moment) => place.get(moment) ?? 0));
  const columns = lines.map((line, index): [Column, Column, Column] => {
    const spread = (values: readonly (number | null)[] | undefined): Column => {
      const column: Column = new Array(moments.length).fill(undefined);
      for (const [i, at] of (places[index] ?? []).entries()) {
        column[at] = values?.[i] ?? null;
      }
      return column;
    };
    return [spread(line.low), spread(line.high), spread(line.value)];
  });
  return { moments, places, columns };
}

/** The places of values that have no neighbour with a value: a line does not show them, a point does. */
export function alone(column: Column): number[] {
  const known = column.flatMap((value, index) => (value === undefined ? [] : [index]));
  return known.filter((place, index) => {
    const [before, after] = [known[index - 1], known[index + 1]];
    const there = (at: number | undefined) => at !== undefined && column[at] !== null;
    return there(place) && !there(before) && !there(after);
  });
}

/** A time range, narrower (factor < 1) or wider around its middle, within the whole. */
export function zoomed(range: Range, factor: number, whole: Range, least: number): Range {
  const middle = (range[0] + range[1]) / 2;
  const half = Math.max(least, (range[1] - range[0]) * factor) / 2;
  return within([middle - half, middle + half], whole);
}

/** A time range, moved by a part of its width, within the whole. */
export function panned(range: Range, part: number, whole: Range): Range {
  const step = (range[1] - range[0]) * part;
  return within([range[0] + step, range[1] + step], whole);
}

function within(range: Range, whole: Range): Range {
  const width = Math.min(range[1] - range[0], whole[1] - whole[0]);
  const start = Math.min(Math.max(range[0], whole[0]), whole[1] - width);
  return [Math.round(start), Math.round(start + width)];
}

/** The number of the last entry at or before a place, of entries in order; -1: there is none. */
export function lastAt(places: readonly number[], place: number): number {
  return pointAt(places, place, (one) => one);
}

/** As `lastAt`, of entries whose places a function gives. */
export function pointAt<One>(entries: readonly One[], place: number, placeOf: (one: One) => number): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (placeOf(entries[middle] as One) <= place) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low - 1;
}

/** Runs of one status, as [first, last] points; the code 0 makes none. */
export function runs(status: readonly number[]): [code: number, first: number, last: number][] {
  const found: [number, number, number][] = [];
  for (const [index, code] of status.entries()) {
    const last = found.at(-1);
    if (last !== undefined && last[0] === code && last[2] === index - 1) {
      last[2] = index;
    } else if (code !== 0) {
      found.push([code, index, index]);
    }
  }
  return found;
}
