import { expect, test } from "vitest";
import { cardsOf, type Lineage, linesOf, neighboursOf, placesOf, wayOf } from "./parts";

const part = (id: string, kind: Lineage["nodes"][number]["kind"]) => ({
  id,
  kind,
  name: id,
  facts: [],
  problem: null,
});
const LINEAGE: Lineage = {
  nodes: [part("s", "source"), part("v", "view"), part("w", "view"), part("m", "model")],
  edges: [
    { source: "s", target: "v", what: ["delay"] },
    { source: "s", target: "w", what: [] },
    { source: "v", target: "m", what: [] },
  ],
  command: "",
  openlineage_command: "",
  emission: null,
};

test("the way of a part is what it was made from and what was made from it", () => {
  expect([...(wayOf(LINEAGE, "v") ?? [])].sort()).toEqual(["m", "s", "v"]);
  expect([...(wayOf(LINEAGE, "w") ?? [])].sort()).toEqual(["s", "w"]);
  expect(wayOf(LINEAGE, undefined)).toBeUndefined();
  expect(wayOf(LINEAGE, "gone")).toBeUndefined();
});

test("a chosen part dims what is not on its way", () => {
  const cards = cardsOf(LINEAGE, placesOf(LINEAGE), "w");
  expect(cards.filter((card) => card.data.dim).map((card) => card.id)).toEqual(["v", "m"]);
  expect(linesOf(LINEAGE, "w").map((line) => line.className)).toEqual([
    "line line-dim",
    "line line-on",
    "line line-dim",
  ]);
});

test("each part stands right of what it was made from", () => {
  const places = placesOf(LINEAGE);
  for (const edge of LINEAGE.edges) {
    expect(places.get(edge.target)?.x ?? 0).toBeGreaterThan(places.get(edge.source)?.x ?? 0);
  }
});

test("neighbours are named, with what went into them", () => {
  expect(neighboursOf(LINEAGE, "v")).toEqual({ from: ["s (delay)"], into: ["m"] });
});
