// Placing a new part: where it is joined at once.

import { add, link, viewAround } from "./edits";
import { type Graph, type GraphNode, titleOf } from "./graph";
import { wordFor } from "./joins";

export interface Placed {
  readonly graph: Graph;
  readonly node: GraphNode;
  readonly says: string;
}

const FIELDS = { entity: "entity", feature: "features", bounds: "bounds", privacy: "privacy" } as const;

/** The view that new parts join: the one that is chosen, or that the chosen parts are of, or the file's only one. */
export function viewFor(graph: Graph, selection: readonly string[]): GraphNode | undefined {
  for (const id of selection) {
    const view = viewAround(graph, id);
    if (view !== undefined) {
      return view;
    }
  }
  const views = graph.nodes.filter((node) => node.kind === "view");
  return views.length === 1 ? views[0] : undefined;
}

/** Adds a node, and joins it to a view that has room for it. A view's one entity, bounds or privacy is not replaced. */
export function place(graph: Graph, node: GraphNode, view: GraphNode | undefined): Placed {
  const added = add(graph, node);
  const field = node.kind in FIELDS ? FIELDS[node.kind as keyof typeof FIELDS] : undefined;
  if (field === undefined || view === undefined) {
    return { graph: added, node, says: `${wordFor(node)} added` };
  }
  const isTaken = field !== "features" && ((view.links[field]?.length ?? 0) > 0 || field in view.fields);
  if (isTaken) {
    return { graph: added, node, says: `${wordFor(node)} added; ${titleOf(view)} has its ${field} already` };
  }
  return {
    graph: link(added, view.id, field, node.id),
    node,
    says: `${wordFor(node)} added to ${titleOf(view)}`,
  };
}
