import { expect, test } from "vitest";
import { hintOf } from "./hints";

test.each([
  ["the name of the feature. It is unique", "The name of the feature."],
  ["a list of edges", "A list of edges"],
  ["k, the smallest number of reports; ten at least", "k, the smallest number of reports."],
  ["zCDP, for Gaussian noise; rounded down", "zCDP, for Gaussian noise."],
])("a hint is the first sentence, and leaves symbols as they are: %s", (help, hint) => {
  expect(hintOf(help)).toBe(hint);
});
