import { expect, test } from "vitest";
import { GRAPH } from "../fixture";
import { copied, type Pasted, pasted } from "./clipboard";
import { EMPTY, type GraphNode, nodeOf, textOf } from "./graph";

function graphOf(paste: Pasted) {
  if (paste.kind === "refused") {
    throw new Error(paste.why);
  }
  return paste;
}

function why(text: string): string {
  const paste = pasted(GRAPH, text, undefined);
  return paste.kind === "refused" ? paste.why : "";
}

test("a view is copied with its parts and pasted under a new name, beside what it shares", () => {
  const { graph, ids } = graphOf(pasted(GRAPH, copied(GRAPH, ["dest_delay"]), undefined));
  expect(ids).toHaveLength(7);
  const view = graph.nodes.find((node) => node.kind === "view" && node.id !== "dest_delay");
  expect(view?.name).toBe("dest_delay_2");
  expect(view && textOf(view, "name")).toBe("dest_delay_2");
  expect(view?.links.bounds).toEqual(["BOUNDS"]);
  expect(view?.links.features).toHaveLength(4);
  const names = view?.links.features?.map((id) => textOf(nodeOf(graph, id) as GraphNode, "name"));
  expect(names).toEqual(["planes", "", "", "late"]);
  expect(view?.links.features?.every((id) => nodeOf(graph, id)?.lines[0] === 0)).toBe(true);
});

test("in another file, what the view shared is not there and its link is left out", () => {
  const { graph } = graphOf(pasted(EMPTY, copied(GRAPH, ["dest_delay"]), undefined));
  const view = graph.nodes.find((node) => node.kind === "view");
  expect(view?.name).toBe("dest_delay");
  expect(view?.links.bounds).toEqual([]);
});

test("a pasted feature joins the chosen view", () => {
  const { graph, ids } = graphOf(
    pasted(GRAPH, copied(GRAPH, ["dest_delay.features.3"]), nodeOf(GRAPH, "dest_delay")),
  );
  expect(nodeOf(graph, "dest_delay")?.links.features?.at(-1)).toBe(ids[0]);
  expect(textOf(nodeOf(graph, ids[0] ?? "") ?? (GRAPH.nodes[0] as never), "name")).toBe("late_2");
});

test("any other text is refused with a reason", () => {
  expect(why("hello")).toContain("no parts");
  expect(why('{"format": "covey-views-1"}')).toContain("no parts");
  expect(why('{"format": "covey-views-1", "nodes": [{"id": 1}]}')).toContain("damaged");
  expect(
    why(
      '{"format": "covey-views-1", "nodes": [{"id":"a","type":"","name":"","kind":"code","fields":{"x":{}},"links":{}}]}',
    ),
  ).toContain("damaged");
  expect(why(JSON.stringify({ format: "covey-views-1", nodes: Array(501).fill({}) }))).toContain(
    "at most 500",
  );
  expect(why(" ".repeat(1_000_001))).toContain("1,000,000");
});
