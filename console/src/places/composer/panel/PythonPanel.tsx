import { keepPreviousData } from "@tanstack/react-query";
import { $api } from "../../../api/client";
import { asProblem } from "../../../api/problem";
import { Button } from "../../../design/Button";
import { CopyButton } from "../../../design/CopyButton";
import { Problem } from "../../../design/Problem";
import { Spinner } from "../../../design/Progress";
import { useComposer } from "../state/context";
import { DiffView } from "./DiffView";
import { shownIn } from "./ends";
import { TextEditor } from "./TextEditor";
import { useWritten } from "./written";

/** The Python that the graph means, with the lines that differ from the file; and its text, to edit. */
export function PythonPanel() {
  const { file, draft, setDraft } = useComposer();
  const written = useWritten();
  const query = $api.useQuery(
    "post",
    "/console/api/composer/compare",
    { body: { before: file.text, after: written.text } },
    {
      staleTime: Number.POSITIVE_INFINITY,
      gcTime: 60_000,
      refetchOnWindowFocus: false,
      retry: false,
      placeholderData: keepPreviousData,
    },
  );
  if (draft !== undefined) {
    return <TextEditor text={written.text} draft={draft} onEdit={setDraft} />;
  }
  return (
    <div className="python">
      <div className="python-tools">
        <Button
          disabled={written.isLate}
          onClick={() => setDraft({ text: shownIn(written.text), from: shownIn(written.text) })}
        >
          Edit as text
        </Button>
        <CopyButton text={written.text} of="Python of the views" />
      </div>
      {query.error ? <Problem problem={asProblem(query.error)} /> : null}
      {query.data === undefined ? (
        <Spinner label="Comparing the texts" />
      ) : (
        <DiffView diff={query.data.diff} label="Python of the views, compared with the file" />
      )}
    </div>
  );
}
