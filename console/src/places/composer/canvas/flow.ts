// The graph as nodes and edges of the canvas. Sources, filters and windows are nodes that only the canvas has.

import type { Edge, Node } from "@xyflow/react";
import { layered, type Point } from "../../../design/layout";
import type { Joined } from "../graph/disconnect";
import { type Graph, type GraphNode, type GraphProblem, isDraft, textOf, textsOf } from "../graph/graph";
import { columnsIn, type Source } from "../graph/sources";
import { hasWindows, rowsOf, windowRows } from "./summary";

export const MAX_COLUMNS = 40;

export type SourceCard = Node<{ source: Source; used: string }, "source">;
export type PartCard = Node<{ node: GraphNode; problem: string; draft: boolean }, "part">;
export type FilterCard = Node<{ node: GraphNode; problem: string; draft: boolean }, "filter">;
export type WindowsCard = Node<{ node: GraphNode; problem: string; draft: boolean }, "windows">;
export type Card = SourceCard | PartCard | FilterCard | WindowsCard;

export type JoinLine = Edge<{ joined: Joined }>;

export interface Flow {
  readonly cards: readonly Card[];
  readonly lines: readonly JoinLine[];
}

export function flowOf(graph: Graph, sources: readonly Source[], problems: readonly GraphProblem[]): Flow {
  const lines = linesOf(graph, sources);
  const used = new Map<string, Set<string>>();
  for (const { source, data } of lines) {
    if (data?.joined.kind === "column") {
      used.set(source, (used.get(source) ?? new Set()).add(data.joined.column));
    }
  }
  const messages = new Map<string, string>();
  for (const { node, field, message } of problems) {
    const id =
      field === "where" ? filterId(node) : field === "windows" || field === "pane" ? windowsId(node) : node;
    messages.set(id, messages.get(id) ?? message);
  }
  const cards: Card[] = sources.map((source) => ({
    id: `source:${source.id}`,
    type: "source",
    position: ORIGIN,
    deletable: false,
    data: { source, used: [...(used.get(`source:${source.id}`) ?? [])].join("\n") },
  }));
  for (const node of graph.nodes.filter(isDrawn)) {
    const common = {
      position: ORIGIN,
      data: { node, problem: messages.get(node.id) ?? "", draft: isDraft(graph, node) },
    };
    cards.push({ ...common, id: node.id, type: "part" });
    if (hasFilter(node)) {
      const data = { ...common.data, problem: messages.get(filterId(node.id)) ?? "" };
      cards.push({ ...common, data, id: filterId(node.id), type: "filter", deletable: false });
    }
    if (node.kind === "view" && hasWindows(node)) {
      const data = { ...common.data, problem: messages.get(windowsId(node.id)) ?? "" };
      cards.push({ ...common, data, id: windowsId(node.id), type: "windows", deletable: false });
    }
  }
  return { cards, lines };
}

const ORIGIN: Point = { x: 0, y: 0 };

export function filterId(id: string): string {
  return `filter:${id}`;
}

export function windowsId(id: string): string {
  return `windows:${id}`;
}

export function hasFilter(node: GraphNode): boolean {
  return node.kind === "feature" && "where" in node.fields;
}

/** The joins of a graph as lines between cards. */
export function linesOf(graph: Graph, sources: readonly Source[]): readonly JoinLine[] {
  const lines: JoinLine[] = [];
  const ids = new Set(graph.nodes.map((node) => node.id));
  const read = (node: GraphNode, field: string, names: readonly string[], target: string) => {
    for (const name of names) {
      const source = sources.find((one) => one.columns.some((column) => column.name === name));
      if (source !== undefined) {
        const joined: Joined = { kind: "column", node: node.id, field, column: name };
        lines.push(line(`source:${source.id}`, target, joined, `column:${name}`));
      }
    }
  };
  for (const node of graph.nodes) {
    for (const [field, linked] of Object.entries(node.links)) {
      for (const id of linked.filter((one) => ids.has(one))) {
        lines.push(line(id, node.id, { kind: "link", owner: node.id, field, id }));
      }
    }
    if (node.kind === "entity") {
      const columns = textsOf(node, "column");
      read(
        node,
        columns.length > 0 ? "column" : "keys",
        columns.length > 0 ? columns : textsOf(node, "keys"),
        node.id,
      );
    } else if (node.kind === "feature") {
      read(node, "column", textsOf(node, "column"), node.id);
      if (hasFilter(node)) {
        read(node, "where", columnsIn(textOf(node, "where"), sources), filterId(node.id));
        const why = "A filter is a part of its feature. Delete the feature, or empty the condition.";
        lines.push(line(filterId(node.id), node.id, { kind: "fixed", why }));
      }
    } else if (node.kind === "view") {
      read(node, "time", textsOf(node, "time"), node.id);
      if (hasWindows(node)) {
        const why = "Pane and windows are fields of their view. Empty the windows instead.";
        lines.push(line(windowsId(node.id), node.id, { kind: "fixed", why }));
      }
    }
  }
  return lines;
}

function line(source: string, target: string, joined: Joined, sourceHandle = "out"): JoinLine {
  const field = joined.kind === "fixed" ? "" : joined.field;
  const id = `${source}/${sourceHandle}>${target}/${field}`;
  const deletable = joined.kind !== "fixed";
  return { id, source, sourceHandle, target, targetHandle: "in", data: { joined }, deletable };
}

export const CARD_WIDTH = 232;

const EDGES = 12;
const LINE = 20;
const TITLE = 22;

/** The height of a card, which follows from its lines; the style sheet gives the same. */
export function heightOf(card: Card): number {
  switch (card.type) {
    case "source":
      return EDGES + LINE + TITLE + 22 * shownColumns(card.data.source, card.data.used).length;
    case "part": {
      const title = hasTitle(card.data.node) ? TITLE : 0;
      return EDGES + LINE + title + LINE * rowsOf(card.data.node).length + (card.data.draft ? LINE : 0);
    }
    case "windows":
      return EDGES + LINE + LINE * windowRows(card.data.node).length;
    default:
      return EDGES + LINE + 40;
  }
}

const UNTITLED: ReadonlySet<GraphNode["kind"]> = new Set(["bounds", "privacy", "code"]);

/** Bounds and privacy have a title only where they have a Python name. */
export function hasTitle(node: GraphNode): boolean {
  return node.name !== "" || !UNTITLED.has(node.kind);
}

const IMPORT = /^(?:from |import |#|\)|\s|$)/;
const DOCSTRING = /^[rR]?("""|''')[\s\S]*\1\s*$/;

/** Imports and the text at the top of a file say nothing about views; only the outline has them. */
export function isDrawn(node: GraphNode): boolean {
  const field = node.kind === "code" ? node.fields.text : undefined;
  if (field?.kind !== "code") {
    return true;
  }
  return !DOCSTRING.test(field.text) && !field.text.split("\n").every((line) => IMPORT.test(line));
}

/** The columns of a source's card: all of a small source, and of a large one its first and those that are read. */
export function shownColumns(source: Source, used: string): Source["columns"] {
  const read = new Set(used.split("\n"));
  return source.columns.filter((column, index) => index < MAX_COLUMNS || read.has(column.name));
}

/** What the places of cards depend on: two flows of one shape have the same places. */
export function shapeOf(flow: Flow): string {
  const cards = flow.cards.map((card) => `${card.id} ${heightOf(card)}`);
  return JSON.stringify([cards, flow.lines.map((one) => one.id)]);
}

/**
 * Where cards go: in layers. Windows, bounds and privacy go one layer before the features,
 * so that no layer becomes much higher than the others: an empty box stands between each of them and its view.
 */
export function placesOf(flow: Flow): ReadonlyMap<string, Point> {
  const boxes = flow.cards.map((card) => ({ id: card.id, width: CARD_WIDTH, height: heightOf(card) }));
  const early = new Set(flow.cards.filter(isEarly).map((card) => card.id));
  const spacers = [...early].map((id) => ({ id: `${id}/`, width: CARD_WIDTH, height: 1 }));
  const lines = flow.lines.flatMap(({ source, target }) =>
    early.has(source)
      ? [
          { source, target: `${source}/` },
          { source: `${source}/`, target },
        ]
      : [{ source, target }],
  );
  const places = layered([...boxes, ...spacers], lines, { gap: 12, layerGap: 52 });
  return new Map(flow.cards.map(({ id, position }) => [id, places.get(id) ?? position]));
}

function isEarly(card: Card): boolean {
  return (
    card.type === "windows" || (card.type === "part" && ["bounds", "privacy"].includes(card.data.node.kind))
  );
}

/** The next cards with the former objects wherever nothing has changed, so that only changed cards are drawn again. */
export function reused(before: readonly Card[], next: readonly Card[]): Card[] {
  const former = new Map(before.map((card) => [card.id, card]));
  return next.map((card) => {
    const old = former.get(card.id);
    if (old === undefined || old.type !== card.type) {
      return card;
    }
    const isSame =
      sameData(old.data, card.data) &&
      old.selected === card.selected &&
      old.position.x === card.position.x &&
      old.position.y === card.position.y;
    return isSame
      ? old
      : ({ ...old, ...card, data: sameData(old.data, card.data) ? old.data : card.data } as Card);
  });
}

/** The next lines with the former objects: an id says all of a line. */
export function sameLines(before: readonly JoinLine[], next: readonly JoinLine[]): readonly JoinLine[] {
  const former = new Map(before.map((one) => [one.id, one]));
  const lines = next.map((one) => former.get(one.id) ?? one);
  return lines.length === before.length && lines.every((one, index) => one === before[index])
    ? before
    : lines;
}

function sameData(one: object, other: object): boolean {
  const values = Object.entries(other);
  return (
    values.length === Object.keys(one).length &&
    values.every(([key, value]) => Reflect.get(one, key) === value)
  );
}
