// What is edited and not saved, while one looks at another place of the console. It is gone when the page is closed.

import type { ViewsFile } from "./context";
import type { Editing } from "./editing";

export interface Kept {
  readonly file: ViewsFile;
  readonly editing: Editing;
}

let kept: Kept | undefined;

export function keep(now: Kept): void {
  kept = now;
}

/** What was kept of this file, if it has edits that the file does not have. */
export function keptOf(file: ViewsFile): Kept | undefined {
  return kept !== undefined && kept.file.path === file.path && hasUnsaved(kept) ? kept : undefined;
}

export function hasUnsaved({ file, editing }: Kept): boolean {
  return editing.graph !== editing.base.graph || editing.base.text !== file.text;
}
