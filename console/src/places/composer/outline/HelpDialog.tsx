import { Dialog } from "../../../design/Dialog";
import { useComposer } from "../state/context";
import "./help.css";

const KEYS: readonly (readonly [string, string])[] = [
  ["Arrow keys", "go through the outline, or from card to card on the canvas"],
  ["Enter", "opens the fields of the chosen part"],
  ["Escape", "in the fields: goes back to the outline"],
  ["A", "goes to the parts that can be added; the arrow keys choose one, and Enter adds it"],
  ["C", "joins the chosen part, or takes a join out: choose from a list"],
  ["Alt ↑, Alt ↓", "in the outline: moves a feature among the features of its view"],
  ["Alt and arrow keys", "on the canvas: moves the chosen cards"],
  ["Shift and arrow keys", "chooses further parts"],
  ["Delete", "deletes the chosen parts"],
  ["Ctrl C, Ctrl X, Ctrl V", "copies, cuts and pastes parts, also into another file"],
  ["Ctrl Z, Ctrl Shift Z", "undoes, and does again"],
  ["Ctrl A", "chooses all parts"],
  ["?", "opens this help"],
];

const POINTER: readonly (readonly [string, string])[] = [
  ["Drag a part to the canvas", "adds it; on a view, it joins that view"],
  ["Drag from a dot to a card", "joins them; the bar below the canvas says why a join is refused"],
  ["Double-click a line", "takes the join out"],
  ["Shift and drag", "chooses the cards in a rectangle"],
];

export function HelpDialog() {
  const { setDialog } = useComposer();
  return (
    <Dialog title="Keys of the composer" closeText="Close" onClose={() => setDialog("none")}>
      <Keys title="By keyboard" rows={KEYS} />
      <Keys title="By mouse" rows={POINTER} />
    </Dialog>
  );
}

function Keys({ title, rows }: { title: string; rows: readonly (readonly [string, string])[] }) {
  return (
    <section>
      <h3>{title}</h3>
      <dl className="help-keys">
        {rows.map(([key, does]) => (
          <div key={key}>
            <dt>{key}</dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
