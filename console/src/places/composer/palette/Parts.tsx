import { DRAGGED, textOfDragged } from "../canvas/dragged";
import { TYPE_WORDS } from "../canvas/words";
import type { PaletteType } from "../graph/palette";
import { useCommands, WINDOWS } from "../state/commands";
import { useComposer } from "../state/context";

/** The parts that can be placed: drag one to the canvas, or click it. */
export function Parts() {
  const { palette } = useComposer();
  const commands = useCommands();
  return (
    <div className="parts" role="toolbar" aria-label="Add a part">
      <span className="parts-title" aria-hidden="true">
        Add
      </span>
      {withWindows(palette.types).map((item) => (
        <button
          key={`${item.kind} ${item.type}`}
          type="button"
          className={`part-chip node-${kindOf(item)}`}
          draggable
          title={item.help}
          onClick={() => commands.add(item)}
          onDragStart={(event) => {
            event.dataTransfer.setData(DRAGGED, textOfDragged(item));
            event.dataTransfer.effectAllowed = "copy";
          }}
        >
          {wordOf(item)}
        </button>
      ))}
    </div>
  );
}

function withWindows(types: readonly PaletteType[]): readonly PaletteType[] {
  const after = types.findIndex((item) => item.kind === "bounds");
  return after < 0 ? types : [...types.slice(0, after), WINDOWS, ...types.slice(after)];
}

function kindOf(item: PaletteType): string {
  return item === WINDOWS ? "windows" : item.kind;
}

export function wordOf(item: PaletteType): string {
  return item === WINDOWS ? "Windows" : (TYPE_WORDS[item.type] ?? TYPE_WORDS[item.kind] ?? item.type);
}
