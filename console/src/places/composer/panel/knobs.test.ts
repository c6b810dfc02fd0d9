import { describe, expect, it } from "vitest";
import { type Field, type Graph, type GraphNode, literal } from "../graph/graph";
import { knobsOf, turned } from "./knobs";

function node(id: string, kind: GraphNode["kind"], fields: Record<string, Field>, links = {}): GraphNode {
  return { id, kind, type: "", name: "", fields, links, lines: [1, 1] };
}

const VIEW = node("v", "view", {}, { privacy: ["v.privacy"], features: ["v.features.0", "v.features.1"] });
const GRAPH: Graph = {
  nodes: [
    VIEW,
    node("v.privacy", "privacy", { rho: literal(0.1), min_clients: { kind: "code", text: "K" } }),
    node("v.features.0", "feature", { column: literal("delay"), clip: literal([-60, 180]) }),
    node("v.features.1", "feature", { clip: { kind: "code", text: "CLIP" } }),
  ],
};

describe("the knobs of a view", () => {
  it("are its price and the ends of each clip, and nothing that is code", () => {
    expect(knobsOf(GRAPH, VIEW).map((knob) => [knob.node, knob.field, knob.value])).toEqual([
      ["v.privacy", "rho", 0.1],
      ["v.features.0", "clip", -60],
      ["v.features.0", "clip", 180],
    ]);
  });
  it("have the default of k where the file has none", () => {
    const graph = { nodes: [VIEW, node("v.privacy", "privacy", { epsilon: literal(1) })] };
    expect(knobsOf(graph, VIEW).map((knob) => [knob.field, knob.value])).toEqual([
      ["epsilon", 1],
      ["min_clients", 50],
    ]);
  });
  it("turn one end of a clip and keep the other", () => {
    const [rho, low, high] = knobsOf(GRAPH, VIEW);
    expect(rho && turned(GRAPH, rho, 0.2)).toBe(0.2);
    expect(low && turned(GRAPH, low, 0)).toEqual([0, 180]);
    expect(high && turned(GRAPH, high, 90)).toEqual([-60, 90]);
  });
  it("never turn one end of a clip over the other", () => {
    const [, low, high] = knobsOf(GRAPH, VIEW);
    expect(low?.scale.max).toBeLessThan(180);
    expect(high?.scale.min).toBeGreaterThan(-60);
  });
});
