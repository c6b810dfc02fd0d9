import { expect, test } from "vitest";
import { GRAPH } from "../fixture";
import { remove, setField } from "../graph/edits";
import { literal } from "../graph/graph";
import { type Action, carried, type Editing, isEdited, NOTHING, reduce } from "./editing";

const OPENED = reduce(NOTHING, { type: "load", text: "text", graph: GRAPH });

function after(state: Editing, ...actions: Action[]): Editing {
  return actions.reduce(reduce, state);
}

function rho(value: number, gesture?: string): Action {
  const graph = setField(GRAPH, "dest_delay.privacy", "rho", literal(value));
  return gesture === undefined ? { type: "edit", graph } : { type: "edit", graph, gesture };
}

test("an edit can be undone and done again", () => {
  const edited = after(OPENED, rho(0.2));
  expect(isEdited(edited)).toBe(true);
  const undone = after(edited, { type: "undo" });
  expect(undone.graph).toBe(GRAPH);
  expect(isEdited(undone)).toBe(false);
  expect(after(undone, { type: "redo" }).graph).toBe(edited.graph);
});

test("undo with nothing before it changes nothing, and an edit ends what could be done again", () => {
  expect(after(OPENED, { type: "undo" })).toBe(OPENED);
  expect(after(OPENED, rho(0.2), { type: "undo" }, rho(0.3)).future).toEqual([]);
});

test("the edits of one gesture are one step", () => {
  const slid = after(OPENED, rho(0.2, "rho"), rho(0.3, "rho"), rho(0.4, "rho"));
  expect(slid.past).toHaveLength(1);
  expect(after(slid, { type: "undo" }).graph).toBe(GRAPH);
  const twice = after(OPENED, rho(0.2, "rho"), { type: "select", ids: ["dest_delay"] }, rho(0.3, "rho"));
  expect(twice.past).toHaveLength(2);
});

test("a deleted node leaves the selection, and a part of the canvas goes with its node", () => {
  const chosen = after(OPENED, {
    type: "select",
    ids: ["windows:dest_delay", "late_model", "source:events"],
  });
  const deleted = after(chosen, { type: "edit", graph: remove(GRAPH, ["dest_delay"]) });
  expect(deleted.selection).toEqual(["late_model", "source:events"]);
});

test("after a save the ids are new, the selection follows, and undo goes back to before", () => {
  const edited = after(OPENED, rho(0.2), { type: "select", ids: ["filter:dest_delay.features.3"] });
  const ids = { "dest_delay.features.3": "dest_delay.features.2" };
  const saved = after(edited, { type: "rebase", text: "new text", graph: { nodes: [] }, ids });
  expect(saved.selection).toEqual(["filter:dest_delay.features.2"]);
  expect(saved.base.text).toBe("new text");
  expect(isEdited(saved)).toBe(false);
  const undone = after(saved, { type: "undo" });
  expect([undone.base.text, undone.graph]).toEqual(["text", edited.graph]);
});

test("positions and selections follow renewed ids", () => {
  expect(carried(["a", "windows:a", "gone", "source:events"], { a: "b" })).toEqual([
    "b",
    "windows:b",
    "source:events",
  ]);
});

test("at most 200 steps are kept", () => {
  const many = after(OPENED, ...Array.from({ length: 250 }, (_, index) => rho(index / 1000)));
  expect(many.past).toHaveLength(200);
});

test("problems of the file as it was read end with the first edit, and others stay", () => {
  const wrong = [{ node: "BOUNDS", field: "max_cells", message: "too large" }];
  const found = after(
    OPENED,
    { type: "problems", origin: "file", problems: wrong },
    { type: "problems", origin: "label", problems: [] },
  );
  expect(after(found, rho(0.2)).problems).toEqual({ label: [] });
});

test("undo chooses again what was chosen before the edit", () => {
  const chosen = after(OPENED, { type: "select", ids: ["dest_delay"] });
  const edited = after(chosen, { type: "edit", graph: remove(GRAPH, ["dest_delay"]) });
  expect(edited.selection).toEqual([]);
  expect(after(edited, { type: "undo" }).selection).toEqual(["dest_delay"]);
});
