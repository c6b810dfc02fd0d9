import { $api } from "../../../api/client";
import { Button } from "../../../design/Button";
import { Dialog } from "../../../design/Dialog";
import { Loaded } from "../../../design/Loaded";
import { DiffView } from "../panel/DiffView";
import type { ViewsFile } from "../state/viewsFile";
import { download } from "./download";

interface ConflictDialogProps {
  theirs: ViewsFile;
  /** The file as this page has read it, and what it would write. */
  base: string;
  mine: string;
  onTake: () => void;
  onOverwrite: () => void;
  onClose: () => void;
}

/** Somebody else has written the file meanwhile: both changes, and what can be done. */
export function ConflictDialog({ theirs, base, mine, onTake, onOverwrite, onClose }: ConflictDialogProps) {
  return (
    <Dialog
      title="The file was changed by somebody else"
      onClose={onClose}
      closeText="Keep editing"
      actions={
        <>
          <Button onClick={() => download("views.py", mine)}>Download mine</Button>
          <Button onClick={onTake}>Take theirs</Button>
          <Button kind="danger" onClick={onOverwrite}>
            Overwrite theirs with mine
          </Button>
        </>
      }
    >
      <p>
        {theirs.path} is no longer the file that this page has read, so nothing was written. Taking theirs can
        be undone here; overwriting theirs cannot.
      </p>
      <Changes title="Their changes" before={base} after={theirs.text} />
      <Changes title="Your changes" before={base} after={mine} />
    </Dialog>
  );
}

function Changes({ title, before, after }: { title: string; before: string; after: string }) {
  const query = $api.useQuery("post", "/console/api/composer/compare", { body: { before, after } });
  return (
    <section className="save-changes">
      <h3>{title}</h3>
      <Loaded query={query} label="the changes">
        {(data) => <DiffView diff={data.diff} label={title} fold />}
      </Loaded>
    </section>
  );
}
