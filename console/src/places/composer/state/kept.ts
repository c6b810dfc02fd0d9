// What is edited and not saved, while one looks at another place of the console or loads the page anew in its tab.

import { sameGraph } from "../graph/graph";
import { type Editing, isEdited, NOTHING, reduce } from "./editing";
import type { ViewsFile } from "./viewsFile";

/** A text that is edited by hand and not applied yet, and the text that it began as. */
export interface Draft {
  readonly text: string;
  readonly from: string;
}

export interface Kept {
  readonly file: ViewsFile;
  readonly editing: Editing;
  readonly draft: Draft | undefined;
}

/** Of this form of `Stored`: a later page with another form has another key. */
const KEY = "covey.composer.unsaved.1";

interface Stored {
  readonly file: ViewsFile;
  readonly base: Editing["base"];
  readonly graph: Editing["graph"];
  readonly draft: Draft | null;
}

let kept: Kept | undefined;

export function keep(now: Kept): void {
  kept = now;
}

/** What was kept of this file, if it has edits that the file does not have. */
export function keptOf(file: ViewsFile): Kept | undefined {
  kept ??= taken(window.sessionStorage);
  return kept !== undefined && kept.file.path === file.path && hasUnsaved(kept) ? kept : undefined;
}

/** What the composer of this page has of its file, saved or not; undefined: it was not opened yet. */
export function opened(): Kept | undefined {
  kept ??= taken(window.sessionStorage);
  return kept;
}

export function hasUnsaved({ file, editing, draft }: Kept): boolean {
  return (
    isEdited(editing) || editing.base.text !== file.text || (draft !== undefined && draft.text !== draft.from)
  );
}

/** Stores what is not saved for the next page of this tab, in place of what was stored before. */
export function store(now: Kept, storage: Storage): void {
  const { file, editing, draft } = now;
  const stored: Stored = { file, base: editing.base, graph: editing.graph, draft: draft ?? null };
  try {
    storage.removeItem(KEY);
    if (!hasUnsaved(now)) {
      return;
    }
    storage.setItem(KEY, JSON.stringify(stored));
  } catch {
    // It is too large for this browser, which has asked before it closes the page.
  }
}

/** What the page before has stored. It is read once, so that edits that break the page do not break the next one. */
export function taken(storage: Storage): Kept | undefined {
  try {
    const text = storage.getItem(KEY);
    storage.removeItem(KEY);
    return text === null ? undefined : restored(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** The edits as steps that can be undone, back to the file as it was read. */
function restored({ file, base, graph, draft }: Stored): Kept {
  const loaded = reduce(NOTHING, { type: "load", text: file.text, graph: file.graph });
  const based = base.text === file.text ? loaded : reduce(loaded, { type: "rebase", ...base, ids: {} });
  const editing = sameGraph(graph, base.graph) ? based : reduce(based, { type: "edit", graph });
  return {
    file,
    editing: { ...editing, said: "Your unsaved edits are here again" },
    draft: draft ?? undefined,
  };
}

// Also while another place is shown: the browser asks before it leaves the page, and the edits are stored when it does.
window.addEventListener(
  "beforeunload",
  (event) => kept !== undefined && hasUnsaved(kept) && event.preventDefault(),
);
window.addEventListener("pagehide", () => kept !== undefined && store(kept, window.sessionStorage));
