// The views of the composer, saved or not, with their prices.

import { $api } from "../../api/client";
import { EMPTY } from "../composer/graph/graph";
import { wireOf } from "../composer/panel/wire";
import { hasUnsaved, opened } from "../composer/state/kept";

/** The text that the composer's edits mean, and its views. `enabled` false: nothing is asked. */
export function useComposed(enabled: boolean) {
  const kept = opened();
  const edited = kept !== undefined && hasUnsaved(kept) ? kept : undefined;
  const draft = edited?.draft?.text === edited?.draft?.from ? undefined : edited?.draft;
  const drawn = edited !== undefined && draft === undefined;
  const file = $api.useQuery(
    "get",
    "/console/api/composer/file",
    {},
    { enabled: enabled && edited === undefined },
  );
  const rendered = $api.useQuery(
    "post",
    "/console/api/composer/render",
    {
      body: { text: edited?.editing.base.text ?? "", graph: wireOf(edited?.editing.graph ?? EMPTY) },
    },
    { enabled: enabled && drawn, retry: false },
  );
  const text = draft?.text ?? (drawn ? rendered.data?.text : file.data?.text);
  const views = $api.useQuery(
    "post",
    "/console/api/composer/prices",
    { body: { text: text ?? "" } },
    { enabled: enabled && text !== undefined, retry: false },
  );
  return {
    text,
    unsaved: edited !== undefined,
    query: { data: views.data, error: file.error ?? rendered.error ?? views.error, refetch: views.refetch },
  };
}
