// The graph as the rows of a tree: sources, views with their parts, and what stands beside them.

import { filterId, hasFilter, windowsId } from "../canvas/flow";
import { hasWindows, shortText } from "../canvas/summary";
import { typeWord } from "../canvas/words";
import { type Graph, type GraphNode, isDraft, nodeOf, titleOf } from "../graph/graph";
import type { Source } from "../graph/sources";

export interface TreeRow {
  /** Unique in the tree; a shared part stands under each of its views. */
  readonly key: string;
  /** The id on the canvas; empty for a heading. */
  readonly id: string;
  readonly level: number;
  readonly word: string;
  readonly title: string;
  /** The link that the row stands for, where it can be moved among its siblings. */
  readonly among: { readonly owner: string; readonly field: string } | undefined;
  /** undefined: the row has no children. */
  readonly open: boolean | undefined;
  /** Position and number among the rows of its level, from 1. */
  readonly position: number;
  readonly siblings: number;
}

interface Branch {
  key: string;
  id: string;
  word: string;
  title: string;
  among?: TreeRow["among"];
  children?: readonly Branch[];
}

const PART_FIELDS = ["entity", "features", "bounds", "privacy"] as const;

/** The rows that are shown. `closed` has the keys whose children are hidden. */
export function treeRows(
  graph: Graph,
  sources: readonly Source[],
  closed: ReadonlySet<string>,
): readonly TreeRow[] {
  const rows: TreeRow[] = [];
  const walk = (branches: readonly Branch[], level: number) => {
    for (const [index, { key, id, word, title, among, children }] of branches.entries()) {
      const open = children === undefined || children.length === 0 ? undefined : !closed.has(key);
      rows.push({ key, id, level, word, title, among, open, position: index + 1, siblings: branches.length });
      if (open === true) {
        walk(children ?? [], level + 1);
      }
    }
  };
  walk([...sources.map(sourceBranch), ...fileBranches(graph)], 1);
  return rows;
}

function sourceBranch(source: Source): Branch {
  const id = `source:${source.id}`;
  const children = source.columns.map((column) => ({
    key: `${id}/${column.name}`,
    id: `${id}/${column.name}`,
    word: column.type,
    title: column.name,
  }));
  return { key: id, id, word: "Source", title: source.name, children };
}

function fileBranches(graph: Graph): readonly Branch[] {
  const shown = new Set<string>();
  const branches: Branch[] = [];
  for (const node of graph.nodes) {
    if (node.kind === "view") {
      const children = viewBranches(graph, node);
      for (const child of children) {
        shown.add(child.id);
      }
      branches.push({ ...branchOf(node), children });
    } else if (node.kind === "on_demand" || node.kind === "service" || node.kind === "code") {
      branches.push(branchOf(node));
    }
  }
  const parts = graph.nodes.filter((node) => node.kind in { entity: 1, feature: 1, bounds: 1, privacy: 1 });
  const free = parts.filter((node) => !shown.has(node.id));
  return [...branches, ...free.map((node) => ({ ...branchOf(node), word: freeWord(graph, node) }))];
}

function freeWord(graph: Graph, node: GraphNode): string {
  return isDraft(graph, node) ? `${typeWord(node)}, not joined yet` : `${typeWord(node)}, in no view`;
}

function viewBranches(graph: Graph, view: GraphNode): readonly Branch[] {
  const windows: readonly Branch[] = hasWindows(view)
    ? [{ key: windowsId(view.id), id: windowsId(view.id), word: "Windows", title: windowsTitle(view) }]
    : [];
  const parts = PART_FIELDS.flatMap((field) =>
    (view.links[field] ?? []).flatMap((id) => {
      const node = nodeOf(graph, id);
      return node === undefined ? [] : [partBranch(view, field, node)];
    }),
  );
  const after = parts.findIndex((part) => part.among !== undefined);
  return after < 0 ? [...parts, ...windows] : [...parts.slice(0, after), ...windows, ...parts.slice(after)];
}

function windowsTitle(view: GraphNode): string {
  const { pane, windows } = view.fields;
  return [pane, windows].flatMap((field) => (field === undefined ? [] : [shortText(field)])).join("; ");
}

function partBranch(view: GraphNode, field: string, node: GraphNode): Branch {
  const filter: readonly Branch[] =
    hasFilter(node) && node.fields.where !== undefined
      ? [
          {
            key: `${view.id}/${filterId(node.id)}`,
            id: filterId(node.id),
            word: "Filter",
            title: shortText(node.fields.where) || "no condition yet",
          },
        ]
      : [];
  const among = field === "features" ? { owner: view.id, field } : undefined;
  return { ...branchOf(node), key: `${view.id}/${node.id}`, among, children: filter };
}

function branchOf(node: GraphNode): Branch {
  const title = titleOf(node) || (node.kind === "code" ? shortText(node.fields.text ?? EMPTY_TEXT) : "");
  return { key: node.id, id: node.id, word: typeWord(node), title };
}

const EMPTY_TEXT = { kind: "code", text: "" } as const;
