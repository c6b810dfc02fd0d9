// @vitest-environment jsdom

import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { ChartKey } from "./ChartKey";
import { aligned, type ChartGap, type ChartLine } from "./chart/lines";

afterEach(cleanup);

const DAY = 86_400e6;
const LINES: ChartLine[] = [
  {
    id: "a",
    label: "ATL",
    colour: 0,
    moments: [0, DAY, 2 * DAY],
    value: [3.21, 5, null],
    low: [1.94, null, null],
    high: [4.4, null, null],
    status: [0, 1, 2],
  },
  { id: "b", label: "BOS", colour: 1, moments: [DAY], value: [7] },
];
const STATUSES = ["OK", "ROUGH_SE", "VOID", "DROWNED"];
const GAPS: ChartGap[] = [{ start: 2 * DAY, end: 3 * DAY, kind: "void", reason: "TOO_FEW" }];

function texts(place: number | undefined): (string | null)[] {
  render(<ChartKey lines={LINES} gaps={GAPS} statuses={STATUSES} data={aligned(LINES)} place={place} />);
  const [values] = screen.getAllByRole("list");
  return [...(values?.querySelectorAll(".chart-value") ?? [])].map((one) => one.textContent);
}

test("a value is read with its interval, with its status unless that is OK, and a missing one as a dash", () => {
  expect(texts(0)).toEqual(["3.21 (1.94 to 4.4)", "–"]);
  cleanup();
  expect(texts(1)).toEqual(["5 ROUGH_SE", "7"]);
});

test("without a cursor the newest values are read, with the reason of a gap", () => {
  expect(texts(undefined)).toEqual(["VOID", "–"]);
  expect(screen.getByText(/^Newest: 1970-01-03/).textContent).toContain("void: TOO_FEW");
});

test("only the statuses and shades that the chart has are explained", () => {
  texts(0);
  const marks = screen.getAllByRole("list")[1]?.textContent ?? "";
  expect(marks).toContain("ROUGH_SE");
  expect(marks).toContain("Shaded: the pane was not opened");
  expect(marks).not.toMatch(/DROWNED|OK:|retracted$/);
});
