// Edits of a graph. Each takes a graph and returns the next one; nodes that an edit does not touch stay the same objects.

import { type Field, type Graph, type GraphNode, literal, nodeOf, textOf, textsOf } from "./graph";

/** The link fields of a view that hold one node. */
const SINGLE: ReadonlySet<string> = new Set(["entity", "bounds", "privacy"]);

export function add(graph: Graph, ...nodes: readonly GraphNode[]): Graph {
  return { nodes: [...graph.nodes, ...nodes] };
}

function change(graph: Graph, id: string, changed: (node: GraphNode) => GraphNode): Graph {
  return { nodes: graph.nodes.map((node) => (node.id === id ? changed(node) : node)) };
}

/** Sets a field, or takes it out of the file where `field` is undefined. */
export function setField(graph: Graph, id: string, name: string, field: Field | undefined): Graph {
  const node = nodeOf(graph, id);
  if (node === undefined) {
    return graph;
  }
  const { [name]: before, ...others } = node.fields;
  const after = change(graph, id, (one) => ({
    ...one,
    fields: field === undefined ? others : { ...one.fields, [name]: field },
    name: followsName(one, name) && field?.kind === "literal" && isName(field.value) ? field.value : one.name,
  }));
  const renamed = name === "name" && before?.kind === "literal" && field?.kind === "literal";
  return renamed && node.kind === "view"
    ? renameRefs(after, String(before.value), String(field.value))
    : after;
}

/** A new statement is bound to its own name until the two are set apart. */
function followsName(node: GraphNode, field: string): boolean {
  return (
    field === "name" && node.id.startsWith("new-") && node.name !== "" && node.name === textOf(node, "name")
  );
}

function isName(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z_][A-Za-z0-9_]*$/.test(value);
}

/** References of services follow a view's new name. */
function renameRefs(graph: Graph, from: string, to: string): Graph {
  return {
    nodes: graph.nodes.map((node) => {
      const refs = node.kind === "service" ? textsOf(node, "refs") : [];
      if (from === "" || !refs.some((ref) => ref.startsWith(`${from}:`))) {
        return node;
      }
      const renamed = refs.map((ref) => (ref.startsWith(`${from}:`) ? to + ref.slice(from.length) : ref));
      return { ...node, fields: { ...node.fields, refs: literal(renamed) } };
    }),
  };
}

/** Binds a node to another Python name. */
export function rename(graph: Graph, id: string, name: string): Graph {
  return change(graph, id, (node) => ({ ...node, name }));
}

/** Links a node into a field of its owner: instead of the one that was there, or after the others. */
export function link(graph: Graph, owner: string, field: string, id: string): Graph {
  return change(graph, owner, (node) => {
    const before = SINGLE.has(field) ? [] : (node.links[field] ?? []);
    const { [field]: _replaced, ...fields } = node.fields;
    return {
      ...node,
      fields,
      links: { ...node.links, [field]: [...before.filter((one) => one !== id), id] },
    };
  });
}

export function unlink(graph: Graph, owner: string, field: string, id: string): Graph {
  return change(graph, owner, (node) => {
    const rest = (node.links[field] ?? []).filter((one) => one !== id);
    const { [field]: _before, ...others } = node.links;
    return { ...node, links: rest.length === 0 && SINGLE.has(field) ? others : { ...others, [field]: rest } };
  });
}

/** Moves a linked node among its siblings by some places. */
export function reorder(graph: Graph, owner: string, field: string, id: string, by: number): Graph {
  return change(graph, owner, (node) => {
    const ids = [...(node.links[field] ?? [])];
    const from = ids.indexOf(id);
    const to = Math.min(ids.length - 1, Math.max(0, from + by));
    if (from < 0 || from === to) {
      return node;
    }
    ids.splice(to, 0, ...ids.splice(from, 1));
    return { ...node, links: { ...node.links, [field]: ids } };
  });
}

/** The parts that are written inside a node, and go where it goes. */
export function partsOf(graph: Graph, node: GraphNode): readonly GraphNode[] {
  if (node.kind !== "view") {
    return [];
  }
  const linked = new Set(Object.values(node.links).flat());
  return graph.nodes.filter((one) => linked.has(one.id) && one.name === "");
}

/** Takes nodes out, with the parts that are written inside them, and every link to them. */
export function remove(graph: Graph, ids: readonly string[]): Graph {
  const gone = new Set(ids);
  for (const node of graph.nodes) {
    if (gone.has(node.id)) {
      for (const part of partsOf(graph, node)) {
        gone.add(part.id);
      }
    }
  }
  return {
    nodes: graph.nodes.filter((node) => !gone.has(node.id)).map((node) => withoutLinks(node, gone)),
  };
}

function withoutLinks(node: GraphNode, gone: ReadonlySet<string>): GraphNode {
  if (!Object.values(node.links).some((ids) => ids.some((id) => gone.has(id)))) {
    return node;
  }
  const links: Record<string, readonly string[]> = {};
  for (const [field, ids] of Object.entries(node.links)) {
    const rest = ids.filter((id) => !gone.has(id));
    if (rest.length > 0 || !SINGLE.has(field)) {
      links[field] = rest;
    }
  }
  return { ...node, links };
}

/** The view that a node is, or is a part of; undefined if there are none or several. */
export function viewAround(graph: Graph, id: string): GraphNode | undefined {
  const node = nodeOf(graph, id);
  if (node === undefined || node.kind === "view") {
    return node;
  }
  const views = graph.nodes.filter(
    (one) => one.kind === "view" && Object.values(one.links).flat().includes(id),
  );
  return views.length === 1 ? views[0] : undefined;
}
