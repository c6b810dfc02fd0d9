import { useCallback, useState } from "react";
import { $api, queries } from "../../../api/client";
import { type StreamState, useEvents } from "../../../api/events";
import type { components } from "../../../api/schema";

export type Run = components["schemas"]["CollectionRun"];
export type Progress = components["schemas"]["RunProgress"];

const EVENTS = ["progress", "done", "failed", "cancelled"];

/** The progress of each step, the newest of each. */
export function withProgress(known: readonly Progress[], next: Progress): readonly Progress[] {
  const at = known.findIndex((one) => one.view === next.view && one.step === next.step);
  return at < 0 ? [...known, next] : known.map((one, index) => (index === at ? next : one));
}

export function isProgress(data: unknown): data is Progress {
  return (
    typeof data === "object" &&
    data !== null &&
    "view" in data &&
    typeof data.view === "string" &&
    "step" in data &&
    typeof data.step === "string" &&
    "done" in data &&
    typeof data.done === "number" &&
    "total" in data &&
    typeof data.total === "number"
  );
}

/** Follows a run while it is shown. A lost connection goes on where it was. */
export function useProgress(run: Run): { progress: readonly Progress[]; stream: StreamState } {
  const [progress, setProgress] = useState<readonly Progress[]>(run.progress);
  const onEvent = useCallback((name: string, data: unknown) => {
    if (name === "progress") {
      if (isProgress(data)) {
        setProgress((known) => withProgress(known, data));
      }
    } else {
      void queries.invalidateQueries({ queryKey: ["get", "/console/api/composer/runs"] });
      void queries.invalidateQueries({ queryKey: ["get", "/console/api/features"] });
    }
  }, []);
  const isRunning = run.status === "running";
  const url = isRunning ? `/console/api/composer/runs/${encodeURIComponent(run.id)}/events` : undefined;
  const stream = useEvents(url, onEvent, EVENTS);
  return { progress: isRunning ? progress : run.progress, stream };
}

/** The runs that this console has started. */
export function useRuns() {
  return $api.useQuery("get", "/console/api/composer/runs", {});
}
