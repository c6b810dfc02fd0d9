// The keys of the whole composer. Where one writes text they keep their usual meaning.

import { useEffect } from "react";
import { PARTS_ID } from "../canvas/keys";
import { useCommands } from "./commands";
import { useComposer } from "./context";

type Keys = Readonly<Record<string, (isShift: boolean) => void>>;

export function useRootKeys(): void {
  const { dispatch, setDialog } = useComposer();
  const commands = useCommands();
  useEffect(() => {
    function copy(event: ClipboardEvent): boolean {
      const isText = writesText(event.target) || hasMarkedText() || !isHere(event.target);
      const text = isText ? undefined : commands.copy();
      if (text === undefined) {
        return false;
      }
      event.clipboardData?.setData("text/plain", text);
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
    function press(event: KeyboardEvent): void {
      if (writesText(event.target) || event.defaultPrevented || !isHere(event.target)) {
        return;
      }
      const isCommand = event.ctrlKey || event.metaKey;
      const act = isCommand
        ? commandKeys[event.key.toLowerCase()]
        : event.altKey
          ? undefined
          : plainKeys[event.key];
      if (act !== undefined) {
        event.preventDefault();
        act(event.shiftKey);
      }
    }
    function cut(event: ClipboardEvent): void {
      if (copy(event)) {
        commands.removeChosen();
      }
    }
    function paste(event: ClipboardEvent): void {
      if (!writesText(event.target) && isHere(event.target)) {
        event.preventDefault();
        commands.paste(event.clipboardData?.getData("text/plain") ?? "");
      }
    }
    document.addEventListener("keydown", press);
    document.addEventListener("copy", copy);
    document.addEventListener("cut", cut);
    document.addEventListener("paste", paste);
    return () => {
      document.removeEventListener("keydown", press);
      document.removeEventListener("copy", copy);
      document.removeEventListener("cut", cut);
      document.removeEventListener("paste", paste);
    };
  }, [dispatch, setDialog, commands]);
}

/** Whether the keys go to a text that a person writes. */
function writesText(target: EventTarget | null): boolean {
  return (
    target instanceof Element &&
    target.closest("input:not([type=checkbox]), textarea, select, dialog") !== null
  );
}

/** Whether the keys go to the composer: to a part of it, or to nothing, as after a click beside all cards. */
function isHere(target: EventTarget | null): boolean {
  return target === document.body || (target instanceof Element && target.closest(".workbench") !== null);
}

function hasMarkedText(): boolean {
  return (window.getSelection()?.toString() ?? "") !== "";
}
