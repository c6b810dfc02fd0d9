import { expect, test } from "vitest";
import { faultOf, fileOf } from "./viewsFile";

const FAULT = { line: 2, column: 1, message: "an end is missing" };
const READ = {
  path: "/p/views.py",
  text: "(",
  sha256: "",
  editable: true,
  why_not: "",
  commands: [],
  problems: [],
  graph: { nodes: [] },
  fault: FAULT,
};

test("a file that is no Python keeps its fault, until another text is edited", () => {
  const file = fileOf(READ);
  expect(faultOf(file, "(")).toEqual(FAULT);
  expect(faultOf(file, "()")).toBeNull();
  expect(faultOf(fileOf({ ...READ, fault: null }), "(")).toBeNull();
});
