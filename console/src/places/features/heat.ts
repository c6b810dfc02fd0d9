// The colours of a heat map: a row a key, a column a pane. What is uncertain is pale, what has no value is grey.

import type { components } from "../../api/schema";

export type HeatMap = components["schemas"]["HeatMap"];
export type Mode = "value" | "se" | "status";
export type Rgb = readonly [number, number, number];

/** The colours that a map takes from the theme. */
export interface Palette {
  ground: Rgb;
  low: Rgb;
  middle: Rgb;
  high: Rgb;
  /** By status code. */
  statuses: readonly Rgb[];
}

export interface Scale {
  low: number;
  high: number;
  /** Values around 0 have two colours, other values one. */
  diverging: boolean;
}

/** The ends of the colours: the values between the 2nd and the 98th hundredth, so that a few extremes hide nothing. */
export function scaleOf(values: readonly (number | null)[]): Scale {
  const known = values.filter((one) => one !== null).sort((a, b) => a - b);
  if (known.length === 0) {
    return { low: 0, high: 1, diverging: false };
  }
  const low = known[Math.floor(0.02 * (known.length - 1))] ?? 0;
  const high = known[Math.ceil(0.98 * (known.length - 1))] ?? 1;
  if (low < 0 && high > 0 && Math.min(-low, high) > 0.1 * Math.max(-low, high)) {
    const end = Math.max(-low, high);
    return { low: -end, high: end, diverging: true };
  }
  return { low, high: high > low ? high : low + 1, diverging: false };
}

/** The colour of a value, between 0 (the low end) and 1. */
export function colourOf(value: number, scale: Scale, palette: Palette): Rgb {
  const part = Math.min(1, Math.max(0, (value - scale.low) / (scale.high - scale.low)));
  if (!scale.diverging) {
    return mixed(palette.middle, palette.high, part);
  }
  return part < 0.5
    ? mixed(palette.low, palette.middle, part * 2)
    : mixed(palette.middle, palette.high, part * 2 - 1);
}

/** How much of its colour a value keeps: 1 if its error is small against the scale, a third if it is as wide. */
export function certainty(se: number | null, scale: Scale): number {
  if (se === null) {
    return 1;
  }
  return Math.max(1 / 3, 1 - (2 * 1.96 * se) / (scale.high - scale.low));
}

/** RGBA of every cell; row r shows the key `order[r]`. */
export function pixels(
  map: HeatMap,
  mode: Mode,
  scale: Scale,
  palette: Palette,
  order: readonly number[],
): Uint8ClampedArray<ArrayBuffer> {
  const columns = map.moments.length;
  const found = new Uint8ClampedArray(4 * order.length * columns);
  const source = mode === "se" ? map.se : map.value;
  for (const [row, key] of order.entries()) {
    for (let column = 0; column < columns; column++) {
      const cell = key * columns + column;
      const value = source[cell] ?? null;
      let rgb: Rgb = palette.ground;
      if (mode === "status") {
        rgb = palette.statuses[map.status[cell] ?? 0] ?? palette.ground;
      } else if (value !== null) {
        const whole = colourOf(value, scale, palette);
        rgb = mode === "se" ? whole : mixed(palette.ground, whole, certainty(map.se[cell] ?? null, scale));
      }
      found.set([rgb[0], rgb[1], rgb[2], 255], 4 * (row * columns + column));
    }
  }
  return found;
}

export type Order = "key" | "newest" | "known";

export interface KeySummary {
  key: string;
  /** The place of the key in the map. */
  at: number;
  known: number;
  newest: number | null;
  newestSe: number | null;
  newestMoment: number | null;
  least: number | null;
  greatest: number | null;
}

/** What a table says of each key. */
export function summaries(map: HeatMap): KeySummary[] {
  const columns = map.moments.length;
  return map.keys.map((key, at) => {
    const found: KeySummary = {
      key,
      at,
      known: 0,
      newest: null,
      newestSe: null,
      newestMoment: null,
      least: null,
      greatest: null,
    };
    for (let column = 0; column < columns; column++) {
      const value = map.value[at * columns + column] ?? null;
      if (value !== null) {
        found.known += 1;
        found.newest = value;
        found.newestSe = map.se[at * columns + column] ?? null;
        found.newestMoment = map.moments[column] ?? null;
        found.least = Math.min(found.least ?? value, value);
        found.greatest = Math.max(found.greatest ?? value, value);
      }
    }
    return found;
  });
}

/** The places of the keys in the order that they are drawn in. */
export function ordered(found: readonly KeySummary[], order: Order): number[] {
  const by: Record<Order, (one: KeySummary) => number> = {
    key: (one) => one.at,
    newest: (one) => -(one.newest ?? Number.NEGATIVE_INFINITY),
    known: (one) => -one.known,
  };
  return [...found].sort((a, b) => by[order](a) - by[order](b) || a.at - b.at).map((one) => one.at);
}

function mixed(a: Rgb, b: Rgb, part: number): Rgb {
  return [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part, a[2] + (b[2] - a[2]) * part];
}

/** `rgb(1, 2, 3)` as numbers. */
export function rgbOf(text: string): Rgb {
  const [red = 0, green = 0, blue = 0] = (text.match(/[\d.]+/g) ?? []).map(Number);
  return [red, green, blue];
}
