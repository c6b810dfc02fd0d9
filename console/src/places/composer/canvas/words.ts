// The words that people see for types of nodes.

import { type GraphNode, titleOf } from "../graph/graph";
import type { Card } from "./flow";

export const TYPE_WORDS: Readonly<Record<string, string>> = {
  FeatureView: "View",
  FeatureService: "Service",
  ClientCount: "Client count",
  on_demand: "Transformation",
  code: "Code",
  source: "Source",
  filter: "Filter",
  windows: "Windows",
};

export function typeWord(node: GraphNode): string {
  return TYPE_WORDS[node.type] ?? TYPE_WORDS[node.kind] ?? node.type;
}

type Named = {
  [Type in Card["type"] & string]: Pick<Extract<Card, { type?: Type }>, "data"> & { type: Type };
}[Card["type"] & string];

/** A card's name for a screen reader. */
export function labelOf(card: Named): string {
  switch (card.type) {
    case "source":
      return `Source ${card.data.source.name}, ${card.data.source.columns.length} columns`;
    case "filter":
      return withProblem(`Filter of ${titleOf(card.data.node)}`, card.data.problem);
    case "windows":
      return withProblem(`Windows of ${titleOf(card.data.node)}`, card.data.problem);
    default: {
      const draft = card.data.draft ? ", not joined yet" : "";
      return withProblem(
        `${typeWord(card.data.node)} ${titleOf(card.data.node)}${draft}`.trim(),
        card.data.problem,
      );
    }
  }
}

function withProblem(label: string, problem: string): string {
  return problem === "" ? label : `${label}. Problem: ${problem}`;
}
