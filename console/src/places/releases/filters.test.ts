import { expect, test } from "vitest";
import { conditionsOf, filtersOf, queryOf } from "./filters";

test("an address leads back to its filters", () => {
  const query = {
    view: "a&b",
    state: "void",
    trust: "in-process",
    from: "2013-05-01",
    to: "2013-05-02",
    text: "a b",
  };
  expect(queryOf(filtersOf(new URLSearchParams(query)))).toEqual(query);
  expect(queryOf(filtersOf(new URLSearchParams()))).toEqual({});
});

test("what an address cannot mean is left out", () => {
  const found = filtersOf(new URLSearchParams({ state: "lost", from: "2013-13-41", to: "yesterday" }));
  expect([found.state, found.from, found.to]).toEqual(["", "", ""]);
  expect(filtersOf(new URLSearchParams({ text: `  ${"a".repeat(300)}` })).text).toHaveLength(200);
});

test("the last day is in the request with all of its panes", () => {
  const filters = filtersOf(new URLSearchParams({ from: "1970-01-02", to: "1970-01-02" }));
  expect(conditionsOf(filters)).toEqual({ first: 86_400_000_000, end: 2 * 86_400_000_000 });
});
