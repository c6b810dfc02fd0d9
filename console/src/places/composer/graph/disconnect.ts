// Taking a join out of the graph.

import { setField, unlink } from "./edits";
import { type Graph, literal, nodeOf, textsOf } from "./graph";
import type { Join } from "./joins";

export type Joined =
  | { readonly kind: "link"; readonly owner: string; readonly field: string; readonly id: string }
  | { readonly kind: "column"; readonly node: string; readonly field: string; readonly column: string }
  | { readonly kind: "fixed"; readonly why: string };

export function disconnected(graph: Graph, joined: Joined): Join {
  switch (joined.kind) {
    case "fixed":
      return { kind: "refused", why: joined.why };
    case "link":
      return withoutLink(graph, joined.owner, joined.field, joined.id);
    case "column":
      return withoutColumn(graph, joined.node, joined.field, joined.column);
  }
}

function withoutLink(graph: Graph, owner: string, field: string, id: string): Join {
  const node = nodeOf(graph, owner);
  if (node?.kind === "on_demand") {
    return {
      kind: "refused",
      why: "A transformation names its features in its code: open it and change them there.",
    };
  }
  const unlinked = unlink(graph, owner, field, id);
  const member = nodeOf(graph, id);
  if (node?.kind !== "service" || member === undefined) {
    return { kind: "joined", graph: unlinked, says: "Join taken out" };
  }
  const names = new Set([member.name, ...textsOf(member, "name")]);
  const rest = textsOf(node, "refs").filter((ref) => !names.has(ref.split(":")[0] ?? ""));
  return {
    kind: "joined",
    graph: setField(unlinked, owner, "refs", literal(rest)),
    says: "References taken out",
  };
}

function withoutColumn(graph: Graph, id: string, field: string, column: string): Join {
  if (field === "where") {
    return {
      kind: "refused",
      why: `A condition names ${column} in its text. Open the filter and change the condition.`,
    };
  }
  const node = nodeOf(graph, id);
  const rest = node === undefined ? [] : textsOf(node, field).filter((name) => name !== column);
  const value = rest.length > 0 ? literal(rest) : undefined;
  return { kind: "joined", graph: setField(graph, id, field, value), says: `${column} taken out` };
}
