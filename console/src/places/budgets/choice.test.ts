import { expect, test } from "vitest";
import { asDefined, daysError, limitError, type PricedView, priceError, requestOf } from "./choice";

const GAUSSIAN: PricedView = {
  view: "a",
  pane: "1d",
  windows: ["7d"],
  mechanism: "gaussian",
  rho: 0.1,
  epsilon: null,
  micro_rho: 100_000,
};
const LAPLACE: PricedView = { ...GAUSSIAN, view: "b", mechanism: "laplace", rho: null, epsilon: 0.5 };

test("a view as it is defined is named alone", () => {
  expect(requestOf([GAUSSIAN, LAPLACE], new Map(), "365", "")).toEqual({
    views: [{ view: "a" }, { view: "b" }],
    days: 365,
  });
});

test("another price is one of the view's own kind, and another pane is sent", () => {
  const choices = new Map([
    ["a", { ...asDefined(GAUSSIAN), price: "0.05", pane: "1h" }],
    ["b", { ...asDefined(LAPLACE), price: "1" }],
  ]);
  expect(requestOf([GAUSSIAN, LAPLACE], choices, "7", "10")).toEqual({
    views: [
      { view: "a", rho: 0.05, pane: "1h" },
      { view: "b", epsilon: 1 },
    ],
    days: 7,
    epsilon: 10,
  });
});

test("nothing is asked while a field has an error or no view is chosen", () => {
  const none = new Map([["a", { ...asDefined(GAUSSIAN), chosen: false }]]);
  const wrong = new Map([["a", { ...asDefined(GAUSSIAN), price: "x" }]]);
  expect(requestOf([GAUSSIAN], none, "7", "")).toBeUndefined();
  expect(requestOf([GAUSSIAN], wrong, "7", "")).toBeUndefined();
  expect(requestOf([GAUSSIAN], new Map(), "0", "")).toBeUndefined();
  expect(requestOf([GAUSSIAN], new Map(), "7", "-1")).toBeUndefined();
});

test("the fields say what they take", () => {
  expect(["", "0", "-1", "1001", "1e", "0.1"].map((text) => priceError(text) === undefined)).toEqual([
    false,
    false,
    false,
    false,
    false,
    true,
  ]);
  expect(["", "1.5", "0", "3653", "365"].map((text) => daysError(text) === undefined)).toEqual([
    false,
    false,
    false,
    false,
    true,
  ]);
  expect(["", " ", "0", "10"].map((text) => limitError(text) === undefined)).toEqual([
    true,
    true,
    false,
    true,
  ]);
});
