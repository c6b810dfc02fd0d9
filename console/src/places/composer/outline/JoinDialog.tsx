import { useMemo, useState } from "react";
import { Button } from "../../../design/Button";
import { Combobox } from "../../../design/Combobox";
import { Dialog } from "../../../design/Dialog";
import { typeWord } from "../canvas/words";
import { type GraphNode, nodeOf, titleOf } from "../graph/graph";
import { useComposer } from "../state/context";
import { nodeIdOf } from "../state/editing";
import { columnAt, joinChoices, readers } from "./joinChoices";

const MAX_SHOWN = 30;

/** Joins the chosen part to another one, or takes such a join out, by choice from a list: the keyboard's way to draw and remove lines. */
export function JoinDialog() {
  const { editing, sources, apply, setDialog } = useComposer();
  const [chosen = ""] = editing.selection;
  const node = nodeOf(editing.graph, nodeIdOf(chosen));
  const column = columnAt(sources, chosen);
  const [text, setText] = useState("");
  const choices = useMemo(() => {
    if (column !== undefined) {
      return readers(editing.graph, column);
    }
    return node === undefined ? [] : joinChoices(editing.graph, sources, node);
  }, [editing.graph, sources, node, column]);
  const shown = choices.filter((choice) => choice.title.toLowerCase().includes(text.toLowerCase()));
  const close = () => setDialog("none");

  function join(title: string): void {
    const choice = choices.find((one) => one.title === title);
    if (choice !== undefined) {
      apply(choice.join());
      close();
    }
  }

  return (
    <Dialog
      title={`Join ${column === undefined ? described(node) : `column ${column.name}`}`.trim()}
      onClose={close}
      actions={
        <Button
          kind="primary"
          disabled={!choices.some((one) => one.title === text)}
          onClick={() => join(text)}
        >
          {text.startsWith("take out ") ? "Take out" : "Join"}
        </Button>
      }
    >
      {node === undefined && column === undefined ? (
        <p>Choose a part in the outline or on the canvas first.</p>
      ) : choices.length === 0 ? (
        <p>Nothing in the file fits it.</p>
      ) : (
        <Combobox
          label="Join, or take out"
          hint={`${choices.length} choices. Type to search.`}
          value={text}
          options={shown.slice(0, MAX_SHOWN).map((choice) => choice.title)}
          onChange={setText}
          onChoose={join}
        />
      )}
    </Dialog>
  );
}

function described(node: GraphNode | undefined): string {
  return node === undefined ? "" : `${typeWord(node)} ${titleOf(node)}`.trim();
}
