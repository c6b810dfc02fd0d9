import { expect, test } from "vitest";
import { FLIGHTS, GRAPH } from "../fixture";
import { add, link } from "../graph/edits";
import { newNode } from "../graph/palette";
import { treeRows } from "./tree";

function shown(closed: readonly string[] = [], graph = GRAPH): readonly string[] {
  return treeRows(graph, [FLIGHTS], new Set(closed)).map((row) =>
    `${row.level} ${row.word} ${row.title}`.trim(),
  );
}

test("a view has its parts below it, in their order, and a filter stands below its feature", () => {
  expect(shown(["source:events"])).toEqual([
    "1 Source flights.parquet",
    "1 View dest_delay",
    "2 Entity dest",
    "2 Windows 1d; 7d, 28d",
    "2 Client count planes",
    "2 Mean arr_delay_mean",
    "2 Histogram arr_delay_hist",
    "2 Rate late",
    "3 Filter arr_delay >= 15",
    "2 Bounds BOUNDS",
    "2 Privacy",
    "1 Service late_model",
  ]);
});

test("a closed row hides what is below it", () => {
  expect(shown(["source:events", "dest_delay"])).toEqual([
    "1 Source flights.parquet",
    "1 View dest_delay",
    "1 Service late_model",
  ]);
  expect(shown()).toContain("2 time arrived_at");
});

test("a part without a view says that it is not in the file", () => {
  const mean = newNode(GRAPH, { kind: "feature", type: "Mean", help: "", fields: [] });
  expect(shown([], add(GRAPH, mean)).at(-1)).toBe("1 Mean, not joined yet");
});

test("a part that two views share stands below both", () => {
  const view = newNode(GRAPH, { kind: "view", type: "FeatureView", help: "", fields: [] });
  const graph = link(add(GRAPH, view), view.id, "bounds", "BOUNDS");
  const rows = treeRows(graph, [], new Set()).filter((row) => row.id === "BOUNDS");
  expect(rows.map((row) => row.key)).toEqual(["dest_delay/BOUNDS", `${view.id}/BOUNDS`]);
});

test("only features are moved among their siblings", () => {
  const movable = treeRows(GRAPH, [], new Set()).filter((row) => row.among !== undefined);
  expect(movable.map((row) => row.id.slice(0, -1))).toEqual(Array(4).fill("dest_delay.features."));
});
