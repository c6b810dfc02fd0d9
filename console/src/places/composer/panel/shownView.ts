import { type GraphNode, nodeOf, owners } from "../graph/graph";
import { type Editing, nodeIdOf } from "../state/editing";

/** The view that the panel is about: the chosen one, the one that a chosen part belongs to, else the first of the file. */
export function shownView(editing: Editing): GraphNode | undefined {
  const { graph, selection } = editing;
  for (const chosen of selection) {
    const node = nodeOf(graph, nodeIdOf(chosen));
    if (node?.kind === "view") {
      return node;
    }
    const owner =
      node === undefined ? undefined : owners(graph, node.id).find((one) => one.owner.kind === "view");
    if (owner !== undefined) {
      return owner.owner;
    }
  }
  return graph.nodes.find((node) => node.kind === "view");
}
