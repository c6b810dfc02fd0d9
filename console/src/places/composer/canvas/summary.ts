// What a node's card says of its fields, in short texts.

import type { Field, GraphNode, Json } from "../graph/graph";

const MAX_CHARACTERS = 34;
const MAX_ROWS = 5;

export interface Row {
  readonly label: string;
  readonly text: string;
}

/** Fields that a card shows elsewhere: in its title, in a node of their own, or as a join. */
const ELSEWHERE: Readonly<Record<string, readonly string[]>> = {
  view: ["name", "pane", "windows", "tags", "description"],
  feature: ["name", "where", "description"],
  entity: [],
  service: ["name"],
  on_demand: ["name", "arguments", "function"],
};

export function rowsOf(node: GraphNode): readonly Row[] {
  const hidden = new Set(ELSEWHERE[node.kind] ?? []);
  const rows = Object.entries(node.fields)
    .filter(([name]) => !hidden.has(name))
    .map(([name, field]) => ({
      label: name === "text" || name === "function" ? "" : name,
      text: shortText(field),
    }));
  return rows.length <= MAX_ROWS
    ? rows
    : [...rows.slice(0, MAX_ROWS - 1), { label: "", text: `and ${rows.length - MAX_ROWS + 1} more` }];
}

/** A window node's card: the pane and the windows of its view. */
export function windowRows(view: GraphNode): readonly Row[] {
  return ["pane", "windows"].flatMap((name) => {
    const field = view.fields[name];
    return field === undefined ? [] : [{ label: name, text: shortText(field) }];
  });
}

export function shortText(field: Field): string {
  return cut(field.kind === "code" ? (field.text.trim().split("\n")[0] ?? "") : shortValue(field.value));
}

function shortValue(value: Json): string {
  if (Array.isArray(value)) {
    const some = value.slice(0, 4).map(shortValue).join(", ");
    return value.length > 4 ? `${some}, … (${value.length.toLocaleString("en")})` : some;
  }
  switch (typeof value) {
    case "string":
      return value;
    case "boolean":
      return value ? "yes" : "no";
    case "number":
      return value.toLocaleString("en", { maximumFractionDigits: 6 });
    default:
      return value === null ? "none" : named(value);
  }
}

function named(value: object): string {
  const name: unknown = Reflect.get(value, "name");
  return typeof name === "string" ? name : JSON.stringify(value);
}

function cut(text: string): string {
  return text.length <= MAX_CHARACTERS ? text : `${text.slice(0, MAX_CHARACTERS - 1)}…`;
}

/** Whether a view has windows or a pane to show. */
export function hasWindows(view: GraphNode): boolean {
  return "pane" in view.fields || "windows" in view.fields;
}
