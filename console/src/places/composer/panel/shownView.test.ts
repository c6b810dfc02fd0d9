import { describe, expect, it } from "vitest";
import type { Graph, GraphNode } from "../graph/graph";
import { NOTHING } from "../state/editing";
import { shownView } from "./shownView";

function node(id: string, kind: GraphNode["kind"], links = {}): GraphNode {
  return { id, kind, type: "", name: id, fields: {}, links, lines: [1, 1] };
}

const GRAPH: Graph = {
  nodes: [
    node("a", "view"),
    node("b", "view", { features: ["f"], bounds: ["shared"] }),
    node("f", "feature"),
    node("shared", "bounds"),
  ],
};

describe("the view that the panel shows", () => {
  it.each([
    [[], "a"],
    [["b"], "b"],
    [["f"], "b"],
    [["windows:b"], "b"],
    [["filter:f"], "b"],
    [["gone", "source:events"], "a"],
  ])("of %j is %s", (selection, id) => {
    expect(shownView({ ...NOTHING, graph: GRAPH, selection })?.id).toBe(id);
  });
  it("is none where the file has no view", () => {
    expect(shownView(NOTHING)).toBeUndefined();
  });
});
