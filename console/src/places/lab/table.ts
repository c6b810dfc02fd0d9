// The table of runs: which columns there are, which runs a filter leaves, and how two runs differ.

import type { Run } from "./types";

export type Source = "setting" | "result";

export interface RunColumn {
  /** Of all columns of the table. */
  key: string;
  source: Source;
  name: string;
}

const SHOWN_RESULTS = 6;

/** All settings and results that a run has, settings first. */
export function columnsOf(runs: readonly Run[]): RunColumn[] {
  const settings = namesOf(runs.map((run) => Object.keys(run.settings)));
  const results = namesOf(runs.map((run) => Object.keys(run.results)));
  return [
    ...settings.map((name): RunColumn => ({ key: `setting ${name}`, source: "setting", name })),
    ...results.map((name): RunColumn => ({ key: `result ${name}`, source: "result", name })),
  ];
}

/** The columns that are shown at first: every setting that differs between runs, and the first results. */
export function firstColumns(columns: readonly RunColumn[]): string[] {
  const settings = columns.filter((one) => one.source === "setting");
  const results = columns.filter((one) => one.source === "result").slice(0, SHOWN_RESULTS);
  return [...settings, ...results].slice(0, 2 * SHOWN_RESULTS).map((one) => one.key);
}

/** What a run has in a column, for showing and for sorting. */
export function cellOf(run: Run, column: RunColumn): string | number | null {
  if (column.source === "result") {
    return run.results[column.name] ?? null;
  }
  const text = run.settings[column.name];
  if (text === undefined) {
    return null;
  }
  const value = Number(text);
  return text.trim() !== "" && Number.isFinite(value) ? value : text;
}

/** The runs whose folder, status or settings have all words of a filter, such as `noise=on done`. */
export function filtered(runs: readonly Run[], filter: string): Run[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return runs.filter((run) => {
    const settings = Object.entries(run.settings).map(([name, value]) => `${name}=${value}`);
    const text = [run.folder, run.status, ...settings].join("\n").toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

export interface Difference extends RunColumn {
  first: string | number | null;
  second: string | number | null;
  /** Second less first in percent of the first, for results. */
  change: number | null;
}

/** Every setting that differs, and every result. */
export function differences(first: Run, second: Run): Difference[] {
  return columnsOf([first, second])
    .map((column): Difference => {
      if (column.source === "setting") {
        return {
          ...column,
          first: settingOf(first, column),
          second: settingOf(second, column),
          change: null,
        };
      }
      const [a, b] = [first.results[column.name] ?? null, second.results[column.name] ?? null];
      const change = a !== null && b !== null && a !== 0 ? (100 * (b - a)) / Math.abs(a) : null;
      return { ...column, first: a, second: b, change };
    })
    .filter((one) => one.source === "result" || one.first !== one.second);
}

/** A setting as it was given: a seed is not rounded. */
function settingOf(run: Run, column: RunColumn): string | null {
  return run.settings[column.name] ?? null;
}

/** The address of a report; `folder` is whatever the server called it. */
export function reportUrl(folder: string): string {
  return `/console/api/lab/report?${new URLSearchParams({ folder })}`;
}

function namesOf(lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())];
}
