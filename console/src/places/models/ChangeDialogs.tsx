import { useState } from "react";
import { $api } from "../../api/client";
import { asProblem } from "../../api/problem";
import { Problem } from "../../design/Problem";
import { ConfirmDialog } from "./ConfirmDialog";
import type { Model } from "./types";
import { useReload } from "./useReload";
import { sharesText } from "./weights";

interface ChangeProps {
  model: Model;
  onClose: () => void;
}

/** Brings back what was in force before the last change. */
export function RollBackDialog({ model, onClose }: ChangeProps) {
  const [seen] = useState(model.stamp);
  const reload = useReload();
  const path = { name: model.name };
  const preview = $api.useQuery(
    "get",
    "/console/api/models/{name}/rollback",
    { params: { path } },
    { retry: false },
  );
  const rollBack = $api.useMutation("post", "/console/api/models/{name}/rollback", {
    onSuccess: onClose,
    onSettled: reload,
  });
  return (
    <ConfirmDialog
      title={`Roll ${model.name} back`}
      command={preview.data?.command}
      action="Roll back"
      busy={rollBack.isPending}
      error={rollBack.error}
      onConfirm={() => rollBack.mutate({ params: { path }, body: { seen, confirmed: true } })}
      onClose={onClose}
    >
      {preview.error ? (
        <Problem problem={asProblem(preview.error)} />
      ) : (
        preview.data !== undefined && (
          <p>
            Now {sharesText(preview.data.before)}. Afterwards{" "}
            <strong>{sharesText(preview.data.after)}</strong>. A later registration does not take over until
            `newest` is promoted.
          </p>
        )
      )}
    </ConfirmDialog>
  );
}

/** Deletes one version, or the whole model. */
export function DeleteDialog({ model, version, onClose }: ChangeProps & { version: number | undefined }) {
  const [seen] = useState(model.stamp);
  const reload = useReload();
  const path = { name: model.name };
  const of = version === undefined ? {} : { version };
  const preview = $api.useQuery(
    "get",
    "/console/api/models/{name}/deletion",
    { params: { path, query: of } },
    { retry: false },
  );
  const remove = $api.useMutation("delete", "/console/api/models/{name}", {
    onSuccess: onClose,
    onSettled: reload,
  });
  return (
    <ConfirmDialog
      title={version === undefined ? `Delete ${model.name}` : `Delete ${model.name}@v${version}`}
      command={preview.data?.command}
      action="Delete"
      danger
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate({ params: { path, query: { ...of, seen, confirmed: true } } })}
      onClose={onClose}
    >
      {preview.error ? (
        <Problem problem={asProblem(preview.error)} />
      ) : (
        preview.data !== undefined && (
          <p>
            Takes the files of {preview.data.versions.join(", ")} away. This cannot be undone, and a number is
            never given again.
          </p>
        )
      )}
    </ConfirmDialog>
  );
}
