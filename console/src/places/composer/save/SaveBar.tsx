import { useMay } from "../../../app/session";
import { Badge } from "../../../design/Badge";
import { Button } from "../../../design/Button";
import { Command } from "../../../design/Command";
import { Problem } from "../../../design/Problem";
import { nodeOf } from "../graph/graph";
import { FoundProblems } from "../panel/FoundProblems";
import { useWritten } from "../panel/written";
import { useComposer } from "../state/context";
import { ConflictDialog } from "./ConflictDialog";
import { useSave } from "./useSave";

/** The file, whether it is saved, and what one does next with it. */
export function SaveBar() {
  const { file, editing } = useComposer();
  const ofFile = (editing.problems.writer ?? []).filter(
    (one) => nodeOf(editing.graph, one.node) === undefined,
  );
  const written = useWritten();
  const mayWrite = useMay("author");
  const { saving, save, overwrite, take, close } = useSave();
  const isChanged = written.text !== file.text || written.isLate;
  const why = !file.editable ? file.whyNot : mayWrite ? "" : "Saving needs the role author.";
  return (
    <div className="save">
      <div className="save-bar">
        <span className="save-path">{file.path === "" ? "No views file" : file.path}</span>
        {isChanged ? <Badge tone="warn">not saved</Badge> : <Badge tone="good">saved</Badge>}
        <Button
          kind="primary"
          disabled={
            why !== "" ||
            !isChanged ||
            written.isLate ||
            written.problem !== undefined ||
            saving.kind === "busy"
          }
          title={why}
          onClick={() => void save()}
        >
          Save
        </Button>
      </div>
      {why !== "" && isChanged && <p className="field-hint">{why}</p>}
      {ofFile.length > 0 && <FoundProblems problems={ofFile} />}
      {written.problem !== undefined && <Problem problem={written.problem} />}
      {saving.kind === "failed" && <Problem problem={saving.problem} />}
      {saving.kind === "saved" && !isChanged && (
        <div className="save-next" role="status">
          {saving.commands.map((command, index) => (
            <Command
              key={command}
              about={index === 0 ? "See what the file would change" : "Take the file over"}
            >
              {command}
            </Command>
          ))}
        </div>
      )}
      {saving.kind === "conflict" && (
        <ConflictDialog
          theirs={saving.theirs}
          base={file.text}
          mine={written.text}
          onTake={() => take(saving.theirs)}
          onOverwrite={() => void overwrite(saving.theirs)}
          onClose={close}
        />
      )}
    </div>
  );
}
