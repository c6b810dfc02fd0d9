import { expect, test } from "vitest";
import { ALL_WORDS, WORDS } from "./words";

test("every word is explained in sentences, and no word twice", () => {
  const all = ALL_WORDS.map((word) => WORDS[word]);
  expect(new Set(all.map(([word]) => word)).size).toBe(Object.keys(WORDS).length);
  expect(all.filter(([, meaning]) => !/^[A-Z].*\.$/.test(meaning))).toEqual([]);
});
