import type { StreamState } from "../../api/events";
import { Badge } from "../../design/Badge";
import { connection } from "./state";

/** Whether the page is live, and since when it shows what it shows. */
export function Live({ stream, changed }: { stream: StreamState; changed: number | undefined }) {
  const [words, tone] = connection(stream);
  const at = changed === undefined ? "" : `Last change ${new Date(changed).toISOString().slice(11, 19)} UTC`;
  return (
    <p className="fleet-live" role="status">
      <Badge tone={tone}>{words}</Badge> <span className="fleet-note">{at}</span>
    </p>
  );
}
