// The lineage as cards and lines of a canvas, and what belongs to the way of one part.

import type { Edge, Node } from "@xyflow/react";
import type { components } from "../../../api/schema";
import { layered } from "../../../design/layout";

export type Lineage = components["schemas"]["Lineage"];
export type Part = components["schemas"]["LineageNode"];
export type Kind = Part["kind"];

export type PartCard = Node<{ part: Part; dim: boolean }, "part">;

export const KINDS: Readonly<Record<Kind, { title: string; colour: string }>> = {
  source: { title: "Source", colour: "--series-8" },
  view: { title: "View", colour: "--series-1" },
  plan: { title: "Plan", colour: "--series-2" },
  release: { title: "Releases", colour: "--series-5" },
  on_demand: { title: "On-demand view", colour: "--series-7" },
  service: { title: "Service", colour: "--series-3" },
  model: { title: "Model", colour: "--series-4" },
};

export const CARD = { width: 248, height: 56 };

/** The parts from which a part was made and that were made from it, with itself; undefined: no part is chosen. */
export function wayOf(lineage: Lineage, chosen: string | undefined): ReadonlySet<string> | undefined {
  if (chosen === undefined || !lineage.nodes.some((part) => part.id === chosen)) {
    return undefined;
  }
  const reached = (from: "source" | "target", to: "source" | "target") => {
    const found = new Set([chosen]);
    for (const id of found) {
      for (const edge of lineage.edges) {
        if (edge[from] === id) {
          found.add(edge[to]);
        }
      }
    }
    return found;
  };
  return new Set([...reached("source", "target"), ...reached("target", "source")]);
}

/** Cards at their places. The places do not depend on what is chosen. */
export function placesOf(lineage: Lineage): ReadonlyMap<string, { x: number; y: number }> {
  const boxes = lineage.nodes.map((part) => ({ id: part.id, ...CARD }));
  return layered(boxes, lineage.edges, { gap: 20, layerGap: 64 });
}

export function cardsOf(
  lineage: Lineage,
  places: ReadonlyMap<string, { x: number; y: number }>,
  chosen: string | undefined,
): PartCard[] {
  const way = wayOf(lineage, chosen);
  return lineage.nodes.map((part) => ({
    id: part.id,
    type: "part",
    position: places.get(part.id) ?? { x: 0, y: 0 },
    data: { part, dim: way !== undefined && !way.has(part.id) },
    selected: part.id === chosen,
    ariaLabel: `${KINDS[part.kind].title} ${part.name}`,
    ...CARD,
  }));
}

export function linesOf(lineage: Lineage, chosen: string | undefined): Edge[] {
  const way = wayOf(lineage, chosen);
  return lineage.edges.map((edge) => {
    const isOnWay = way?.has(edge.source) === true && way.has(edge.target);
    return {
      id: `${edge.source} ${edge.target}`,
      source: edge.source,
      target: edge.target,
      focusable: false,
      selectable: false,
      className: way === undefined ? "line" : isOnWay ? "line line-on" : "line line-dim",
    };
  });
}

/** What a part was made from, and what was made from it, by name. */
export function neighboursOf(lineage: Lineage, id: string): { from: string[]; into: string[] } {
  const names = new Map(lineage.nodes.map((part) => [part.id, part.name]));
  const nameOf = (one: string) => names.get(one) ?? one;
  const withWhat = (one: string, what: readonly string[]) =>
    what.length === 0 ? nameOf(one) : `${nameOf(one)} (${what.join(", ")})`;
  return {
    from: lineage.edges.filter((edge) => edge.target === id).map((edge) => withWhat(edge.source, edge.what)),
    into: lineage.edges.filter((edge) => edge.source === id).map((edge) => withWhat(edge.target, edge.what)),
  };
}
