import { expect, test } from "vitest";
import { cellOf, columnsOf, differences, filtered, firstColumns, reportUrl } from "./table";
import type { Run } from "./types";

function run(folder: string, settings: Run["settings"], results: Run["results"]): Run {
  return {
    folder,
    sweep: null,
    status: "done",
    error: null,
    started_at: "",
    seconds: 1,
    settings,
    results,
    has_report: true,
  };
}

const RUNS = [
  run("one", { "fleet.clients": "200", noise: "on" }, { rmse: 2, bytes: 5 }),
  run("two", { "fleet.clients": "1000", noise: "off", k: "" }, { rmse: 1 }),
];

test("the columns are all settings, then all results", () => {
  expect(columnsOf(RUNS).map((one) => one.key)).toEqual([
    "setting fleet.clients",
    "setting noise",
    "setting k",
    "result rmse",
    "result bytes",
  ]);
});

test("a table of many columns shows a few at first", () => {
  const many = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`r${at}`, at]));
  expect(firstColumns(columnsOf([run("x", { a: "1" }, many)]))).toHaveLength(7);
});

test("a setting that is a number sorts as one", () => {
  const [clients, noise, k] = columnsOf(RUNS);
  const cells = [clients, noise, k].map((column) => RUNS.map((one) => (column ? cellOf(one, column) : 0)));
  expect(cells).toEqual([
    [200, 1000],
    ["on", "off"],
    [null, ""],
  ]);
});

test("a filter takes runs that have all of its words", () => {
  expect(filtered(RUNS, "noise=on").map((one) => one.folder)).toEqual(["one"]);
  expect(filtered(RUNS, " DONE  clients=1000 ").map((one) => one.folder)).toEqual(["two"]);
  expect(filtered(RUNS, "done nothing")).toEqual([]);
  expect(filtered(RUNS, "")).toHaveLength(2);
});

test("two runs are compared by what differs, and by all results", () => {
  const [first, second] = RUNS;
  const found = first && second ? differences(first, second) : [];
  expect(found.map((one) => [one.name, one.first, one.second, one.change])).toEqual([
    ["fleet.clients", "200", "1000", null],
    ["noise", "on", "off", null],
    ["k", null, "", null],
    ["rmse", 2, 1, -50],
    ["bytes", 5, null, null],
  ]);
});

test("a result of 0 has no change in percent, and equal results are compared, too", () => {
  const found = differences(
    run("a", { k: "1" }, { zero: 0, same: 2 }),
    run("b", { k: "1" }, { zero: 1, same: 2 }),
  );
  expect(found.map((one) => [one.name, one.change])).toEqual([
    ["zero", null],
    ["same", 0],
  ]);
});

test("a folder with any characters is one value of the address", () => {
  const url = new URL(reportUrl("a&folder=b/../#<x>"), "http://localhost");
  expect([...url.searchParams]).toEqual([["folder", "a&folder=b/../#<x>"]]);
});
