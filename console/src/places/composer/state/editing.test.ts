import { expect, test } from "vitest";
import { GRAPH } from "../fixture";
import { remove, setField } from "../graph/edits";
import { type GraphNode, literal } from "../graph/graph";
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

test("after a text is applied the ids are new, the selection follows, and undo goes back to before", () => {
  const edited = after(OPENED, rho(0.2), { type: "select", ids: ["filter:dest_delay.features.3"] });
  const ids = { "dest_delay.features.3": "dest_delay.features.2" };
  const applied = after(edited, { type: "rebase", text: "new text", graph: { nodes: [] }, ids });
  expect(applied.selection).toEqual(["filter:dest_delay.features.2"]);
  expect(applied.base.text).toBe("new text");
  expect(isEdited(applied)).toBe(false);
  const undone = after(applied, { type: "undo" });
  expect([undone.base.text, undone.graph]).toEqual(["text", edited.graph]);
});

test("a save is no step: undo goes back to before the edit, and redo to what was saved", () => {
  const edited = after(OPENED, rho(0.2, "rho"));
  const ids = Object.fromEntries(GRAPH.nodes.map((node) => [node.id, node.id]));
  const saved = after(edited, { type: "saved", text: "new text", graph: edited.graph, ids });
  expect(isEdited(saved)).toBe(false);
  const undone = after(saved, { type: "undo" });
  expect([undone.base.text, undone.graph]).toEqual(["text", GRAPH]);
  expect(after(undone, { type: "redo" }).base.text).toBe("new text");
  expect(after(saved, rho(0.3, "rho"), { type: "undo" }).base.text).toBe("new text");
});

test("undo after a save brings back a draft that the file does not have", () => {
  const draft = { ...feature(), id: "new", name: "" };
  const graph = { nodes: [...GRAPH.nodes, draft] };
  const saved = after(
    OPENED,
    { type: "edit", graph },
    { type: "saved", text: "text", graph: GRAPH, ids: {} },
  );
  expect(after(saved, { type: "undo" }).graph).toBe(graph);
});

test("a value that was moved and moved back is no edit", () => {
  const before = GRAPH.nodes.find((node) => node.id === "dest_delay.privacy")?.fields.rho;
  const moved = after(OPENED, rho(0.2));
  const graph = setField(moved.graph, "dest_delay.privacy", "rho", before);
  expect(isEdited(after(moved, { type: "edit", graph }))).toBe(false);
  const left = setField(moved.graph, "dest_delay.privacy", "rho", undefined);
  expect(isEdited(after(moved, { type: "edit", graph: left }))).toBe(before !== undefined);
  const again = setField(left, "dest_delay.privacy", "rho", before);
  expect(isEdited(after(moved, { type: "edit", graph: again }))).toBe(false);
});

function feature(): GraphNode {
  const found = GRAPH.nodes.find((node) => node.kind === "feature");
  if (found === undefined) {
    throw new Error("the fixture has features");
  }
  return found;
}

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
