import { useState } from "react";
import { Button } from "../../design/Button";
import { useCommands } from "./state/commands";
import { useComposer } from "./state/context";

/** Undo, redo, copy, paste, help. */
export function Toolbar() {
  const { editing, dispatch, setDialog } = useComposer();
  const commands = useCommands();
  const [kept, keep] = useState("");

  function copy(): void {
    const text = commands.copy();
    if (text !== undefined) {
      keep(text);
      navigator.clipboard?.writeText(text).catch(() => undefined); // the browser may refuse; the text is kept here too
    }
  }

  async function paste(): Promise<void> {
    const text = await navigator.clipboard?.readText().catch(() => kept);
    commands.paste(text ?? kept);
  }

  const isChosen = editing.selection.length > 0;
  return (
    <div className="composer-tools" role="toolbar" aria-label="Edit">
      <Button disabled={editing.past.length === 0} title="Ctrl Z" onClick={() => dispatch({ type: "undo" })}>
        Undo
      </Button>
      <Button
        disabled={editing.future.length === 0}
        title="Ctrl Shift Z"
        onClick={() => dispatch({ type: "redo" })}
      >
        Redo
      </Button>
      <Button disabled={!isChosen} title="Ctrl C" onClick={copy}>
        Copy
      </Button>
      <Button title="Ctrl V" onClick={() => void paste()}>
        Paste
      </Button>
      <Button title="?" onClick={() => setDialog("help")}>
        Keys
      </Button>
    </div>
  );
}
