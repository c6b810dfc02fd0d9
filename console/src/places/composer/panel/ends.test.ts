import { describe, expect, it } from "vitest";
import { shownIn, withEndsOf } from "./ends";

describe("the ends of lines", () => {
  it.each(["a\r\nb\r\n", "a\nb\n", "", "one line"])("of %j survive a text area", (text) => {
    expect(withEndsOf(text, shownIn(text))).toBe(text);
  });
  it("of new lines are those of the file", () => {
    expect(withEndsOf("a\r\n", "a\nb\n")).toBe("a\r\nb\r\n");
    expect(withEndsOf("a\n", "a\nb\n")).toBe("a\nb\n");
  });
});
