// The keys of the whole composer. Where one writes text they keep their usual meaning.

import { type ClipboardEvent, type KeyboardEvent, useMemo } from "react";
import { PARTS_ID } from "../canvas/keys";
import { useCommands } from "./commands";
import { useComposer } from "./context";

export interface RootKeys {
  readonly onKeyDown: (event: KeyboardEvent) => void;
  readonly onCopy: (event: ClipboardEvent) => void;
  readonly onCut: (event: ClipboardEvent) => void;
  readonly onPaste: (event: ClipboardEvent) => void;
}

type Keys = Readonly<Record<string, (isShift: boolean) => void>>;

export function useRootKeys(): RootKeys {
  const { dispatch, setDialog } = useComposer();
  const commands = useCommands();
  return useMemo(() => {
    function copy(event: ClipboardEvent): boolean {
      const text = writesText(event.target) || hasMarkedText() ? undefined : commands.copy();
      if (text === undefined) {
        return false;
      }
      event.clipboardData.setData("text/plain", text);
      event.preventDefault();
      return true;
    }
    const commandKeys: Keys = {
      z: (isShift) => dispatch({ type: isShift ? "redo" : "undo" }),
      y: () => dispatch({ type: "redo" }),
      a: commands.selectAll,
    };
    const plainKeys: Keys = {
      Delete: commands.removeChosen,
      Backspace: commands.removeChosen,
      a: () => document.querySelector<HTMLElement>(`#${PARTS_ID} button[tabindex="0"]`)?.focus(),
      c: () => setDialog("join"),
      "?": () => setDialog("help"),
    };
    return {
      onKeyDown(event) {
        if (writesText(event.target) || event.defaultPrevented) {
          return;
        }
        const key = event.key.toLowerCase();
        const isCommand = event.ctrlKey || event.metaKey;
        const act = isCommand ? commandKeys[key] : event.altKey ? undefined : plainKeys[event.key];
        if (act !== undefined) {
          event.preventDefault();
          act(event.shiftKey);
        }
      },
      onCopy(event) {
        copy(event);
      },
      onCut(event) {
        if (copy(event)) {
          commands.removeChosen();
        }
      },
      onPaste(event) {
        if (!writesText(event.target)) {
          event.preventDefault();
          commands.paste(event.clipboardData.getData("text/plain"));
        }
      },
    };
  }, [dispatch, setDialog, commands]);
}

/** Whether the keys go to a text that a person writes. */
function writesText(target: EventTarget): boolean {
  return (
    target instanceof Element &&
    target.closest("input:not([type=checkbox]), textarea, select, dialog") !== null
  );
}

function hasMarkedText(): boolean {
  return (window.getSelection()?.toString() ?? "") !== "";
}
