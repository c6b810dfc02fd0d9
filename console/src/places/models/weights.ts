// Which versions a promotion puts in force, as the command and the API write them.

import type { Model, Share } from "./types";

/** What the user chose: always the newest version, or a weight for each version, as typed. */
export interface Choice {
  newest: boolean;
  weights: Readonly<Record<number, string>>;
}

/** The choice that says what is in force now. */
export function presentChoice(model: Model): Choice {
  const weights = Object.fromEntries(model.in_force.map((one) => [one.version, String(round(one.share))]));
  return { newest: model.newest, weights };
}

/** All requests for one version. */
export function single(version: number): Choice {
  return { newest: false, weights: { [version]: "1" } };
}

const WEIGHT = /^\d{1,9}(\.\d{1,12})?$/;

/** The words of `covey models promote`; undefined: no version has a weight, or a weight cannot be read. */
export function wordsOf(choice: Choice): string[] | undefined {
  if (choice.newest) {
    return ["newest"];
  }
  const given = Object.entries(choice.weights)
    .map(([version, text]) => [Number(version), text.trim()] as const)
    .filter(([, text]) => text !== "" && Number(text) !== 0)
    .sort(([a], [b]) => a - b);
  if (given.length === 0 || given.some(([, text]) => !WEIGHT.test(text))) {
    return undefined;
  }
  if (given.length === 1) {
    return [`v${given[0]?.[0]}`];
  }
  return given.map(([version, text]) => `v${version}=${text}`);
}

/** `v1 90 %, v2 10 %`. */
export function sharesText(shares: readonly Share[]): string {
  return shares.map((one) => `v${one.version} ${percent(one.share)}`).join(", ");
}

export function percent(share: number): string {
  return `${(100 * share).toLocaleString("en", { maximumSignificantDigits: 3 })} %`;
}

function round(share: number): number {
  return Number(share.toPrecision(6));
}
