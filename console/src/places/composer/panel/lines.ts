// The lines of a comparison, with their numbers; long runs of equal lines are folded.

import type { components } from "../../../api/schema";

export type DiffLine = components["schemas"]["DiffLine"];

export interface ShownLine {
  readonly kind: DiffLine["kind"] | "folded";
  readonly text: string;
  /** The number in the new text; of a removed line, none. */
  readonly number: number | undefined;
  readonly key: string;
}

const AROUND = 3;

/** Every line, or only those around changes. */
export function shownLines(diff: readonly DiffLine[], fold: boolean): readonly ShownLine[] {
  let number = 0;
  const lines = diff.map((line, index): ShownLine => {
    number += line.kind === "removed" ? 0 : 1;
    return { ...line, number: line.kind === "removed" ? undefined : number, key: `${index}` };
  });
  if (!fold) {
    return lines;
  }
  const near = new Set<number>();
  for (const [index, line] of diff.entries()) {
    for (let i = index - AROUND; line.kind !== "same" && i <= index + AROUND; i += 1) {
      near.add(i);
    }
  }
  return lines.flatMap((line, index): ShownLine[] => {
    if (near.has(index)) {
      return [line];
    }
    const isFirst = index === 0 || near.has(index - 1);
    return isFirst ? [{ kind: "folded", text: "…", number: undefined, key: `folded-${index}` }] : [];
  });
}
