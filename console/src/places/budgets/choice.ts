// The views that a user chooses for "collect this every day", as text fields have them, and the request for them.

import type { components } from "../../api/schema";

export type PricedView = components["schemas"]["PricedView"];
export type WhatIfRequest = components["schemas"]["WhatIfRequest"];

export interface Choice {
  chosen: boolean;
  /** The price as written: ρ of a Gaussian view, ε of one with Laplace noise. */
  price: string;
  pane: string;
}

export const PANES = ["5s", "15s", "1m", "5m", "15m", "1h", "1d"] as const;
export const MOST_DAYS = 3_652;

/** A view as it is defined, chosen. */
export function asDefined(view: PricedView): Choice {
  return { chosen: true, price: String(view.rho ?? view.epsilon ?? ""), pane: view.pane };
}

/** Why a text is no price; undefined: it is one. */
export function priceError(text: string): string | undefined {
  return inRange(text, 0, 1_000) ? undefined : "A number above 0, at most 1,000";
}

/** Why a text is no number of days. */
export function daysError(text: string): string | undefined {
  const days = Number(text);
  return Number.isInteger(days) && days >= 1 && days <= MOST_DAYS
    ? undefined
    : `A whole number from 1 to ${MOST_DAYS.toLocaleString("en")}`;
}

/** Why a text is no limit of ε; an empty one is none. */
export function limitError(text: string): string | undefined {
  return text.trim() === "" || inRange(text, 0, 10_000)
    ? undefined
    : "A number above 0, at most 10,000, or nothing";
}

/** The request for what is chosen; undefined: nothing is, or a field has an error. Only what differs is in it. */
export function requestOf(
  views: readonly PricedView[],
  choices: ReadonlyMap<string, Choice>,
  days: string,
  limit: string,
): WhatIfRequest | undefined {
  const chosen = views.flatMap((view) => {
    const choice = choices.get(view.view) ?? asDefined(view);
    return choice.chosen ? [{ view, choice }] : [];
  });
  const wrong = chosen.some(({ choice }) => priceError(choice.price) !== undefined);
  if (chosen.length === 0 || wrong || daysError(days) !== undefined || limitError(limit) !== undefined) {
    return undefined;
  }
  return {
    views: chosen.map(({ view, choice }) => {
      const price = Number(choice.price);
      const changed = price !== (view.rho ?? view.epsilon);
      return {
        view: view.view,
        ...(changed && view.mechanism === "gaussian" ? { rho: price } : {}),
        ...(changed && view.mechanism === "laplace" ? { epsilon: price } : {}),
        ...(choice.pane === view.pane ? {} : { pane: paneOf(choice.pane) }),
      };
    }),
    days: Number(days),
    ...(limit.trim() === "" ? {} : { epsilon: Number(limit) }),
  };
}

function paneOf(text: string): (typeof PANES)[number] {
  return PANES.find((pane) => pane === text) ?? "1d";
}

function inRange(text: string, above: number, most: number): boolean {
  const value = Number(text);
  return text.trim() !== "" && Number.isFinite(value) && value > above && value <= most;
}
