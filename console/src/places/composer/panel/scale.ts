// Sliders over several orders of magnitude, in steps of the whole numbers from 0 to STEPS.

export const STEPS = 200;

export interface Scale {
  readonly min: number;
  readonly max: number;
  readonly kind: "log" | "linear";
}

/** The step that is nearest to a value; values outside are at an end. */
export function stepOf(scale: Scale, value: number): number {
  const held = Math.min(scale.max, Math.max(scale.min, value));
  const share =
    scale.kind === "log"
      ? Math.log(held / scale.min) / Math.log(scale.max / scale.min)
      : (held - scale.min) / (scale.max - scale.min);
  return Math.round(share * STEPS);
}

/** The value of a step, with two significant digits, so that a file gets plain numbers. */
export function valueAt(scale: Scale, step: number): number {
  const share = step / STEPS;
  const value =
    scale.kind === "log"
      ? scale.min * (scale.max / scale.min) ** share
      : scale.min + (scale.max - scale.min) * share;
  return Math.min(scale.max, Math.max(scale.min, Number(value.toPrecision(2))));
}

export const CLIENTS: Scale = { min: 10, max: 1_000_000, kind: "log" };
