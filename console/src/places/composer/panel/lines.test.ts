import { describe, expect, it } from "vitest";
import { type DiffLine, shownLines } from "./lines";

const same = (count: number): DiffLine[] =>
  Array.from({ length: count }, (_, index) => ({ kind: "same", text: `line ${index}` }));
const DIFF: DiffLine[] = [
  ...same(20),
  { kind: "removed", text: "old" },
  { kind: "added", text: "new" },
  ...same(20),
];

describe("a comparison", () => {
  it("numbers the lines of the new text", () => {
    const lines = shownLines(DIFF, false);
    expect(lines).toHaveLength(DIFF.length);
    expect(lines.slice(19, 23).map((line) => line.number)).toEqual([20, undefined, 21, 22]);
  });
  it("folds equal lines that are far from changes", () => {
    const lines = shownLines(DIFF, true);
    expect(lines.map((line) => line.kind)).toEqual([
      "folded",
      "same",
      "same",
      "same",
      "removed",
      "added",
      "same",
      "same",
      "same",
      "folded",
    ]);
  });
});
