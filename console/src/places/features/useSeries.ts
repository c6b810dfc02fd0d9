import { useQueries } from "@tanstack/react-query";
import { useEffect, useMemo, useRef } from "react";
import { $api } from "../../api/client";
import type { ViewForm } from "./freshness";
import type { Shown } from "./series";
import { partsOf, type ViewState } from "./state";

/** How often a visible page looks for new panes. Files that were read before are not read again. */
export const REFRESH_MS = 15_000;

interface Series {
  shown: Shown[];
  error: unknown;
  reading: boolean;
  refetch: () => void;
}

/** The series of the chosen features and keys. While others are read, the earlier ones stay. */
export function useSeries(
  view: ViewForm,
  state: ViewState,
  features: readonly string[],
  keys: readonly string[],
): Series {
  const results = useQueries({
    queries: features.map((feature) => {
      const { name, version } = partsOf(feature);
      const pinned = version === undefined ? state.view : `${view.name}@${version}`;
      const query = {
        feature: name,
        key: [...keys],
        cell: isList(view, name) ? state.cell : 0,
        ...(state.from === undefined ? {} : { from: state.from }),
        ...(state.to === undefined ? {} : { to: state.to }),
      };
      return $api.queryOptions(
        "get",
        "/console/api/features/{view}/series",
        { params: { path: { view: pinned }, query } },
        { enabled: view.constant || keys.length > 0, refetchInterval: REFRESH_MS },
      );
    }),
  });
  const answers = results.map((one) => one.data);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the answers are compared one by one
  const shown = useMemo(
    () =>
      answers.flatMap((data, index): Shown[] => {
        const feature = features[index] ?? "";
        return data === undefined ? [] : [{ feature, unit: unitOf(view, partsOf(feature).name), data }];
      }),
    [...answers, features.join(" "), view],
  );
  const isComplete = answers.length > 0 && answers.every((one) => one !== undefined);
  const earlier = useRef<Shown[]>([]);
  useEffect(() => {
    if (isComplete) {
      earlier.current = shown;
    }
  }, [isComplete, shown]);
  return {
    shown: isComplete ? shown : earlier.current, // a chart that goes away for a moment would lose the focus
    error: results.find((one) => one.error)?.error,
    reading: results.some((one) => one.isFetching),
    refetch: () => results.forEach((one) => void one.refetch()),
  };
}

export function isList(view: ViewForm, name: string): boolean {
  return view.features.find((one) => one.name === name)?.shape === "list";
}

/** What the values of a feature are measured in: windows of one feature have one unit. */
function unitOf(view: ViewForm, name: string): string {
  const feature = view.features.find((one) => one.name === name);
  return feature === undefined ? name : `${feature.feature} ${feature.shape}`;
}
