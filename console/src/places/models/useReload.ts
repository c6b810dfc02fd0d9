import { useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { $api } from "../../api/client";

/** Reads the models again. After a refusal, too: somebody else may have changed them. */
export function useReload(): () => void {
  const client = useQueryClient();
  return useCallback(() => {
    const { queryKey } = $api.queryOptions("get", "/console/api/models");
    void client.invalidateQueries({ queryKey });
    // a preview that is open may be of a version that is gone; the next dialog reads its own
    void client.invalidateQueries({
      predicate: (query) => String(query.queryKey[1]).startsWith(`${queryKey[1]}/`),
      refetchType: "none",
    });
  }, [client]);
}
