// The values of fields as texts that people write, and back.

import type { Json } from "../graph/graph";

export type Read =
  | { readonly kind: "value"; readonly value: Json }
  | { readonly kind: "wrong"; readonly why: string };

function value(given: Json): Read {
  return { kind: "value", value: given };
}

function wrong(why: string): Read {
  return { kind: "wrong", why };
}

/** What can be written as one line. */
export type LineEditor =
  | "text"
  | "number"
  | "integer"
  | "duration"
  | "durations"
  | "numbers"
  | "texts"
  | "name_or_names"
  | "key";

export function textOfValue(editor: LineEditor, given: Json | undefined): string {
  if (given === undefined || given === null) {
    return "";
  }
  if (Array.isArray(given)) {
    return given.map((one) => (typeof one === "string" ? one : JSON.stringify(one))).join(", ");
  }
  if (typeof given === "boolean" && editor === "key") {
    return given ? "True" : "False";
  }
  return typeof given === "string" ? given : editor === "text" ? String(given) : JSON.stringify(given);
}

/** `before`: the value that the field had; a key keeps its type. */
export function readText(editor: LineEditor, text: string, before?: Json): Read {
  const trimmed = text.trim();
  switch (editor) {
    case "text":
      return value(text);
    case "number":
      return numberOf(trimmed);
    case "integer": {
      const read = numberOf(trimmed);
      return read.kind === "value" && !Number.isInteger(read.value) ? wrong("Write a whole number.") : read;
    }
    case "key":
      return keyOf(text, before);
    case "duration":
      return durationOf(trimmed);
    case "durations":
      return listOf(trimmed, durationOf);
    case "numbers":
      return listOf(trimmed, numberOf);
    case "texts":
      return listOf(trimmed, (one) => value(one));
    case "name_or_names": {
      const names = trimmed.split(",").map((one) => one.trim());
      return names.length > 1 ? value(names.filter((one) => one !== "")) : value(trimmed);
    }
  }
}

/** A join key: a text if it was one, such as "10115"; else a whole number, True or False, or a text. */
function keyOf(text: string, before: Json | undefined): Read {
  const trimmed = text.trim();
  if (typeof before === "string" && before !== "") {
    return value(text === before ? before : trimmed);
  }
  if (trimmed === "True" || trimmed === "False") {
    return value(trimmed === "True");
  }
  return value(isWhole(trimmed) ? Number(trimmed) : trimmed);
}

/** A number in Python's or JSON's spelling. A sign that looks like minus is one. */
function numberOf(text: string): Read {
  const plain = text.replaceAll("_", "").replace("−", "-");
  const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : Number.NaN;
  if (!Number.isFinite(number)) {
    return wrong("Write a number, such as 15 or 0.5.");
  }
  if (Number.isInteger(number) && !Number.isSafeInteger(number)) {
    return wrong("The number has too many digits for a browser. Write it as code.");
  }
  return value(number);
}

function durationOf(text: string): Read {
  return /^\d+(us|ms|s|m|h|d|w)$/.test(text)
    ? value(text)
    : wrong("Write a number and a unit: 30s, 15m, 1h, 7d.");
}

function listOf(text: string, read: (one: string) => Read): Read {
  const found: Json[] = [];
  for (const one of text.split(/[,\n]/).map((part) => part.trim())) {
    if (one === "") {
      continue;
    }
    const part = read(one);
    if (part.kind === "wrong") {
      return wrong(`${one}: ${part.why}`);
    }
    found.push(part.value);
  }
  return value(found);
}

/** `clip`: two numbers, low and high. */
export function readPair(low: string, high: string): Read {
  const first = numberOf(low.trim());
  const second = numberOf(high.trim());
  if (first.kind === "wrong") {
    return first;
  }
  if (second.kind === "wrong") {
    return second;
  }
  return Number(first.value) < Number(second.value)
    ? value([first.value, second.value])
    : wrong("The first number is below the second.");
}

/** `tags`: a name and a text in each line, `team: flights`. */
export function textOfTags(given: Json | undefined): string {
  return typeof given === "object" && given !== null && !Array.isArray(given)
    ? Object.entries(given)
        .map(([key, one]) => `${key}: ${String(one)}`)
        .join("\n")
    : "";
}

export function readTags(text: string): Read {
  const tags: Record<string, string> = {};
  for (const line of text.split("\n").filter((one) => one.trim() !== "")) {
    const at = line.indexOf(":");
    if (at < 1) {
      return wrong(`${line}: write a name, a colon and a text, such as \`team: flights\`.`);
    }
    tags[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return value(tags);
}

/** Join keys, one in each line; the keys of a composite entity are separated by commas. */
export function textOfKeys(given: Json | undefined): string {
  return Array.isArray(given)
    ? given.map((row) => (Array.isArray(row) ? row.map(String).join(", ") : String(row))).join("\n")
    : "";
}

/**
 * A text that was there stays as it was. Whole numbers are numbers if all keys of a column are; else every one is a text, since
 * a column has one type. A column of texts, such as "10115", stays one.
 */
export function readKeys(text: string, columns: number, before?: Json): Read {
  const rows = text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => (columns > 1 ? line.split(",").map(withoutSeparator) : [line]));
  const bad = rows.find((row) => row.length !== columns);
  if (bad !== undefined) {
    return wrong(`${bad.join(", ")}: each line has ${columns} keys, separated by commas.`);
  }
  const known = Array.from({ length: columns }, (_, at) => shownKeys(before, columns, at));
  const isNumeric = known.map(
    (keys, at) =>
      ![...keys.values()].some((key) => typeof key === "string") &&
      rows.every((row) => isWhole((row[at] ?? "").trim())),
  );
  const typed = rows.map((row) =>
    row.map((key, at): Json => {
      const own = known[at]?.get(key);
      return typeof own === "string" || typeof own === "boolean"
        ? own
        : isNumeric[at] === true
          ? Number(key)
          : key.trim();
    }),
  );
  return value(columns > 1 ? typed : typed.map((row) => row[0] ?? ""));
}

/** The space after a comma separates keys; further ones may belong to a key. */
function withoutSeparator(part: string, at: number): string {
  return at > 0 ? part.replace(/^ /, "") : part;
}

/** The keys of a column by how they are shown. */
function shownKeys(keys: Json | undefined, columns: number, at: number): ReadonlyMap<string, Json> {
  const rows = Array.isArray(keys) ? keys : [];
  return new Map(
    rows
      .map((row): Json => (columns > 1 && Array.isArray(row) ? row[at] : row))
      .map((key) => [String(key), key]),
  );
}

function isWhole(text: string): boolean {
  return /^-?(0|[1-9]\d*)$/.test(text) && Number.isSafeInteger(Number(text));
}
