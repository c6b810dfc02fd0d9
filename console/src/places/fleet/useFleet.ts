import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { $api } from "../../api/client";
import { useEvents } from "../../api/events";
import { PARTS, withPart } from "./state";
import type { FleetState } from "./types";

const READ_EVERY_MS = 5_000;

/** The fleet's state, kept up to date by events; where they do not come, it is read again and again. */
export function useFleet() {
  const client = useQueryClient();
  const { queryKey } = $api.queryOptions("get", "/console/api/fleet");
  const [changed, setChanged] = useState<number>();
  const stream = useEvents(
    "/console/api/fleet/events",
    (name, data) => {
      client.setQueryData(queryKey, (state: FleetState | undefined) =>
        state === undefined ? undefined : withPart(state, name, data),
      );
      setChanged(Date.now());
    },
    PARTS,
  );
  const query = $api.useQuery("get", "/console/api/fleet", undefined, {
    refetchInterval: stream === "ended" ? READ_EVERY_MS : false,
  });
  return { query, stream, changed };
}

/** Reads an answer again when a value has changed, such as the number of the newest publication. */
export function useRefetchOn(value: unknown, refetch: () => unknown): void {
  const known = useRef(value);
  useEffect(() => {
    if (known.current !== value) {
      known.current = value;
      void refetch();
    }
  }, [value, refetch]);
}
