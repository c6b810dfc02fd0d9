import { expect, test } from "vitest";
import { GRAPH } from "../fixture";
import { add, link, remove, rename, reorder, setField, unlink, viewAround } from "./edits";
import { type GraphNode, isDraft, literal, literalOf, nodeOf, textsOf, titleOf, written } from "./graph";
import { freeId, freeName, nameProblem } from "./names";
import { newNode } from "./palette";

function found(graph: typeof GRAPH, id: string): GraphNode {
  const node = nodeOf(graph, id);
  if (node === undefined) {
    throw new Error(`no node ${id}`);
  }
  return node;
}

test("an edit of a field changes one node and keeps the others as the same objects", () => {
  const after = setField(GRAPH, "dest_delay.privacy", "rho", literal(0.2));
  expect(literalOf(found(after, "dest_delay.privacy"), "rho")).toBe(0.2);
  expect(after.nodes.filter((node, index) => node !== GRAPH.nodes[index]).map((node) => node.id)).toEqual([
    "dest_delay.privacy",
  ]);
  expect(
    "rho" in found(setField(GRAPH, "dest_delay.privacy", "rho", undefined), "dest_delay.privacy").fields,
  ).toBe(false);
});

test("references of services follow the new name of a view", () => {
  const after = setField(GRAPH, "dest_delay", "name", literal("delays"));
  expect(textsOf(found(after, "late_model"), "refs")).toEqual(["delays:late_7d"]);
  expect(found(after, "dest_delay").name).toBe("dest_delay");
});

test("a new view is bound to its own name until the two are set apart", () => {
  const view = newNode(GRAPH, { kind: "view", type: "FeatureView", help: "", fields: [] });
  const named = setField(add(GRAPH, view), view.id, "name", literal("visits"));
  expect(found(named, view.id).name).toBe("visits");
  const apart = setField(rename(named, view.id, "other"), view.id, "name", literal("calls"));
  expect(found(apart, view.id).name).toBe("other");
  expect(found(setField(named, view.id, "name", literal("<b>")), view.id).name).toBe("visits");
});

test("a view has one entity and many features", () => {
  const mean = newNode(GRAPH, { kind: "feature", type: "Mean", help: "", fields: [] });
  const more = link(add(GRAPH, mean), "dest_delay", "features", mean.id);
  expect(found(more, "dest_delay").links.features?.at(-1)).toBe(mean.id);
  const other = newNode(more, { kind: "entity", type: "Entity", help: "", fields: [] });
  const replaced = link(add(more, other), "dest_delay", "entity", other.id);
  expect(found(replaced, "dest_delay").links.entity).toEqual([other.id]);
  expect(isDraft(replaced, found(replaced, "dest_delay.entity"))).toBe(true);
  expect(nodeOf(written(replaced), "dest_delay.entity")).toBeUndefined();
  expect(written(GRAPH)).toBe(GRAPH);
});

test("a part that is taken out is a draft, and a named one stays in the file", () => {
  const graph = unlink(
    unlink(GRAPH, "dest_delay", "bounds", "BOUNDS"),
    "dest_delay",
    "privacy",
    "dest_delay.privacy",
  );
  expect(found(graph, "dest_delay").links.bounds).toBeUndefined();
  expect(isDraft(graph, found(graph, "BOUNDS"))).toBe(false);
  expect(isDraft(graph, found(graph, "dest_delay.privacy"))).toBe(true);
});

test("a deleted view takes the parts that are written inside it, and leaves shared ones", () => {
  const after = remove(GRAPH, ["dest_delay"]);
  expect(after.nodes.map((node) => node.id)).toEqual(["BOUNDS", "late_model"]);
  expect(found(after, "late_model").links.members).toEqual([]);
});

test("features are moved among their siblings and no further than the ends", () => {
  const ids = (graph: typeof GRAPH) =>
    found(graph, "dest_delay")
      .links.features?.map((id) => id.slice(-1))
      .join("");
  expect(ids(reorder(GRAPH, "dest_delay", "features", "dest_delay.features.3", -1))).toBe("0132");
  expect(ids(reorder(GRAPH, "dest_delay", "features", "dest_delay.features.0", 9))).toBe("1230");
  const still = reorder(GRAPH, "dest_delay", "features", "dest_delay.features.0", -1);
  expect(still.nodes[0]).toBe(GRAPH.nodes[0]);
});

test("new names and ids are free", () => {
  expect(freeName(GRAPH, "dest_delay")).toBe("dest_delay_2");
  expect(freeName(GRAPH, "visits")).toBe("visits");
  const id = freeId(GRAPH);
  expect(freeId(add(GRAPH, { ...found(GRAPH, "BOUNDS"), id }))).not.toBe(id);
});

test("a Python name is one word that is free and no keyword", () => {
  const view = found(GRAPH, "dest_delay");
  expect(nameProblem(GRAPH, view, "delays_2")).toBeUndefined();
  expect(nameProblem(GRAPH, view, "")).toBeUndefined();
  expect(nameProblem(GRAPH, view, "class")).toContain("Python itself");
  expect(nameProblem(GRAPH, view, "2d")).toContain("letters");
  expect(nameProblem(GRAPH, view, "BOUNDS")).toContain("Another part");
});

test("a feature without a name has the name of its column and kind", () => {
  expect(titleOf(found(GRAPH, "dest_delay.features.1"))).toBe("arr_delay_mean");
  expect(titleOf(found(GRAPH, "dest_delay.features.2"))).toBe("arr_delay_hist");
});

test("the view around a part is its only owner", () => {
  expect(viewAround(GRAPH, "BOUNDS")?.id).toBe("dest_delay");
  expect(viewAround(GRAPH, "late_model")).toBeUndefined();
});
