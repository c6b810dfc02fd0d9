import { expect, test } from "vitest";
import { read } from "./moved";

test("stored positions are read, and anything else is left out", () => {
  expect(read('{"a": {"x": 1, "y": 2}, "b": {"x": "1", "y": 2}, "c": null, "d": {"x": 1}}')).toEqual({
    a: { x: 1, y: 2 },
  });
  expect(read("[1")).toEqual({});
  expect(read("null")).toEqual({});
  expect(read(null)).toEqual({});
});
