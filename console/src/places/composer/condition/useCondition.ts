import { keepPreviousData } from "@tanstack/react-query";
import { useMemo } from "react";
import { $api } from "../../../api/client";
import type { components } from "../../../api/schema";
import { useSettled } from "../../../design/useSettled";
import type { SourceColumn } from "../graph/sources";

export type Condition = components["schemas"]["Condition"];

const SETTLE_MS = 60;
const MAX_CHARACTERS = 8_192;
const MAX_COLUMNS = 10_000;

/** What the server's parser says of a condition as it is typed; undefined until the first answer. */
export function useCondition(
  where: string,
  position: number,
  columns: readonly SourceColumn[],
): { condition: Condition | undefined; isLate: boolean } {
  const now = useMemo(() => ({ where, position }), [where, position]);
  const settled = useSettled(now, SETTLE_MS);
  const body = useMemo(
    () => ({ ...settled, columns: columns.slice(0, MAX_COLUMNS).map(({ name, type }) => ({ name, type })) }),
    [settled, columns],
  );
  const { data, isPlaceholderData } = $api.useQuery(
    "post",
    "/console/api/composer/condition",
    { body },
    {
      enabled: settled.where.length <= MAX_CHARACTERS,
      staleTime: Number.POSITIVE_INFINITY,
      gcTime: 10_000,
      refetchOnWindowFocus: false,
      retry: false,
      placeholderData: keepPreviousData,
    },
  );
  return { condition: data, isLate: now !== settled || isPlaceholderData || data === undefined };
}
