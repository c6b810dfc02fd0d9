// Where a person has put cards, kept in this browser by file and id.

import { useCallback, useState } from "react";
import type { Point } from "../../../design/layout";

export type Moved = Readonly<Record<string, Point>>;

const MAX_MOVED = 2_000;

function keyOf(path: string): string {
  return `covey.composer.positions:${path}`;
}

/** The stored positions; those that are no positions are left out. */
export function read(text: string | null): Moved {
  try {
    const given: unknown = JSON.parse(text ?? "{}");
    if (typeof given !== "object" || given === null) {
      return {};
    }
    return Object.fromEntries(Object.entries(given).filter(isPlace).slice(0, MAX_MOVED));
  } catch {
    return {};
  }
}

function isPlace(entry: [string, unknown]): entry is [string, Point] {
  const [, point] = entry;
  return (
    typeof point === "object" &&
    point !== null &&
    Number.isFinite(Reflect.get(point, "x")) &&
    Number.isFinite(Reflect.get(point, "y"))
  );
}

export function useMoved(path: string): [Moved, (moved: Moved) => void] {
  const [moved, setMoved] = useState<Moved>(() => read(window.localStorage.getItem(keyOf(path))));
  const keep = useCallback(
    (next: Moved) => {
      setMoved(next);
      try {
        window.localStorage.setItem(keyOf(path), JSON.stringify(next));
      } catch {
        // The browser keeps nothing for this page. The cards stay where they are until it is closed.
      }
    },
    [path],
  );
  return [moved, keep];
}
