import { expect, test } from "vitest";
import { type Fit, fitText, lastingText } from "./lasting";

const FIT: Fit = {
  owner: "operator",
  budget_micro_rho: 100_000,
  counts: "aggregator",
  micro_rho: 50_000,
  left: 50_000,
  over_quota: [],
  fits: true,
};

test("a limit of epsilon lasts for some days against each observer", () => {
  expect(lastingText({ epsilon: 10, outsiders_days: 1_200, aggregator_days: 1, at_least: 3_652 })).toBe(
    "ε stays at most 10 for 1,200 days against outsiders, and for 1 day against an aggregator.",
  );
  expect(lastingText({ epsilon: 0.5, outsiders_days: 3_652, aggregator_days: 0, at_least: 3_652 })).toBe(
    "ε stays at most 0.5 for at least 3,652 days against outsiders, and for 0 days against an aggregator.",
  );
});

test("one ledger that refuses ends the collection of every day, and is named", () => {
  expect(fitText([FIT])).toMatch(/^Every day can be collected, without an end/);
  expect(fitText([FIT, { ...FIT, owner: "site-2", fits: false }])).toBe(
    "No day can be collected: the budget of a day of site-2 is not enough.",
  );
});
