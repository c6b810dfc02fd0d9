// How long budgets last, in sentences.

import type { components } from "../../api/schema";
import { count, number } from "../../design/format";

export type Lasting = components["schemas"]["Lasting"];
export type Fit = components["schemas"]["BudgetFit"];

/** `ε stays at most 10 for 12 days against outsiders, and for 1 day against an aggregator.` */
export function lastingText(found: Lasting): string {
  const days = (some: number) =>
    some >= found.at_least
      ? `for at least ${count(found.at_least)} days`
      : `for ${count(some)} ${some === 1 ? "day" : "days"}`;
  return (
    `ε stays at most ${number(found.epsilon)} ${days(found.outsiders_days)} against outsiders, and ` +
    `${days(found.aggregator_days)} against an aggregator.`
  );
}

/** Whether the collection can go on every day, and who would refuse it. */
export function fitText(fits: readonly Fit[]): string {
  const refuse = fits.filter((one) => !one.fits).map((one) => one.owner);
  return refuse.length === 0
    ? "Every day can be collected, without an end: each UTC day has a budget of its own."
    : `No day can be collected: the budget of a day of ${refuse.join(", ")} is not enough.`;
}
