// Copied nodes as JSON text, so that they can be pasted into another file too. What is pasted comes from outside.

import { add, partsOf } from "./edits";
import { type Field, type Graph, type GraphNode, type Json, KINDS, literal, nodeOf, textOf } from "./graph";
import { freeFeatureName, freeId, freeName } from "./names";
import { place } from "./place";

const FORMAT = "covey-views-1";
const MAX_CHARACTERS = 1_000_000;
const MAX_NODES = 500;

/** The text of some nodes and the parts that are written inside them. */
export function copied(graph: Graph, ids: readonly string[]): string {
  const chosen = new Map<string, GraphNode>();
  for (const node of graph.nodes) {
    if (ids.includes(node.id)) {
      for (const one of [node, ...partsOf(graph, node)]) {
        chosen.set(one.id, one);
      }
    }
  }
  return JSON.stringify({ format: FORMAT, nodes: [...chosen.values()] });
}

export type Pasted =
  | { readonly kind: "pasted"; readonly graph: Graph; readonly ids: readonly string[] }
  | { readonly kind: "refused"; readonly why: string };

/** Adds copied nodes under new ids and names. Parts join `view` if they came without a view of their own. */
export function pasted(graph: Graph, text: string, view: GraphNode | undefined): Pasted {
  const nodes = parsed(text);
  if (typeof nodes === "string") {
    return { kind: "refused", why: nodes };
  }
  let next = graph;
  const ids = new Map<string, string>();
  const joined = new Set(nodes.flatMap((node) => Object.values(node.links).flat()));
  const ordered = [...nodes].sort((a, b) => Number(joined.has(b.id)) - Number(joined.has(a.id)));
  for (const node of ordered) {
    const target = view === undefined || joined.has(node.id) ? undefined : nodeOf(next, view.id);
    const fresh = renewed(next, node, ids, target);
    ids.set(node.id, fresh.id);
    next = target === undefined ? add(next, fresh) : place(next, fresh, target).graph;
  }
  return { kind: "pasted", graph: next, ids: [...ids.values()] };
}

function renewed(
  graph: Graph,
  node: GraphNode,
  ids: ReadonlyMap<string, string>,
  view: GraphNode | undefined,
): GraphNode {
  const own = textOf(node, "name");
  const named =
    own === "" ? "" : node.kind === "feature" ? freeFeatureName(graph, own, view) : freeName(graph, own);
  const name = node.name === "" ? "" : node.name === own ? named : freeName(graph, node.name);
  const links: Record<string, readonly string[]> = {};
  for (const [field, linked] of Object.entries(node.links)) {
    links[field] = linked.flatMap((id) => ids.get(id) ?? (nodeOf(graph, id)?.name ? [id] : []));
  }
  const fields = own === "" ? node.fields : { ...node.fields, name: literal(named) };
  return { ...node, id: freeId(graph), name, fields, links, lines: [0, 0] };
}

/** The nodes of a copied text, or why it has none. */
function parsed(text: string): readonly GraphNode[] | string {
  const other = "The clipboard holds no parts of a views file. Copy some in the composer first.";
  if (text.length > MAX_CHARACTERS) {
    return `The copied text has over ${MAX_CHARACTERS.toLocaleString("en")} characters.`;
  }
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return other;
  }
  if (!isRecord(given) || given.format !== FORMAT || !Array.isArray(given.nodes)) {
    return other;
  }
  if (given.nodes.length > MAX_NODES) {
    return `The copied text has ${given.nodes.length} parts; at most ${MAX_NODES} are pasted at once.`;
  }
  return given.nodes.every(isNode) ? given.nodes : "The copied parts are damaged. Copy them again.";
}

function isRecord(given: unknown): given is Record<string, unknown> {
  return typeof given === "object" && given !== null && !Array.isArray(given);
}

function isNode(given: unknown): given is GraphNode {
  return (
    isRecord(given) &&
    ["id", "type", "name"].every((key) => typeof given[key] === "string") &&
    KINDS.some((kind) => kind === given.kind) &&
    isRecord(given.fields) &&
    Object.values(given.fields).every(isField) &&
    isRecord(given.links) &&
    Object.values(given.links).every((ids) => Array.isArray(ids) && ids.every((id) => typeof id === "string"))
  );
}

function isField(given: unknown): given is Field {
  if (!isRecord(given)) {
    return false;
  }
  return given.kind === "code"
    ? typeof given.text === "string"
    : given.kind === "literal" && isJson(given.value);
}

function isJson(given: unknown): given is Json {
  return given !== undefined;
}
