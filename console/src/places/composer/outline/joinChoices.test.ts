import { expect, test } from "vitest";
import { FLIGHTS, GRAPH } from "../fixture";
import { add } from "../graph/edits";
import { nodeOf } from "../graph/graph";
import { newNode } from "../graph/palette";
import { columnAt, joinChoices, readers } from "./joinChoices";

const MEAN = newNode(GRAPH, { kind: "feature", type: "Mean", help: "", fields: [] });
const WITH_MEAN = add(GRAPH, MEAN);

test("a free feature joins to views and reads numeric columns", () => {
  expect(joinChoices(WITH_MEAN, [FLIGHTS], MEAN).map((choice) => choice.title)).toEqual([
    "to view dest_delay",
    "read column arr_delay",
  ]);
});

test("a view takes free parts", () => {
  const view = nodeOf(WITH_MEAN, "dest_delay");
  const titles = view && joinChoices(WITH_MEAN, [FLIGHTS], view).map((choice) => choice.title);
  expect(titles).toContain("take mean");
  expect(titles).toContain("to service late_model");
  expect(titles).toContain("read column arrived_at");
});

test("two parts of one name are told apart", () => {
  const twice = add(WITH_MEAN, { ...MEAN, id: "new-99" });
  const view = nodeOf(twice, "dest_delay");
  const titles = view && joinChoices(twice, [], view).map((choice) => choice.title);
  expect(titles).toContain("take mean");
  expect(titles).toContain("take mean (2)");
});

test("a column of the outline joins to what can read it", () => {
  const column = columnAt([FLIGHTS], "source:events/tail num");
  expect(column?.name).toBe("tail num");
  expect(columnAt([FLIGHTS], "source:events")).toBeUndefined();
  expect(column && readers(GRAPH, column).map((choice) => choice.title)).toEqual([
    "to view dest_delay",
    "to entity dest",
    "to rate late",
  ]);
});

test("the joins of a part can be taken out", () => {
  const entity = nodeOf(GRAPH, "dest_delay.entity");
  const choices = entity === undefined ? [] : joinChoices(GRAPH, [FLIGHTS], entity);
  const titles = choices.map((choice) => choice.title);
  expect(titles).toContain("take out of view dest_delay");
  expect(titles).toContain("take out column dest");
  const out = choices.find((choice) => choice.title === "take out of view dest_delay")?.join();
  expect(out?.kind === "joined" && nodeOf(out.graph, "dest_delay")?.links).not.toHaveProperty("entity");
  const view = nodeOf(GRAPH, "dest_delay");
  const ofView = view && joinChoices(GRAPH, [FLIGHTS], view).map((choice) => choice.title);
  expect(ofView).toContain("take out entity dest");
  expect(ofView?.filter((title) => title.includes("windows"))).toEqual([]);
});
