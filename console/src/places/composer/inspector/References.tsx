import { useState } from "react";
import { Button } from "../../../design/Button";
import { Combobox } from "../../../design/Combobox";
import { textOf } from "../graph/graph";
import { featuresOf } from "../graph/joins";
import { useComposer } from "../state/context";
import { Block, type EditorProps } from "./editors";
import { readText } from "./texts";

/** References `view:feature`, one in each line, and a list of the file's own to add from. */
export function References(props: EditorProps) {
  const { editing } = useComposer();
  const [text, setText] = useState("");
  const listed = Array.isArray(props.value) ? props.value.map(String) : [];
  const own = editing.graph.nodes
    .filter((node) => node.kind === "view" || node.kind === "on_demand")
    .flatMap((node) =>
      featuresOf(editing.graph, node).map((name) => `${textOf(node, "name") || node.name}:${name}`),
    );
  const offered = own.filter((ref) => !listed.includes(ref) && ref.includes(text));

  function add(ref: string): void {
    if (ref !== "" && !listed.includes(ref)) {
      props.onValue([...listed, ref]);
      setText("");
    }
  }

  return (
    <>
      <Block
        {...props}
        hint="One `view:feature` in each line, in the order of the model's inputs."
        shown={(one) => (Array.isArray(one) ? one.map(String).join("\n") : "")}
        read={(lines) => readText("texts", lines)}
        rows={Math.min(8, listed.length + 2)}
      />
      <div className="inspector-adding">
        <Combobox
          label="Add a feature"
          value={text}
          options={offered.slice(0, 50)}
          onChange={setText}
          onChoose={(ref) => own.includes(ref) && add(ref)}
        />
        <Button disabled={text === ""} onClick={() => add(text)}>
          Add
        </Button>
      </div>
    </>
  );
}
