import { expect, test } from "vitest";
import { stepFrom } from "./steps";

const CARDS = [
  { id: "a", position: { x: 0, y: 0 } },
  { id: "b", position: { x: 300, y: 10 } },
  { id: "c", position: { x: 300, y: 200 } },
  { id: "d", position: { x: 0, y: 190 } },
];

test("the arrow keys go to the nearest card ahead", () => {
  expect(stepFrom(CARDS, "a", "ArrowRight")).toBe("b");
  expect(stepFrom(CARDS, "d", "ArrowRight")).toBe("c");
  expect(stepFrom(CARDS, "b", "ArrowDown")).toBe("c");
  expect(stepFrom(CARDS, "c", "ArrowUp")).toBe("b");
});

test("there is no step over the edge, and the first card is a beginning", () => {
  expect(stepFrom(CARDS, "a", "ArrowUp")).toBeUndefined();
  expect(stepFrom(CARDS, "gone", "ArrowUp")).toBe("a");
});
