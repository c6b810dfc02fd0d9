// @vitest-environment jsdom

import { expect, test } from "vitest";
import { GRAPH } from "../fixture";
import { setField } from "../graph/edits";
import { literal } from "../graph/graph";
import { NOTHING, reduce } from "./editing";
import { hasUnsaved, keep, keptOf, store, taken } from "./kept";
import type { ViewsFile } from "./viewsFile";

const FILE: ViewsFile = {
  path: "/p/views.py",
  text: "text",
  sha256: "",
  graph: GRAPH,
  editable: true,
  whyNot: "",
  problems: [],
  fault: null,
};
const OPENED = reduce(NOTHING, { type: "load", text: "text", graph: GRAPH });
const EDITED = reduce(OPENED, { type: "edit", graph: setField(GRAPH, "BOUNDS", "max_cells", literal(9)) });

test("edits that are not saved are there when one comes back", () => {
  keep({ file: FILE, editing: EDITED, draft: undefined });
  expect(keptOf({ ...FILE, sha256: "changed meanwhile" })?.editing).toBe(EDITED);
  expect(keptOf({ ...FILE, path: "/p/other.py" })).toBeUndefined();
});

test("without edits the file is read anew", () => {
  keep({ file: FILE, editing: OPENED, draft: undefined });
  expect(keptOf(FILE)).toBeUndefined();
});

test("a value that was moved and moved back is not unsaved", () => {
  const graph = setField(
    EDITED.graph,
    "BOUNDS",
    "max_cells",
    GRAPH.nodes.find(({ id }) => id === "BOUNDS")?.fields.max_cells,
  );
  const back = reduce(EDITED, { type: "edit", graph });
  expect(back.graph).not.toBe(back.base.graph);
  expect(hasUnsaved({ file: FILE, editing: back, draft: undefined })).toBe(false);
});

test("a page that is loaded anew has the edits, once, and undo goes back to the file", () => {
  const draft = { text: "mine", from: "text" };
  store({ file: FILE, editing: EDITED, draft }, window.sessionStorage);
  const found = taken(window.sessionStorage);
  expect(found?.editing.graph).toEqual(EDITED.graph);
  expect(found?.draft).toEqual(draft);
  expect(found && hasUnsaved(found)).toBe(true);
  expect(found && reduce(found.editing, { type: "undo" }).graph).toEqual(GRAPH);
  expect(taken(window.sessionStorage)).toBeUndefined();
});

test("an applied text is kept over a load of the page, and undo goes back to the file", () => {
  const applied = reduce(OPENED, { type: "rebase", text: "other", graph: { nodes: [] }, ids: {} });
  store({ file: FILE, editing: applied, draft: undefined }, window.sessionStorage);
  const found = taken(window.sessionStorage);
  expect(found?.editing.base.text).toBe("other");
  expect(found && reduce(found.editing, { type: "undo" }).base.text).toBe("text");
});

test("what is stored and cannot be read is left out", () => {
  window.sessionStorage.setItem("covey.composer.unsaved.1", '{"file": 1}');
  expect(taken(window.sessionStorage)).toBeUndefined();
});

test("a text that is not applied yet counts as unsaved once it is edited", () => {
  expect(hasUnsaved({ file: FILE, editing: OPENED, draft: { text: "a", from: "a" } })).toBe(false);
  expect(hasUnsaved({ file: FILE, editing: OPENED, draft: { text: "b", from: "a" } })).toBe(true);
});
