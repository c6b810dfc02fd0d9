import { expect, test } from "vitest";
import { FLIGHTS, GRAPH } from "../fixture";
import { setField } from "../graph/edits";
import { literal } from "../graph/graph";
import { flowOf, placesOf, reused, sameLines, shapeOf, shownColumns } from "./flow";

const FLOW = flowOf(GRAPH, [FLIGHTS], []);

test("sources, filters and windows are nodes of the canvas", () => {
  const ids = FLOW.cards.map((card) => card.id);
  expect(ids).toContain("source:events");
  expect(ids).toContain("filter:dest_delay.features.3");
  expect(ids).toContain("windows:dest_delay");
  expect(ids).toHaveLength(GRAPH.nodes.length + 3);
});

test("columns join what reads them, and parts their view", () => {
  const joins = FLOW.lines.map((line) => [line.source, line.sourceHandle, line.target].join(" "));
  expect(joins).toContain("source:events column:dest dest_delay.entity");
  expect(joins).toContain("source:events column:arr_delay dest_delay.features.1");
  expect(joins).toContain("source:events column:arr_delay filter:dest_delay.features.3");
  expect(joins).toContain("filter:dest_delay.features.3 out dest_delay.features.3");
  expect(joins).toContain("BOUNDS out dest_delay");
  expect(joins).toContain("dest_delay out late_model");
  expect(new Set(FLOW.lines.map((line) => line.id)).size).toBe(FLOW.lines.length);
});

test("a problem shows at the card that has its field", () => {
  const problems = [
    { node: "dest_delay", field: "windows", message: "no multiple of the pane" },
    { node: "dest_delay.features.3", field: "where", message: "unknown column" },
  ];
  const shown = flowOf(GRAPH, [FLIGHTS], problems).cards.filter(
    (card) => "problem" in card.data && card.data.problem,
  );
  expect(shown.map((card) => card.id)).toEqual(["windows:dest_delay", "filter:dest_delay.features.3"]);
});

test("cards do not overlap", () => {
  const places = placesOf(FLOW);
  expect(new Set([...places.values()].map(({ x, y }) => `${x} ${y}`)).size).toBe(FLOW.cards.length);
});

test("an edit of one node draws one card again", () => {
  const next = flowOf(setField(GRAPH, "BOUNDS", "max_cells", literal(9)), [FLIGHTS], []);
  const cards = reused(FLOW.cards, next.cards);
  expect(cards.filter((card, index) => card !== FLOW.cards[index]).map((card) => card.id)).toEqual([
    "BOUNDS",
  ]);
  expect(sameLines(FLOW.lines, next.lines)).toBe(FLOW.lines);
});

test("a wide source shows its first columns and those that are read", () => {
  const columns = Array.from({ length: 300 }, (_, index) => ({ name: `c${index}`, type: "number" as const }));
  const shown = shownColumns({ ...FLIGHTS, columns }, "c250");
  expect(shown).toHaveLength(41);
  expect(shown.at(-1)?.name).toBe("c250");
});

test("a graph of over 200 nodes is laid out", () => {
  const nodes = Array.from({ length: 25 }, (_, index) =>
    GRAPH.nodes.map((node) => ({
      ...node,
      id: `${node.id}#${index}`,
      links: Object.fromEntries(
        Object.entries(node.links).map(([field, ids]) => [field, ids.map((id) => `${id}#${index}`)]),
      ),
    })),
  ).flat();
  expect(placesOf(flowOf({ nodes }, [FLIGHTS], [])).size).toBe(25 * 11 + 1);
});

test("the layout depends on the shape of the graph, and not on values of the same height", () => {
  const valued = flowOf(setField(GRAPH, "BOUNDS", "max_cells", literal(9)), [FLIGHTS], []);
  expect(shapeOf(valued)).toBe(shapeOf(FLOW));
  const shorter = flowOf(setField(GRAPH, "BOUNDS", "max_cells", undefined), [FLIGHTS], []);
  expect(shapeOf(shorter)).not.toBe(shapeOf(FLOW));
});

test("imports and the text at the top of a file are in the outline, and not on the canvas", () => {
  const code = (text: string) => ({
    id: "code-0",
    kind: "code" as const,
    type: "",
    name: "",
    fields: { text: { kind: "code" as const, text } },
    links: {},
    lines: [1, 1] as const,
  });
  const drawn = (text: string) => flowOf({ nodes: [code(text)] }, [], []).cards.length === 1;
  expect(drawn('"""About the views."""')).toBe(false);
  expect(drawn("# a comment\nfrom covey import (\n    Bounds,\n)\n\nimport numpy as np")).toBe(false);
  expect(drawn("import numpy as np\nAIRPORTS = []")).toBe(true);
  expect(drawn('NAME = """a text"""')).toBe(true);
});
