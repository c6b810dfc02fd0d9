import { expect, test } from "vitest";
import { FLIGHTS, GRAPH, PALETTE } from "../fixture";
import { disconnected } from "./disconnect";
import { add, setField } from "./edits";
import { type Graph, literal, nodeOf, textOf, textsOf } from "./graph";
import { featuresOf, type Join, joinColumn, joinNodes } from "./joins";
import { newNode, type PaletteType } from "./palette";
import { place, viewFor } from "./place";
import { columnOf, columnsIn, quoted } from "./sources";

function item(type: string): PaletteType {
  return PALETTE.types.find((one) => one.type === type) ?? { kind: "feature", type, help: "", fields: [] };
}

function withNew(type: string): { graph: Graph; id: string } {
  const node = newNode(GRAPH, item(type));
  return { graph: add(GRAPH, node), id: node.id };
}

function graphOf(join: Join): Graph {
  if (join.kind === "refused") {
    throw new Error(join.why);
  }
  return join.graph;
}

function why(join: Join): string {
  return join.kind === "refused" ? join.why : "";
}

function column(name: string) {
  const found = columnOf([FLIGHTS], name);
  if (found === undefined) {
    throw new Error(`no column ${name}`);
  }
  return found;
}

test("a free part joins a view; one that is written inside a view does not join another", () => {
  const { graph, id } = withNew("Mean");
  expect(nodeOf(graphOf(joinNodes(graph, id, "dest_delay")), "dest_delay")?.links.features).toContain(id);
  const other = withNew("FeatureView");
  expect(why(joinNodes(other.graph, "dest_delay.features.0", other.id))).toContain(
    "written inside dest_delay",
  );
  expect(joinNodes(other.graph, "BOUNDS", other.id).kind).toBe("joined");
});

test("a refused join says why", () => {
  expect(why(joinNodes(GRAPH, "BOUNDS", "dest_delay"))).toContain("already");
  expect(why(joinNodes(GRAPH, "late_model", "dest_delay"))).toContain("no part of a view");
  expect(why(joinNodes(GRAPH, "BOUNDS", "late_model"))).toContain("cannot be joined");
  expect(why(joinNodes(GRAPH, "BOUNDS", "BOUNDS"))).toContain("two different parts");
});

test("a view that joins a service adds a reference that the service does not have", () => {
  const after = graphOf(joinNodes(GRAPH, "dest_delay", "late_model"));
  const service = nodeOf(after, "late_model");
  expect(service && textsOf(service, "refs")).toEqual(["dest_delay:late_7d", "dest_delay:planes"]);
});

test("the features of a view have its windows, but for a ClientCount", () => {
  const view = nodeOf(GRAPH, "dest_delay");
  expect(view && featuresOf(GRAPH, view).slice(0, 4)).toEqual([
    "planes",
    "arr_delay_mean_7d",
    "arr_delay_mean_28d",
    "arr_delay_mean",
  ]);
});

test("columns join by their type", () => {
  const mean = withNew("Mean");
  const read = nodeOf(graphOf(joinColumn(mean.graph, column("arr_delay"), mean.id)), mean.id);
  expect(read && textOf(read, "column")).toBe("arr_delay");
  expect(why(joinColumn(mean.graph, column("dest"), mean.id))).toContain("numeric");
  expect(why(joinColumn(GRAPH, column("dest"), "dest_delay.features.0"))).toContain("reads no column");
  expect(why(joinColumn(GRAPH, column("arr_delay"), "dest_delay"))).toContain("timestamp");
  expect(why(joinColumn(GRAPH, column("arr_delay"), "BOUNDS"))).toContain("joins to an entity");
});

test("a column is the first key of an entity, and later the column of that key", () => {
  const entity = withNew("Entity");
  const keyed = graphOf(joinColumn(entity.graph, column("dest"), entity.id));
  const node = nodeOf(keyed, entity.id);
  expect(node && textsOf(node, "keys")).toEqual(["dest"]);
  expect(why(joinColumn(keyed, column("dest"), entity.id))).toContain("already");
  const read = nodeOf(graphOf(joinColumn(keyed, column("tail num"), entity.id)), entity.id);
  expect(read && textOf(read, "column")).toBe("tail num");
});

test("a column adds a part to a condition, spelled as the grammar needs it", () => {
  const rate = withNew("Rate");
  const one = graphOf(joinColumn(rate.graph, column("cancelled"), rate.id));
  const two = nodeOf(graphOf(joinColumn(one, column("tail num"), rate.id)), rate.id);
  expect(two && textOf(two, "where")).toBe("cancelled AND \"tail num\" = ''");
});

test("the columns of a condition are found, and texts in quotes are none", () => {
  expect(columnsIn("arr_delay >= 15 AND \"tail num\" = 'dest'", [FLIGHTS])).toEqual([
    "arr_delay",
    "tail num",
  ]);
  expect(columnsIn("dest IN ('it''s dest')", [FLIGHTS])).toEqual(["dest"]);
  expect(quoted('a"b')).toBe('"a""b"');
});

test("the offered targets of a part are those that accept it", () => {
  const { graph, id } = withNew("Mean");
  const node = nodeOf(graph, id);
  const joined = graph.nodes.filter((one) => node && joinNodes(graph, node.id, one.id).kind === "joined");
  expect(joined.map((one) => one.id)).toEqual(["dest_delay"]);
});

test("a join is taken out where it stands as a link or a column, and refused where it is in a text", () => {
  const link = { kind: "link", owner: "dest_delay", field: "bounds", id: "BOUNDS" } as const;
  expect(nodeOf(graphOf(disconnected(GRAPH, link)), "dest_delay")?.links.bounds).toBeUndefined();
  const read = {
    kind: "column",
    node: "dest_delay.features.1",
    field: "column",
    column: "arr_delay",
  } as const;
  expect(nodeOf(graphOf(disconnected(GRAPH, read)), "dest_delay.features.1")?.fields.column).toBeUndefined();
  const where = {
    kind: "column",
    node: "dest_delay.features.3",
    field: "where",
    column: "arr_delay",
  } as const;
  expect(why(disconnected(GRAPH, where))).toContain("condition");
  const member = { kind: "link", owner: "late_model", field: "members", id: "dest_delay" } as const;
  const service = nodeOf(graphOf(disconnected(GRAPH, member)), "late_model");
  expect(service && textsOf(service, "refs")).toEqual([]);
});

test("a new part joins the chosen view, or the only one, and replaces nothing", () => {
  const view = viewFor(GRAPH, ["dest_delay.features.0"]);
  expect(view?.id).toBe("dest_delay");
  expect(viewFor(GRAPH, [])?.id).toBe("dest_delay");
  const bounds = newNode(GRAPH, item("Bounds"));
  const placed = place(GRAPH, bounds, view);
  expect(placed.says).toContain("has its bounds already");
  expect(nodeOf(placed.graph, "dest_delay")?.links.bounds).toEqual(["BOUNDS"]);
  const mean = newNode(GRAPH, item("Mean"));
  expect(nodeOf(place(GRAPH, mean, view).graph, "dest_delay")?.links.features).toContain(mean.id);
});

test("a view joins a transformation whose function is not written yet", () => {
  const made = newNode(GRAPH, { kind: "on_demand", type: "on_demand", help: "", fields: [] });
  expect(made.name).toBe("new_transformation");
  const joined = graphOf(joinNodes(add(GRAPH, made), "dest_delay", made.id));
  const after = nodeOf(joined, made.id);
  expect(after?.fields.arguments).toEqual(literal([{ name: "planes", feature: "dest_delay:planes" }]));
  expect(after?.links.sources).toEqual(["dest_delay"]);
  const written = setField(joined, made.id, "function", { kind: "code", text: "def f(): ..." });
  expect(why(joinNodes(written, "dest_delay", made.id))).toContain("in its code");
});
