// A value as Python spells it, for fields that are turned into code.

import type { Json } from "../graph/graph";

export function pythonOf(value: Json): string {
  if (value === null) {
    return "None";
  }
  if (typeof value === "boolean") {
    return value ? "True" : "False";
  }
  if (Array.isArray(value)) {
    return `[${value.map(pythonOf).join(", ")}]`;
  }
  if (typeof value === "object") {
    return `{${Object.entries(value)
      .map(([key, one]) => `${JSON.stringify(key)}: ${pythonOf(one)}`)
      .join(", ")}}`;
  }
  return JSON.stringify(value);
}
