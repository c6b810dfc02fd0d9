import { useState } from "react";
import { $api, queries } from "../../api/client";
import { asProblem } from "../../api/problem";
import { Button } from "../../design/Button";
import { Command } from "../../design/Command";
import { Dialog } from "../../design/Dialog";
import { Checkbox, TextField } from "../../design/Field";
import { Loaded } from "../../design/Loaded";
import { Problem } from "../../design/Problem";
import { withReason } from "./command";

/** The most characters of a reason. */
const MOST_TEXT = 300;

/** Retracts the release after a preview, a reason and a confirmation. */
export function Retraction({ id }: { id: string }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button kind="danger" onClick={() => setOpen(true)}>
        Retract …
      </Button>
      {open && <RetractionDialog id={id} onClose={() => setOpen(false)} />}
    </>
  );
}

function RetractionDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const path = { release_id: id };
  const [reason, setReason] = useState("");
  const [confirmed, setConfirmed] = useState(false);
  const preview = $api.useQuery("get", "/console/api/releases/{release_id}/retraction", { params: { path } });
  const retract = $api.useMutation("post", "/console/api/releases/{release_id}/retraction", {
    onSuccess: () => {
      void queries.invalidateQueries();
      onClose();
    },
  });
  const ready = confirmed && reason.trim() !== "" && preview.data?.why_not === null;
  return (
    <Dialog
      title="Retract this release"
      onClose={onClose}
      actions={
        <Button
          kind="danger"
          disabled={!ready || retract.isPending}
          onClick={() => retract.mutate({ params: { path }, body: { reason, confirmed } })}
        >
          {retract.isPending ? "Retracting …" : "Retract"}
        </Button>
      }
    >
      <Loaded query={preview} label="what a retraction does">
        {(found) => (
          <>
            <p>{found.effect}</p>
            {found.why_not !== null && <p>{found.why_not}</p>}
            <TextField
              label="Reason"
              value={reason}
              onChange={(text) => setReason(text.slice(0, MOST_TEXT))}
              hint="It is published with the tombstone."
            />
            <Checkbox label="I want to retract it" checked={confirmed} onChange={setConfirmed} />
            <Command>{withReason(found.command, reason)}</Command>
          </>
        )}
      </Loaded>
      {retract.error ? <Problem problem={asProblem(retract.error)} /> : null}
    </Dialog>
  );
}
