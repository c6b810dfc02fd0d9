// Names and ids of new nodes.

import { type Graph, type GraphNode, textOf, titleOf } from "./graph";

/** An id that no node of the graph has. The server knows by its beginning that the node is new. */
export function freeId(graph: Graph): string {
  const taken = new Set(graph.nodes.map((node) => node.id));
  let number = graph.nodes.length + 1;
  while (taken.has(`new-${number}`)) {
    number += 1;
  }
  return `new-${number}`;
}

/** The Python names of a graph, and the declared names of its views and services. Features have names in their view only. */
function namesOf(graph: Graph): ReadonlySet<string> {
  const names = graph.nodes.flatMap((node) =>
    node.kind === "feature" ? [node.name] : [node.name, textOf(node, "name")],
  );
  return new Set(names.filter((name) => name !== ""));
}

/** `wanted`, or `wanted_2`, `wanted_3`, … where the graph has it. */
export function freeName(graph: Graph, wanted: string): string {
  return numbered(wanted, namesOf(graph));
}

/** A name that no feature of a view has. */
export function freeFeatureName(graph: Graph, wanted: string, view: GraphNode | undefined): string {
  const ids = new Set(view?.links.features);
  return numbered(wanted, new Set(graph.nodes.filter((node) => ids.has(node.id)).map(titleOf)));
}

function numbered(wanted: string, taken: ReadonlySet<string>): string {
  if (!taken.has(wanted)) {
    return wanted;
  }
  const stem = wanted.replace(/_\d+$/, "");
  let number = 2;
  while (taken.has(`${stem}_${number}`)) {
    number += 1;
  }
  return `${stem}_${number}`;
}

const KEYWORDS = new Set(
  (
    "False None True and as assert async await break class continue def del elif else except finally for from " +
    "global if import in is lambda nonlocal not or pass raise return try while with yield"
  ).split(" "),
);

/** Why a text cannot be a Python name; undefined if it can. An empty name is allowed: the node has none. */
export function nameProblem(graph: Graph, node: GraphNode, name: string): string | undefined {
  if (name === "") {
    return undefined;
  }
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    return "A Python name has letters, digits and underscores, and does not start with a digit.";
  }
  if (KEYWORDS.has(name)) {
    return `\`${name}\` is a word of Python itself; choose another name.`;
  }
  const other = graph.nodes.find((one) => one.id !== node.id && one.name === name);
  return other === undefined ? undefined : `Another part of this file has the name \`${name}\`.`;
}
