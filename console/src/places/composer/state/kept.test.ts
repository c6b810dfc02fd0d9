import { expect, test } from "vitest";
import { GRAPH } from "../fixture";
import { setField } from "../graph/edits";
import { literal } from "../graph/graph";
import type { ViewsFile } from "./context";
import { NOTHING, reduce } from "./editing";
import { keep, keptOf } from "./kept";

const FILE: ViewsFile = {
  path: "/p/views.py",
  text: "text",
  sha256: "",
  graph: GRAPH,
  editable: true,
  whyNot: "",
  problems: [],
};
const OPENED = reduce(NOTHING, { type: "load", text: "text", graph: GRAPH });
const EDITED = reduce(OPENED, { type: "edit", graph: setField(GRAPH, "BOUNDS", "max_cells", literal(9)) });

test("edits that are not saved are there when one comes back", () => {
  keep({ file: FILE, editing: EDITED });
  expect(keptOf({ ...FILE, sha256: "changed meanwhile" })?.editing).toBe(EDITED);
  expect(keptOf({ ...FILE, path: "/p/other.py" })).toBeUndefined();
});

test("without edits the file is read anew", () => {
  keep({ file: FILE, editing: OPENED });
  expect(keptOf(FILE)).toBeUndefined();
});
