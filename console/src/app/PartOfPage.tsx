import { type ComponentType, useEffect, useState } from "react";
import { Spinner } from "../design/Progress";
import type { Part } from "./part";

type State =
  | { kind: "loading" }
  | { kind: "loaded"; Content: ComponentType }
  | { kind: "failed"; error: unknown };

/** Shows a part of the page once it is loaded, and at once if it is. (`lazy` would hold it back: React keeps a fallback for 300 ms.) */
export function PartOfPage({ part, label }: { part: Part; label: string }) {
  const [state, setState] = useState<State>(() =>
    part.content === undefined ? { kind: "loading" } : { kind: "loaded", Content: part.content },
  );
  const isLoading = state.kind === "loading";
  useEffect(() => {
    if (isLoading) {
      part.load().then(
        (Content) => setState({ kind: "loaded", Content }),
        (error: unknown) => setState({ kind: "failed", error }),
      );
    }
  }, [isLoading, part]);
  switch (state.kind) {
    case "loading":
      return <Spinner label={label} />;
    case "loaded":
      return <state.Content />;
    case "failed":
      throw state.error;
  }
}
