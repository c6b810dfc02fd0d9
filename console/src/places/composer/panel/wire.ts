// The graph in the form of the API, and back.

import type { components } from "../../../api/schema";
import { type Field, type Graph, type Json, type Kind, written } from "../graph/graph";

export type WireGraph = components["schemas"]["Graph"];

/** The graph without its drafts. */
export function wireOf(graph: Graph): WireGraph {
  return {
    nodes: written(graph).nodes.map((node) => ({
      ...node,
      fields: { ...node.fields },
      links: Object.fromEntries(Object.entries(node.links).map(([field, ids]) => [field, [...ids]])),
      lines: [node.lines[0], node.lines[1]],
    })),
  };
}

/** A graph as the client types it: tuples are arrays, and values unknown. */
export interface AnsweredGraph {
  readonly nodes: readonly {
    readonly id: string;
    readonly kind: Kind;
    readonly type: string;
    readonly name: string;
    readonly fields: Readonly<
      Record<
        string,
        | { readonly kind: "literal"; readonly value: unknown }
        | { readonly kind: "code"; readonly text: string }
      >
    >;
    readonly links: Readonly<Record<string, readonly string[]>>;
    readonly lines: readonly number[];
  }[];
}

/** A graph that the API has answered. */
export function graphOf(answer: AnsweredGraph): Graph {
  return {
    nodes: answer.nodes.map((node) => ({
      ...node,
      fields: Object.fromEntries(
        Object.entries(node.fields).map(([name, field]): [string, Field] => [
          name,
          field.kind === "code" ? field : { kind: "literal", value: field.value as Json }, // what JSON has
        ]),
      ),
      lines: [node.lines[0] ?? 0, node.lines[1] ?? 0],
    })),
  };
}
