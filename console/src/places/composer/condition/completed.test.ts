import { describe, expect, it } from "vitest";
import { completed, marked } from "./completed";
import type { Condition } from "./useCondition";

function condition(first: number, last: number): Condition {
  return {
    valid: false,
    message: "",
    warning: "",
    first,
    last,
    replace_first: first,
    replace_last: last,
    options: [],
  };
}

const option = (text: string): Condition["options"][number] => ({ text, part: "operator", hint: "" });

describe("a suggestion", () => {
  it("replaces the begun word, and the caret goes on behind it", () => {
    expect(completed("dep", condition(0, 3), option("dep_delay"))).toEqual({ text: "dep_delay ", caret: 10 });
  });
  it("is set off from the word before", () => {
    expect(completed("dep_delay", condition(9, 9), option(">="))).toEqual({
      text: "dep_delay >= ",
      caret: 13,
    });
  });
  it("puts the caret inside quotes and behind an open bracket", () => {
    expect(completed("carrier = ", condition(10, 10), option("''"))).toEqual({
      text: "carrier = ''",
      caret: 11,
    });
    expect(completed("carrier ", condition(8, 8), option("IN ("))).toEqual({
      text: "carrier IN (",
      caret: 12,
    });
  });
  it("keeps what follows", () => {
    expect(completed("a AND b", condition(0, 1), option("arr"))).toEqual({ text: "arr AND b", caret: 4 });
  });
});

describe("the mark of an error", () => {
  it("splits the text", () => {
    expect(marked("a >= ", condition(2, 4))).toEqual(["a ", ">=", " "]);
  });
});
