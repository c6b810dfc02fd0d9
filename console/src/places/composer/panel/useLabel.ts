import { keepPreviousData } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { $api } from "../../../api/client";
import type { components } from "../../../api/schema";
import { useSettled } from "../../../design/useSettled";
import { useComposer } from "../state/context";
import { SETTLE_MS, useWritten } from "./written";

export type Label = components["schemas"]["Label"];
export type Found = components["schemas"]["GraphProblem"];

/** The label of the written text. */
export interface Explained {
  readonly label: Label | undefined;
  readonly error: unknown;
  /** The label of the newest edit, or of the newest number of clients, is not known yet. */
  readonly isLate: boolean;
  /** Of one key and pane, for the expected errors. */
  readonly clients: number;
  readonly setClients: (clients: number) => void;
}

/** Explains each text that is written, whichever tab is shown: its problems belong to the canvas too. */
export function useLabel(): Explained {
  const { dispatch } = useComposer();
  const written = useWritten();
  const [clients, setClients] = useState(1_000);
  const settled = useSettled(clients, SETTLE_MS);
  const body = useMemo(() => ({ text: written.text, clients: [settled] }), [written.text, settled]);
  const { data, error, isPlaceholderData } = $api.useQuery(
    "post",
    "/console/api/composer/explain",
    { body },
    {
      staleTime: Number.POSITIVE_INFINITY,
      gcTime: 60_000,
      refetchOnWindowFocus: false,
      retry: false,
      placeholderData: keepPreviousData,
    },
  );
  const isLate = written.isLate || isPlaceholderData || clients !== settled;
  const found = data?.problems;
  useEffect(() => {
    if (found !== undefined && !isLate) {
      dispatch({ type: "problems", origin: "label", problems: renamed(found, written.ids) });
    }
  }, [found, isLate, dispatch, written.ids]);
  return { label: data, error, isLate, clients, setClients };
}

/** Problems of the written text, with the ids of the edited graph. */
function renamed(problems: readonly Found[], ids: Readonly<Record<string, string>>): readonly Found[] {
  const edited = new Map(Object.entries(ids).map(([own, id]) => [id, own]));
  return problems.map((one) => ({ ...one, node: edited.get(one.node) ?? one.node }));
}
