import { describe, expect, it } from "vitest";
import { isProgress, withProgress } from "./useRun";

const step = (name: string, done: number) => ({ view: "v", step: name, done, total: 10 });

describe("the progress of a run", () => {
  it("keeps the newest of each step, in the order of the steps", () => {
    const known = [step("compute", 10), step("noise", 1)];
    expect(withProgress(known, step("noise", 5))).toEqual([step("compute", 10), step("noise", 5)]);
    const other = { ...step("noise", 3), view: "w" };
    expect(withProgress(known, other)).toEqual([...known, other]);
    expect(withProgress(known, step("publish", 1))).toEqual([...known, step("publish", 1)]);
  });
  it("is read from an event only if it is whole", () => {
    expect(isProgress(step("noise", 1))).toBe(true);
    for (const odd of [null, 3, {}, { view: "v", step: "s", done: "1", total: 2 }]) {
      expect(isProgress(odd)).toBe(false);
    }
  });
});
