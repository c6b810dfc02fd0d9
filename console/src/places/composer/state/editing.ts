// The state of the editor: what was read, what is edited, what can be undone. All of it is one reducer.

import { EMPTY, type Graph, type GraphProblem, sameGraph, written } from "../graph/graph";

/** The text that was parsed last, and its graph. An edited graph is always written into this text. */
export interface Base {
  readonly text: string;
  readonly graph: Graph;
}

interface Moment {
  readonly base: Base;
  readonly graph: Graph;
  /** Ids on the canvas, of nodes and of the parts that only the canvas has. */
  readonly selection: readonly string[];
}

export interface Editing extends Moment {
  readonly past: readonly Moment[];
  readonly future: readonly Moment[];
  /** The gesture that the newest edit belongs to; further edits of it are one step of undo. */
  readonly gesture: string;
  /** What is wrong, by who says so: the writer of the file, the check of the definitions. */
  readonly problems: Readonly<Record<string, readonly GraphProblem[]>>;
  /** The new id of each old one since the file was last parsed anew. */
  readonly renewed: Readonly<Record<string, string>>;
  /** What a screen reader is to say of the newest edit. */
  readonly said: string;
}

export type Action =
  | { readonly type: "load"; readonly text: string; readonly graph: Graph }
  | {
      readonly type: "edit";
      readonly graph: Graph;
      /** Edits with the same gesture in a row, such as those of one slider, are undone together. */
      readonly gesture?: string;
      readonly select?: readonly string[];
      readonly says?: string;
    }
  /**
   * The graph of `text`, and the new id of each old one. `rebase`: the text is another one, edited by hand or by others; a step of
   * undo. `saved`: the text is what the graph means, and was written to the file.
   */
  | {
      readonly type: "rebase" | "saved";
      readonly text: string;
      readonly graph: Graph;
      readonly ids: Readonly<Record<string, string>>;
    }
  | { readonly type: "undo" }
  | { readonly type: "redo" }
  | { readonly type: "select"; readonly ids: readonly string[] }
  | { readonly type: "problems"; readonly origin: string; readonly problems: readonly GraphProblem[] }
  | { readonly type: "say"; readonly says: string };

const MAX_STEPS = 200;

export const NOTHING: Editing = {
  base: { text: "", graph: EMPTY },
  graph: EMPTY,
  past: [],
  future: [],
  gesture: "",
  selection: [],
  problems: {},
  renewed: {},
  said: "",
};

export function reduce(state: Editing, action: Action): Editing {
  switch (action.type) {
    case "load":
      return { ...NOTHING, base: { text: action.text, graph: action.graph }, graph: action.graph };
    case "edit":
      return edited(state, action);
    case "rebase":
      return based(stepped(state), action);
    case "saved": // drafts are not in the file; only undo brings them back
      return based(written(state.graph) === state.graph ? { ...state, gesture: "" } : stepped(state), action);
    case "undo":
      return undone(state);
    case "redo":
      return redone(state);
    case "select":
      return same(state.selection, action.ids) ? state : { ...state, selection: action.ids, gesture: "" };
    case "problems":
      return { ...state, problems: { ...state.problems, [action.origin]: action.problems } };
    case "say":
      return { ...state, said: action.says };
  }
}

function based(state: Editing, { text, graph, ids }: Action & { type: "rebase" | "saved" }): Editing {
  return {
    ...state,
    base: { text, graph },
    graph,
    renewed: ids,
    selection: carried(state.selection, ids),
  };
}

function edited(state: Editing, action: Action & { type: "edit" }): Editing {
  if (action.graph === state.graph) {
    return state;
  }
  const goesOn = action.gesture !== undefined && action.gesture === state.gesture;
  return {
    ...(goesOn ? { ...state, future: [] } : stepped(state)),
    graph: action.graph,
    problems: withoutFiles(state.problems),
    gesture: action.gesture ?? "",
    selection: action.select ?? kept(state.selection, action.graph),
    said: action.says ?? state.said,
  };
}

/** What was wrong with the file as it was read says nothing of an edited graph; the others look again by themselves. */
function withoutFiles(problems: Editing["problems"]): Editing["problems"] {
  const { file, ...others } = problems;
  return file === undefined ? problems : others;
}

function stepped(state: Editing): Editing {
  return { ...state, past: [...state.past, momentOf(state)].slice(-MAX_STEPS), future: [], gesture: "" };
}

function momentOf({ base, graph, selection }: Editing): Moment {
  return { base, graph, selection };
}

function undone(state: Editing): Editing {
  const before = state.past.at(-1);
  if (before === undefined) {
    return state;
  }
  return {
    ...state,
    ...before,
    past: state.past.slice(0, -1),
    future: [momentOf(state), ...state.future],
    gesture: "",
    said: "Undone",
  };
}

function redone(state: Editing): Editing {
  const [after, ...future] = state.future;
  if (after === undefined) {
    return state;
  }
  return {
    ...state,
    ...after,
    past: [...state.past, momentOf(state)],
    future,
    gesture: "",
    said: "Done again",
  };
}

/** The id of the node that a part of the canvas belongs to: `windows:dest_delay` belongs to `dest_delay`. */
export function nodeIdOf(canvasId: string): string {
  return canvasId.replace(/^(?:windows|filter):/, "");
}

function kept(selection: readonly string[], graph: Graph): readonly string[] {
  const ids = new Set(graph.nodes.map((node) => node.id));
  const rest = selection.filter((id) => id.startsWith("source:") || ids.has(nodeIdOf(id)));
  return rest.length === selection.length ? selection : rest;
}

/** Ids of the canvas after a graph was parsed anew. */
export function carried(
  selection: readonly string[],
  ids: Readonly<Record<string, string>>,
): readonly string[] {
  return selection.flatMap((id) => {
    const own = nodeIdOf(id);
    const renewed = ids[own];
    return renewed === undefined
      ? id.startsWith("source:")
        ? [id]
        : []
      : [id.slice(0, id.length - own.length) + renewed];
  });
}

function same(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((id, index) => id === other[index]);
}

/** Whether the graph has edits that its base does not have. A value that was moved and moved back is none. */
export function isEdited(state: Editing): boolean {
  return !sameGraph(state.graph, state.base.graph);
}
