// What may be joined to what. A refused join says why.

import { link, setField } from "./edits";
import {
  type Graph,
  type GraphNode,
  type Json,
  literal,
  literalOf,
  nodeOf,
  owners,
  textOf,
  textsOf,
  titleOf,
} from "./graph";
import { quoted, type SourceColumn } from "./sources";

export type Join =
  | { readonly kind: "joined"; readonly graph: Graph; readonly says: string }
  | { readonly kind: "refused"; readonly why: string };

function refused(why: string): Join {
  return { kind: "refused", why };
}

const PART_FIELD = { entity: "entity", feature: "features", bounds: "bounds", privacy: "privacy" } as const;

/** The word for a node in a sentence. */
export function wordFor(node: GraphNode): string {
  const title = titleOf(node);
  const kind = { view: "view", on_demand: "transformation", service: "service", code: "code block" };
  const word = node.kind in kind ? kind[node.kind as keyof typeof kind] : node.type.toLowerCase();
  return title === "" ? word : `${word} ${title}`;
}

/** Joins a node to another one. */
export function joinNodes(graph: Graph, from: string, to: string): Join {
  const source = nodeOf(graph, from);
  const target = nodeOf(graph, to);
  if (source === undefined || target === undefined || source === target) {
    return refused("Nothing to join: choose two different parts.");
  }
  if (target.kind === "view") {
    return joinPart(graph, source, target);
  }
  if (source.kind === "view" || source.kind === "on_demand") {
    if (target.kind === "service") {
      return joinService(graph, source, target);
    }
    if (target.kind === "on_demand") {
      return joinArgument(graph, source, target);
    }
  }
  return refused(
    `A ${wordFor(source)} cannot be joined to a ${wordFor(target)}. Parts join to a view, views to a service.`,
  );
}

function joinPart(graph: Graph, part: GraphNode, view: GraphNode): Join {
  if (!(part.kind in PART_FIELD)) {
    return refused(
      `A ${wordFor(part)} is no part of a view. A view takes an entity, features, bounds and privacy.`,
    );
  }
  const field = PART_FIELD[part.kind as keyof typeof PART_FIELD];
  if (view.links[field]?.includes(part.id)) {
    return refused(`The ${wordFor(part)} is joined to ${titleOf(view)} already.`);
  }
  const other = owners(graph, part.id)[0];
  if (other !== undefined && part.name === "") {
    return refused(
      `The ${wordFor(part)} is written inside ${titleOf(other.owner)}. Copy it, or give it a Python name to share it.`,
    );
  }
  return {
    kind: "joined",
    graph: link(graph, view.id, field, part.id),
    says: `${wordFor(part)} joined to view ${titleOf(view)}`,
  };
}

/** A service reads references; the first feature of the view is a beginning that the inspector changes. */
function joinService(graph: Graph, member: GraphNode, service: GraphNode): Join {
  const refs = textsOf(service, "refs");
  const name = textOf(member, "name") || member.name;
  const free = featuresOf(graph, member)
    .map((feature) => `${name}:${feature}`)
    .find((ref) => !refs.includes(ref));
  if (free === undefined) {
    return refused(`The service lists every feature of ${name} already, or ${name} has none yet.`);
  }
  const listed = setField(graph, service.id, "refs", literal([...refs, free]));
  return {
    kind: "joined",
    graph: link(listed, service.id, "members", member.id),
    says: `${free} added to service ${titleOf(service)}`,
  };
}

/** A function that is not written yet reads what is joined to it; later, its text says what it reads. */
function joinArgument(graph: Graph, member: GraphNode, transformation: GraphNode): Join {
  if ("function" in transformation.fields) {
    return refused(
      "A transformation names its features in its code: open it and write them as annotations there.",
    );
  }
  const before = argumentsOf(transformation);
  const name = textOf(member, "name") || member.name;
  const free = featuresOf(graph, member).find(
    (one) => !before.some(({ feature }) => feature === `${name}:${one}`),
  );
  if (free === undefined) {
    return refused(`The transformation reads every feature of ${name} already, or ${name} has none yet.`);
  }
  const added = { name: free, feature: `${name}:${free}` };
  const listed = setField(graph, transformation.id, "arguments", literal([...before, added]));
  return {
    kind: "joined",
    graph: link(listed, transformation.id, "sources", member.id),
    says: `${wordFor(transformation)} reads ${added.feature}`,
  };
}

function argumentsOf(node: GraphNode): readonly { readonly [key: string]: Json }[] {
  const value = literalOf(node, "arguments");
  return Array.isArray(value) ? value.filter((one) => typeof one === "object" && one !== null) : [];
}

/** The names under which a view or a transformation serves its features. */
export function featuresOf(graph: Graph, node: GraphNode): readonly string[] {
  if (node.kind === "on_demand") {
    return textsOf(node, "outputs");
  }
  const windows = textsOf(node, "windows");
  return (node.links.features ?? []).flatMap((id) => {
    const feature = nodeOf(graph, id);
    if (feature === undefined) {
      return [];
    }
    const name = titleOf(feature);
    if (feature.type === "Filtered") {
      return ["dev", "pred", "n"].map((part) => `${name}_${part}`);
    }
    return [...(feature.type === "ClientCount" ? [] : windows.map((window) => `${name}_${window}`)), name];
  });
}

/** Joins a column of the events to what reads it. */
export function joinColumn(graph: Graph, column: SourceColumn, to: string): Join {
  const target = nodeOf(graph, to);
  switch (target?.kind) {
    case "entity":
      return joinKey(graph, column, target);
    case "view":
      return joinTime(graph, column, target);
    case "feature":
      return joinFeature(graph, column, target);
    default:
      return refused("A column joins to an entity, a feature, a filter, or a view's time.");
  }
}

function joinKey(graph: Graph, column: SourceColumn, entity: GraphNode): Join {
  if (column.type === "time") {
    return refused(`${column.name} is a time; a join key is text, a whole number or a boolean.`);
  }
  const keys = textsOf(entity, "keys");
  const columns = textsOf(entity, "column");
  if ((columns.length > 0 ? columns : keys).includes(column.name)) {
    return refused(`The ${wordFor(entity)} reads ${column.name} already.`);
  }
  if (keys.length > 1) {
    return refused(
      "An entity with several keys lists its columns, in the order of its keys: write them in its fields.",
    );
  }
  const isKey = keys.length === 0 || keys[0] === column.name;
  const next = isKey
    ? setField(setField(graph, entity.id, "keys", literal(column.name)), entity.id, "column", undefined)
    : setField(graph, entity.id, "column", literal(column.name));
  return { kind: "joined", graph: next, says: `entity ${keys[0] ?? column.name} reads ${column.name}` };
}

function joinTime(graph: Graph, column: SourceColumn, view: GraphNode): Join {
  if (column.type !== "time" && column.type !== "text") {
    return refused(
      `${column.name} is a ${column.type}; the time of a view is a timestamp, a date, or ISO 8601 text.`,
    );
  }
  return {
    kind: "joined",
    graph: setField(graph, view.id, "time", literal(column.name)),
    says: `view ${titleOf(view)} reads its time from ${column.name}`,
  };
}

function joinFeature(graph: Graph, column: SourceColumn, feature: GraphNode): Join {
  switch (feature.type) {
    case "Rate":
      return joinCondition(graph, column, feature);
    case "ClientCount":
    case "Count":
      return refused(`A ${feature.type} counts events and reads no column. A Mean or a Histogram does.`);
    case "Filtered":
      return refused("A Filtered reads a Rate of its view and no column. Name the Rate in its fields.");
    default:
      if (column.type !== "number" && column.type !== "other") {
        return refused(`${column.name} is a ${column.type}; a ${feature.type} reads a numeric column.`);
      }
      return {
        kind: "joined",
        graph: setField(graph, feature.id, "column", literal(column.name)),
        says: `${feature.type} reads ${column.name}`,
      };
  }
}

const COMPARISONS = {
  number: ">= 0",
  text: "= ''",
  time: "IS NOT NULL",
  other: "IS NOT NULL",
  boolean: "",
} as const;

function joinCondition(graph: Graph, column: SourceColumn, feature: GraphNode): Join {
  const before = textOf(feature, "where").trim();
  const part = `${quoted(column.name)} ${COMPARISONS[column.type]}`.trim();
  return {
    kind: "joined",
    graph: setField(graph, feature.id, "where", literal(before === "" ? part : `${before} AND ${part}`)),
    says: `the condition of ${titleOf(feature)} reads ${column.name}`,
  };
}
