// Every join that a part can have, and every one that can be taken out of it, in words.

import { linesOf } from "../canvas/flow";
import { typeWord } from "../canvas/words";
import { disconnected, type Joined } from "../graph/disconnect";
import { type Graph, type GraphNode, nodeOf, titleOf } from "../graph/graph";
import { type Join, joinColumn, joinNodes } from "../graph/joins";
import { allColumns, type Source, type SourceColumn } from "../graph/sources";

export interface JoinChoice {
  readonly title: string;
  readonly join: () => Join;
}

/** Every part that can read a column. */
export function readers(graph: Graph, column: SourceColumn): readonly JoinChoice[] {
  const found = graph.nodes
    .filter((node) => joinColumn(graph, column, node.id).kind === "joined")
    .map((node) => ({ title: `to ${worded(node)}`, join: () => joinColumn(graph, column, node.id) }));
  return distinct(found);
}

/** The column that an id of the outline names: `source:events/dest`. */
export function columnAt(sources: readonly Source[], id: string): SourceColumn | undefined {
  const source = sources.find((one) => id.startsWith(`source:${one.id}/`));
  return source?.columns.find((column) => id === `source:${source.id}/${column.name}`);
}

export function joinChoices(
  graph: Graph,
  sources: readonly Source[],
  node: GraphNode,
): readonly JoinChoice[] {
  const out = graph.nodes
    .filter((other) => joinNodes(graph, node.id, other.id).kind === "joined")
    .map((other) => ({ title: `to ${worded(other)}`, join: () => joinNodes(graph, node.id, other.id) }));
  const taken = graph.nodes
    .filter((other) => joinNodes(graph, other.id, node.id).kind === "joined")
    .map((other) => ({ title: `take ${worded(other)}`, join: () => joinNodes(graph, other.id, node.id) }));
  const read = allColumns(sources)
    .filter((column) => joinColumn(graph, column, node.id).kind === "joined")
    .map((column) => ({
      title: `read column ${column.name}`,
      join: () => joinColumn(graph, column, node.id),
    }));
  return distinct([...out, ...taken, ...read, ...removals(graph, sources, node)]);
}

/** The joins of a part that can be taken out. */
function removals(graph: Graph, sources: readonly Source[], node: GraphNode): readonly JoinChoice[] {
  return linesOf(graph, sources).flatMap(({ data }) => {
    const joined = data?.joined;
    const title = joined === undefined ? undefined : removalTitle(graph, joined, node);
    return joined === undefined || title === undefined || disconnected(graph, joined).kind === "refused"
      ? []
      : [{ title, join: () => disconnected(graph, joined) }];
  });
}

function removalTitle(graph: Graph, joined: Joined, node: GraphNode): string | undefined {
  switch (joined.kind) {
    case "fixed":
      return undefined;
    case "column":
      return joined.node === node.id ? `take out column ${joined.column}` : undefined;
    case "link": {
      const other = nodeOf(graph, joined.id === node.id ? joined.owner : joined.id);
      if (other === undefined || (joined.id !== node.id && joined.owner !== node.id)) {
        return undefined;
      }
      return joined.id === node.id ? `take out of ${worded(other)}` : `take out ${worded(other)}`;
    }
  }
}

function worded(node: GraphNode): string {
  return `${typeWord(node).toLowerCase()} ${titleOf(node)}`.trim();
}

/** Two parts of one name are told apart by a number. */
function distinct(choices: readonly JoinChoice[]): readonly JoinChoice[] {
  const seen = new Map<string, number>();
  return choices.map((choice) => {
    const count = (seen.get(choice.title) ?? 0) + 1;
    seen.set(choice.title, count);
    return count === 1 ? choice : { ...choice, title: `${choice.title} (${count})` };
  });
}
