// The settings of a view that move its errors and its price: those that the panel has sliders for. They are fields of the graph.

import { type Graph, type GraphNode, literalOf, nodeOf, textOf } from "../graph/graph";
import type { Scale } from "./scale";

export interface Knob {
  readonly key: string;
  readonly node: string;
  readonly field: string;
  /** The place in a pair, such as the upper end of a clip; undefined: the whole field. */
  readonly end?: 0 | 1;
  readonly label: string;
  readonly value: number;
  readonly scale: Scale;
  readonly whole: boolean;
}

export const PANES = ["5s", "15s", "1m", "5m", "15m", "1h", "1d"] as const;

const RHO: Scale = { min: 0.001, max: 10, kind: "log" };
const EPSILON: Scale = { min: 0.01, max: 20, kind: "log" };
const K: Scale = { min: 2, max: 10_000, kind: "log" };

/** The knobs of a view: its price, k, and the clip of each of its means. Fields that are code have none. */
export function knobsOf(graph: Graph, view: GraphNode): readonly Knob[] {
  const knobs: Knob[] = [];
  const privacy = nodeOf(graph, view.links.privacy?.[0] ?? "");
  if (privacy !== undefined) {
    for (const [field, label, scale] of [
      ["rho", "ρ of a client-day", RHO],
      ["epsilon", "ε of a client-day", EPSILON],
    ] as const) {
      const value = literalOf(privacy, field);
      if (typeof value === "number" && value > 0) {
        knobs.push({
          key: `${privacy.id}/${field}`,
          node: privacy.id,
          field,
          label,
          value,
          scale,
          whole: false,
        });
      }
    }
    const k = literalOf(privacy, "min_clients") ?? (privacy.fields.min_clients === undefined ? 50 : null);
    if (typeof k === "number") {
      knobs.push({
        key: `${privacy.id}/min_clients`,
        node: privacy.id,
        field: "min_clients",
        label: "k, the least clients of a pane",
        value: k,
        scale: K,
        whole: true,
      });
    }
  }
  for (const id of view.links.features ?? []) {
    const feature = nodeOf(graph, id);
    const clip = feature === undefined ? undefined : literalOf(feature, "clip");
    if (feature !== undefined && Array.isArray(clip) && clip.length === 2) {
      knobs.push(...clipKnobs(feature, clip[0], clip[1]));
    }
  }
  return knobs;
}

function clipKnobs(feature: GraphNode, low: unknown, high: unknown): readonly Knob[] {
  if (typeof low !== "number" || typeof high !== "number" || !(high > low)) {
    return [];
  }
  const width = Math.max(high - low, 1);
  const name = textOf(feature, "name") || textOf(feature, "column") || "mean";
  return (
    [
      [0, "lower", low, low - width, high - width / 20],
      [1, "upper", high, low + width / 20, high + width],
    ] as const
  ).map(([end, which, value, min, max]) => ({
    key: `${feature.id}/clip/${end}`,
    node: feature.id,
    field: "clip",
    end,
    label: `${name}: ${which} end of the clip`,
    value,
    scale: { min, max, kind: "linear" },
    whole: false,
  }));
}

/** The value of the field when the knob is turned. */
export function turned(graph: Graph, knob: Knob, value: number): number | readonly number[] {
  if (knob.end === undefined) {
    return value;
  }
  const node = nodeOf(graph, knob.node);
  const pair = node === undefined ? undefined : literalOf(node, knob.field);
  const ends = Array.isArray(pair) ? pair.map(Number) : [value, value];
  return ends.map((one, index) => (index === knob.end ? value : one));
}
