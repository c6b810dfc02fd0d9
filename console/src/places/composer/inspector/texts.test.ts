import { expect, test } from "vitest";
import type { Json } from "../graph/graph";
import {
  type LineEditor,
  readKeys,
  readPair,
  readTags,
  readText,
  textOfKeys,
  textOfTags,
  textOfValue,
} from "./texts";

function read(editor: LineEditor, text: string): Json | string {
  const found = readText(editor, text);
  return found.kind === "value" ? found.value : `wrong: ${found.why}`;
}

test.each<[LineEditor, Json]>([
  ["text", "a text, with a comma"],
  ["number", 0.06],
  ["number", -60],
  ["integer", 50],
  ["duration", "15m"],
  ["durations", ["7d", "28d"]],
  ["numbers", [-15, 0, 15.5]],
  ["texts", ["dest_delay:late_7d", "dest_delay:planes"]],
  ["key", "NYC"],
  ["key", 7],
  ["key", true],
  ["name_or_names", "dest"],
  ["name_or_names", ["from_zone", "to_zone"]],
])("%s: what is shown is read back as the same value", (editor, value) => {
  expect(read(editor, textOfValue(editor, value))).toEqual(value);
});

test("numbers are written as people write them", () => {
  expect(read("number", "−1_000.5")).toBe(-1000.5);
  expect(read("number", "1e-6")).toBe(1e-6);
  expect(read("number", "0x10")).toContain("wrong");
  expect(read("number", "")).toContain("wrong");
  expect(read("number", "1e999")).toContain("wrong");
  expect(read("number", "9007199254740993")).toContain("too many digits");
  expect(read("integer", "1.5")).toContain("whole");
});

test("a duration has a unit", () => {
  expect(read("durations", "7d, 28")).toContain("28: Write a number and a unit");
  expect(read("durations", "")).toEqual([]);
});

test("a clip is two numbers in order", () => {
  expect(readPair("-60", "180")).toEqual({ kind: "value", value: [-60, 180] });
  expect(readPair("180", "-60").kind).toBe("wrong");
  expect(readPair("", "1").kind).toBe("wrong");
});

test("tags are lines of a name and a text", () => {
  const tags = { team: "flights", url: "http://x" };
  expect(readTags(textOfTags(tags))).toEqual({ kind: "value", value: tags });
  expect(readTags("team").kind).toBe("wrong");
});

test("a key keeps the type that it had", () => {
  expect(readText("key", "12", "1")).toEqual({ kind: "value", value: "12" });
  expect(readText("key", "True", "1")).toEqual({ kind: "value", value: "True" });
  expect(readText("key", "12", 1)).toEqual({ kind: "value", value: 12 });
  expect(readText("key", "12", "")).toEqual({ kind: "value", value: 12 });
  expect(readText("key", " a", " a")).toEqual({ kind: "value", value: " a" });
});

test("join keys that were there stay as they were, with their spaces and their types", () => {
  const keys = [" ATL", "BOS ", "1"];
  expect(readKeys(`${textOfKeys(keys)}\n NYC `, 1, keys)).toEqual({ kind: "value", value: [...keys, "NYC"] });
  const pairs = [
    ["a ", " b"],
    ["c", "1"],
  ];
  expect(readKeys(`${textOfKeys(pairs)}\nd,e`, 2, pairs)).toEqual({
    kind: "value",
    value: [...pairs, ["d", "e"]],
  });
  expect(readKeys("true\nfalse", 1, [true, false])).toEqual({ kind: "value", value: [true, false] });
  expect(readKeys("1\nx", 1, [1])).toEqual({ kind: "value", value: ["1", "x"] });
});

test("join keys are texts, or numbers where all of a column are", () => {
  expect(readKeys("ATL\nBOS\n", 1)).toEqual({ kind: "value", value: ["ATL", "BOS"] });
  expect(readKeys("1\n2", 1)).toEqual({ kind: "value", value: [1, 2] });
  expect(readKeys("1\n02", 1)).toEqual({ kind: "value", value: ["1", "02"] });
  expect(readKeys("10115\n20095", 1, ["10115"])).toEqual({ kind: "value", value: ["10115", "20095"] });
  expect(readKeys("ATL, 1\nBOS, 2", 2, [["ATL", "7"]])).toEqual({
    kind: "value",
    value: [
      ["ATL", "1"],
      ["BOS", "2"],
    ],
  });
  expect(readKeys("ATL, 1\nBOS, 2", 2)).toEqual({
    kind: "value",
    value: [
      ["ATL", 1],
      ["BOS", 2],
    ],
  });
  expect(readKeys("ATL", 2).kind).toBe("wrong");
  expect(
    textOfKeys([
      ["ATL", 1],
      ["BOS", 2],
    ]),
  ).toBe("ATL, 1\nBOS, 2");
});
