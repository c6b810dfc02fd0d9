// The text that the edited graph means, written by the server a moment after each edit. All of the panel shares it.

import { keepPreviousData } from "@tanstack/react-query";
import { createContext, type ReactNode, use, useEffect, useMemo } from "react";
import { $api } from "../../../api/client";
import { type ApiProblem, asProblem } from "../../../api/problem";
import { useSettled } from "../../../design/useSettled";
import type { Graph, GraphProblem } from "../graph/graph";
import { useComposer } from "../state/context";
import { graphOf, wireOf } from "./wire";

export const SETTLE_MS = 150;

const NO_PROBLEMS: readonly GraphProblem[] = [];

export interface Written {
  /** The text of the newest graph that was written. */
  readonly text: string;
  /** The graph of `text`, and its ids by those of the edited graph. */
  readonly graph: Graph;
  readonly ids: Readonly<Record<string, string>>;
  readonly problem: ApiProblem | undefined;
  /** The newest edit is not written yet. */
  readonly isLate: boolean;
}

const WrittenContext = createContext<Written | undefined>(undefined);

export function useWritten(): Written {
  const written = use(WrittenContext);
  if (written === undefined) {
    throw new Error("useWritten needs a WrittenProvider around it");
  }
  return written;
}

export function WrittenProvider({ children }: { children: ReactNode }) {
  const { editing, dispatch } = useComposer();
  const { base, graph } = editing;
  const now = useMemo(() => ({ base, graph, edited: graph !== base.graph }), [base, graph]);
  const settled = useSettled(now, SETTLE_MS);
  const body = useMemo(() => ({ text: settled.base.text, graph: wireOf(settled.graph) }), [settled]);
  const query = $api.useQuery(
    "post",
    "/console/api/composer/render",
    { body },
    {
      enabled: settled.edited,
      staleTime: Number.POSITIVE_INFINITY,
      gcTime: 60_000,
      refetchOnWindowFocus: false,
      retry: false,
      placeholderData: keepPreviousData,
    },
  );
  const { data, error, isPlaceholderData } = query;
  const found = settled.edited ? data?.problems : NO_PROBLEMS;
  useEffect(() => {
    if (found !== undefined && !isPlaceholderData) {
      dispatch({ type: "problems", origin: "writer", problems: found });
    }
  }, [found, isPlaceholderData, dispatch]);
  const written = useMemo<Written>(() => {
    const { base: own } = settled;
    const same = !settled.edited || data === undefined;
    return {
      text: same ? own.text : data.text,
      graph: same ? own.graph : graphOf(data.graph),
      ids: same ? Object.fromEntries(own.graph.nodes.map((node) => [node.id, node.id])) : data.ids,
      problem: settled.edited && error ? asProblem(error) : undefined,
      isLate: now !== settled || (settled.edited && (data === undefined || isPlaceholderData)),
    };
  }, [settled, now, data, error, isPlaceholderData]);
  return <WrittenContext value={written}>{children}</WrittenContext>;
}
