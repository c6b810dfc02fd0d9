import { useState } from "react";
import { $api } from "../../api/client";
import { asProblem } from "../../api/problem";
import { Checkbox, TextField } from "../../design/Field";
import { Problem } from "../../design/Problem";
import { ConfirmDialog } from "./ConfirmDialog";
import type { Model } from "./types";
import { useReload } from "./useReload";
import { type Choice, sharesText, wordsOf } from "./weights";

interface PromoteDialogProps {
  model: Model;
  start: Choice;
  onClose: () => void;
}

/** Puts versions in force: weights of versions, or always the newest. */
export function PromoteDialog({ model, start, onClose }: PromoteDialogProps) {
  const [choice, setChoice] = useState(start);
  const [seen] = useState(model.stamp);
  const reload = useReload();
  const words = wordsOf(choice);
  const preview = $api.useQuery(
    "get",
    "/console/api/models/{name}/promotion",
    { params: { path: { name: model.name }, query: { versions: words ?? [] } } },
    { enabled: words !== undefined, retry: false },
  );
  const promote = $api.useMutation("post", "/console/api/models/{name}/promotion", {
    onSuccess: onClose,
    onSettled: reload,
  });
  return (
    <ConfirmDialog
      title={`Promote versions of ${model.name}`}
      command={words === undefined ? undefined : preview.data?.command}
      action="Promote"
      busy={promote.isPending}
      error={promote.error}
      onConfirm={() =>
        promote.mutate({
          params: { path: { name: model.name } },
          body: { versions: words ?? [], seen, confirmed: true },
        })
      }
      onClose={onClose}
    >
      <Checkbox
        label="Always the newest version: a registration takes over by itself"
        checked={choice.newest}
        onChange={(newest) => setChoice({ ...choice, newest })}
      />
      {!choice.newest && (
        <fieldset className="models-weights">
          <legend>Weight of each version; empty: no requests</legend>
          {model.versions.map(({ version }) => (
            <TextField
              key={version}
              label={`v${version}`}
              value={choice.weights[version] ?? ""}
              onChange={(text) => setChoice({ ...choice, weights: { ...choice.weights, [version]: text } })}
            />
          ))}
        </fieldset>
      )}
      {words === undefined ? (
        <p>Give at least one version a weight above 0, such as 0.9.</p>
      ) : preview.error ? (
        <Problem problem={asProblem(preview.error)} />
      ) : (
        preview.data !== undefined && (
          <p>
            Now {sharesText(preview.data.before)}. Afterwards{" "}
            <strong>{sharesText(preview.data.after)}</strong>. Running servers take it up between two batches.
          </p>
        )
      )}
    </ConfirmDialog>
  );
}
