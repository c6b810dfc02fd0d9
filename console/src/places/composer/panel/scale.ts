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

/** The value of a step, with three significant digits: plain numbers for a file, and each step has its own. */
export function valueAt(scale: Scale, step: number): number {
  const share = step / STEPS;
  const value =
    scale.kind === "log"
      ? scale.min * (scale.max / scale.min) ** share
      : scale.min + (scale.max - scale.min) * share;
  return Math.min(scale.max, Math.max(scale.min, Number(value.toPrecision(3))));
}

/** The value after the slider was moved to a step. A whole number moves by one at least, so that no slider sticks. */
export function movedTo(scale: Scale, value: number, step: number, whole: boolean): number {
  const next = valueAt(scale, step);
  if (!whole) {
    return next;
  }
  const rounded = Math.round(next);
  const by = Math.sign(step - stepOf(scale, value));
  return rounded === value ? Math.min(scale.max, Math.max(scale.min, value + by)) : rounded;
}

export const CLIENTS: Scale = { min: 10, max: 1_000_000, kind: "log" };
