// What a person does to the graph: the commands of buttons, keys and menus.

import { useMemo } from "react";
import { copied, pasted } from "../graph/clipboard";
import { remove, setField } from "../graph/edits";
import { type GraphNode, literal, nodeOf, titleOf } from "../graph/graph";
import { newNode, type PaletteType } from "../graph/palette";
import { place, viewFor } from "../graph/place";
import { type Composer, useComposer } from "./context";
import { nodeIdOf } from "./editing";

export interface Commands {
  /** Adds a part; to the view `into`, or to the one that is chosen. Returns its id on the canvas. */
  readonly add: (item: PaletteType, into?: GraphNode) => string;
  readonly removeChosen: () => void;
  /** The chosen parts as text, or undefined if none is chosen. */
  readonly copy: () => string | undefined;
  readonly paste: (text: string) => void;
  readonly selectAll: () => void;
}

export function useCommands(): Commands {
  const composer = useComposer();
  return useMemo(() => commandsOf(composer), [composer]);
}

function commandsOf({ editing, dispatch }: Composer): Commands {
  const { graph, selection } = editing;
  const chosen = [...new Set(selection.map(nodeIdOf))].filter((id) => nodeOf(graph, id) !== undefined);

  return {
    add(item, into) {
      if (item.type === WINDOWS.type && item.kind === WINDOWS.kind) {
        return addWindows(into);
      }
      const view = into ?? viewFor(graph, chosen);
      const placed = place(graph, newNode(graph, item, view), view);
      dispatch({ type: "edit", graph: placed.graph, select: [placed.node.id], says: placed.says });
      return placed.node.id;
    },
    removeChosen() {
      const gone = selection.filter((id) => nodeOf(graph, id) !== undefined);
      if (gone.length === 0) {
        dispatch({
          type: "say",
          says: "Nothing to delete: a source, a filter and windows are no parts of their own.",
        });
        return;
      }
      const says = gone.length === 1 ? "Deleted" : `${gone.length} parts deleted`;
      dispatch({ type: "edit", graph: remove(graph, gone), says: `${says}. Undo brings them back.` });
    },
    copy() {
      if (chosen.length === 0) {
        return undefined;
      }
      dispatch({ type: "say", says: chosen.length === 1 ? "Copied" : `${chosen.length} parts copied` });
      return copied(graph, chosen);
    },
    paste(text) {
      const paste = pasted(graph, text, viewFor(graph, chosen));
      dispatch(
        paste.kind === "refused"
          ? { type: "say", says: paste.why }
          : { type: "edit", graph: paste.graph, select: paste.ids, says: `${paste.ids.length} parts pasted` },
      );
    },
    selectAll() {
      dispatch({ type: "select", ids: graph.nodes.map((node) => node.id) });
    },
  };

  function addWindows(into: GraphNode | undefined): string {
    const view = into ?? viewFor(graph, chosen);
    if (view === undefined) {
      dispatch({ type: "say", says: "Windows belong to a view. Choose a view first." });
      return "";
    }
    const select = [`windows:${view.id}`];
    if (view.fields.windows !== undefined) {
      dispatch({ type: "select", ids: select });
      return select[0] ?? "";
    }
    const next = setField(graph, view.id, "windows", literal(["7d"]));
    dispatch({ type: "edit", graph: next, select, says: `Windows added to ${titleOf(view)}` });
    return select[0] ?? "";
  }
}

/** The palette's entry for windows, which are a field of a view. */
export const WINDOWS: PaletteType = {
  kind: "view",
  type: "windows",
  help: "Trailing windows of a view. They are sums of panes and cost nothing more.",
  fields: [],
};
