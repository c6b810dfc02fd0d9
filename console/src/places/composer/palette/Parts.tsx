import { type KeyboardEvent, type MouseEvent, useRef, useState } from "react";
import { DRAGGED, textOfDragged } from "../canvas/dragged";
import { INSPECTOR_ID, PARTS_ID } from "../canvas/keys";
import { TYPE_WORDS } from "../canvas/words";
import type { PaletteType } from "../graph/palette";
import { useCommands, WINDOWS } from "../state/commands";
import { useComposer } from "../state/context";

/** The parts that can be placed: drag one to the canvas, click it, or choose it with the arrow keys. */
export function Parts() {
  const { palette } = useComposer();
  const commands = useCommands();
  const [current, setCurrent] = useState(0);
  const bar = useRef<HTMLDivElement>(null);
  const items = withWindows(palette.types);

  function press(event: KeyboardEvent): void {
    const to = {
      ArrowRight: (current + 1) % items.length,
      ArrowLeft: (current + items.length - 1) % items.length,
      Home: 0,
      End: items.length - 1,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      setCurrent(to);
      bar.current?.querySelectorAll("button")[to]?.focus();
    }
  }

  function add(event: MouseEvent, item: PaletteType): void {
    commands.add(item);
    if (event.detail === 0) {
      document.getElementById(INSPECTOR_ID)?.focus(); // it was chosen by keyboard, and its fields come next
    }
  }

  return (
    <div id={PARTS_ID} className="parts" role="toolbar" aria-label="Add a part" ref={bar} onKeyDown={press}>
      <span className="parts-title" aria-hidden="true">
        Add
      </span>
      {items.map((item, index) => (
        <button
          key={`${item.kind} ${item.type}`}
          type="button"
          className={`part-chip node-${kindOf(item)}`}
          draggable
          title={item.help}
          tabIndex={index === current ? 0 : -1}
          onFocus={() => setCurrent(index)}
          onClick={(event) => add(event, item)}
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

function wordOf(item: PaletteType): string {
  return item === WINDOWS ? "Windows" : (TYPE_WORDS[item.type] ?? TYPE_WORDS[item.kind] ?? item.type);
}
