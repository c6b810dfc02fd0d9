// What a look at a moment asks, and its answer in words.

import type { components } from "../../api/schema";
import { moment, number } from "../../design/format";
import { duration } from "./freshness";

export type Look = components["schemas"]["Look"];
export type SeenValue = components["schemas"]["SeenValue"];
export type NeededColumn = components["schemas"]["NeededColumn"];

/** The join keys of a key's text, by column: the text itself, or the parts of a JSON list. */
export function keyParts(text: string, columns: readonly string[]): Record<string, string> {
  const [only] = columns;
  if (columns.length === 1 && only !== undefined) {
    return { [only]: text };
  }
  const parts = /^\[.*\]$/s.test(text) ? (text.match(PART) ?? []) : [];
  return Object.fromEntries(columns.map((name, index) => [name, partText(parts[index])]));
}

/** A part of a key in a JSON list. Whole numbers stay text: a number of the page holds 53 bits, a key 64. */
const PART = /"(?:[^"\\]|\\.)*"|[^\s,[\]"]+/g;

function partText(part: string | undefined): string {
  if (part?.startsWith('"') !== true) {
    return part ?? "";
  }
  try {
    return String(JSON.parse(part));
  } catch {
    return "";
  }
}

/** The lines of a text field as references, without doubles. */
export function refsOf(text: string): string[] {
  return [...new Set(text.split(/[\s,]+/).filter((one) => one !== ""))];
}

type FeatureList = components["schemas"]["FeatureList"];

/** The references that the store has, stored features first. */
export function allRefs(list: FeatureList): string[] {
  return [
    ...list.views.flatMap((view) => view.features.map((one) => `${view.name}:${one.name}`)),
    ...list.on_demand.flatMap((view) => view.outputs.map((output) => `${view.name}:${output}`)),
  ];
}

/** A value; several of a histogram. */
export function valueText(seen: SeenValue): string {
  if (seen.value === null) {
    return "–";
  }
  return Array.isArray(seen.value) ? seen.value.map((one) => number(one)).join(", ") : number(seen.value);
}

export function intervalText(seen: SeenValue): string {
  const { low, high } = seen;
  if (low === null || high === null) {
    return "–";
  }
  if (Array.isArray(low) && Array.isArray(high)) {
    return low.map((one, index) => `${number(one)} to ${number(high[index])}`).join("; ");
  }
  return typeof low === "number" && typeof high === "number" ? `${number(low)} to ${number(high)}` : "–";
}

/** Which pane a label got, and how old it was then. */
export function paneText(seen: SeenValue): string {
  const pane = seen.pane;
  if (pane === null) {
    return "–";
  }
  const state =
    pane.state === "opened" ? "" : ` (${pane.state}${pane.reason === null ? "" : `: ${pane.reason}`})`;
  return `${moment(pane.start)} to ${moment(pane.end)}${state}`;
}

export function ageText(seen: SeenValue): string {
  return seen.pane === null ? "–" : duration(seen.pane.age);
}
