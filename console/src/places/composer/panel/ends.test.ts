import { describe, expect, it } from "vitest";
import { shownIn, withEndsOf } from "./ends";

describe("the ends of lines", () => {
  it.each(["a\r\nb\r\n", "a\nb\n", "a\r\nb\nc\rd\n\r\n", "", "one line"])(
    "of %j survive a text area",
    (text) => {
      expect(withEndsOf(text, shownIn(text))).toBe(text);
    },
  );
  it("of new lines are those of the file", () => {
    expect(withEndsOf("a\r\n", "a\nb\n")).toBe("a\r\nb\r\n");
    expect(withEndsOf("a\n", "a\nb\n")).toBe("a\nb\n");
  });
  it("of lines between edits stay in a file with both, and new lines get the end of most lines", () => {
    const file = "a\nb\r\nc\nd\r\ne\nf\n";
    expect(withEndsOf(file, "new\na\nb\nc\nother\ne\nf\nlast\n")).toBe("new\na\nb\r\nc\nother\ne\nf\nlast\n");
    expect(withEndsOf("a\r\nb\r\nc\nd", "new\na\nb\nc\nd\nlast")).toBe("new\r\na\r\nb\r\nc\nd\r\nlast");
  });
  it("of a file that is deleted up to a line stay", () => {
    expect(withEndsOf("a\r\nb\nc\r\n", "b\nc\n")).toBe("b\nc\r\n");
  });
});
