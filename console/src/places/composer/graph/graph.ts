// A views file as a graph. The server derives it from the text and writes it back (`deployment/view_source`).

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** The value of a field: a literal of the file, or an expression that is shown and edited as text. */
export type Field =
  | { readonly kind: "literal"; readonly value: Json }
  | { readonly kind: "code"; readonly text: string };

export const KINDS = [
  "view",
  "entity",
  "feature",
  "bounds",
  "privacy",
  "on_demand",
  "service",
  "code",
] as const;
export type Kind = (typeof KINDS)[number];

export interface GraphNode {
  readonly id: string;
  readonly kind: Kind;
  /** The Python class, such as `Mean`; empty for a block of code. */
  readonly type: string;
  /** The Python name that it is bound to; empty where it is written inside another node. */
  readonly name: string;
  readonly fields: Readonly<Record<string, Field>>;
  /** Ids of nodes by field, in order. */
  readonly links: Readonly<Record<string, readonly string[]>>;
  /** First and last line in the file; (0, 0) for a node that is not in the file yet. */
  readonly lines: readonly [number, number];
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
}

/** What is wrong with a node or one of its fields; `node` and `field` are empty where it concerns the whole file. */
export interface GraphProblem {
  readonly node: string;
  readonly field: string;
  readonly message: string;
  /** 0 or undefined: it is unknown. */
  readonly line?: number;
}

export const EMPTY: Graph = { nodes: [] };

export function literal(value: Json): Field {
  return { kind: "literal", value };
}

export function nodeOf(graph: Graph, id: string): GraphNode | undefined {
  return graph.nodes.find((node) => node.id === id);
}

/** The literal value of a field; undefined where it is not written, or is code. */
export function literalOf(node: GraphNode, field: string): Json | undefined {
  const found = node.fields[field];
  return found?.kind === "literal" ? found.value : undefined;
}

export function textOf(node: GraphNode, field: string): string {
  const value = literalOf(node, field);
  return typeof value === "string" ? value : "";
}

/** A field that holds one text or a list of texts, as a list. */
export function textsOf(node: GraphNode, field: string): readonly string[] {
  const value = literalOf(node, field);
  if (typeof value === "string") {
    return [value];
  }
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

/** The nodes that link to a node, with the field that does. */
export function owners(graph: Graph, id: string): readonly { owner: GraphNode; field: string }[] {
  return graph.nodes.flatMap((owner) =>
    Object.entries(owner.links)
      .filter(([, ids]) => ids.includes(id))
      .map(([field]) => ({ owner, field })),
  );
}

/** Kinds that are statements of their own in a file. All others may be written inside a view. */
const STATEMENTS: ReadonlySet<Kind> = new Set(["view", "on_demand", "service", "code"]);

/** A node that is on the canvas and not in the file yet: no view links to it, and it has no Python name. */
export function isDraft(graph: Graph, node: GraphNode): boolean {
  return !STATEMENTS.has(node.kind) && node.name === "" && owners(graph, node.id).length === 0;
}

/** The graph without its drafts: what is written to the file. */
export function written(graph: Graph): Graph {
  const nodes = graph.nodes.filter((node) => !isDraft(graph, node));
  return nodes.length === graph.nodes.length ? graph : { nodes };
}

/** Whether two graphs have the same nodes with the same values, in any order of their fields. */
export function sameGraph(one: Graph, other: Graph): boolean {
  return one === other || JSON.stringify(one, ordered) === JSON.stringify(other, ordered);
}

function ordered(_key: string, value: unknown): unknown {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
    : value;
}

/** The name that people see for a node. */
export function titleOf(node: GraphNode): string {
  const own = textOf(node, "name");
  if (own !== "") {
    return own;
  }
  if (node.kind === "entity") {
    return textsOf(node, "keys").join(", ") || node.name;
  }
  if (node.kind === "feature") {
    return defaultFeatureName(node) || node.name;
  }
  return node.name;
}

/** The name that a feature without `name=` gets. */
function defaultFeatureName(node: GraphNode): string {
  const column = textOf(node, "column");
  if (column !== "") {
    return `${column}_${node.type === "Histogram" ? "hist" : node.type.toLowerCase()}`;
  }
  return node.type === "Filtered" ? textOf(node, "rate") : "";
}
