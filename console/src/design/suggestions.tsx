// What texts with suggestions share (ARIA combobox with a list): the keys, the active suggestion, and the list.

import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";

export const NONE = -1;

/** The suggestion that an arrow key goes to: around the ends, and from none to the first or the last. */
export function moved(active: number, step: 1 | -1, count: number): number {
  if (count === 0) {
    return NONE;
  }
  return active === NONE && step < 0 ? count - 1 : (active + step + count) % count;
}

export interface Suggestions {
  /** The number of the active one, or `NONE`. */
  active: number;
  shown: boolean;
  show: () => void;
  hide: () => void;
  /** Handles a key; returns whether it did. */
  press: (event: KeyboardEvent) => boolean;
  /** Attributes of the input. */
  input: {
    role: "combobox";
    "aria-expanded": boolean;
    "aria-controls": string;
    "aria-autocomplete": "list";
    "aria-activedescendant": string | undefined;
    spellCheck: false;
    autoComplete: "off";
    onFocus: () => void;
    onBlur: () => void;
  };
  list: string;
}

/** `take` is called with the number of the active suggestion when one of `keys` is pressed. */
export function useSuggestions(
  count: number,
  keys: readonly string[],
  take: (index: number) => void,
): Suggestions {
  const list = useId();
  const [isOpen, setOpen] = useState(false);
  const [at, setAt] = useState(NONE);
  const shown = isOpen && count > 0;
  const active = shown && at < count ? at : NONE;

  function show(): void {
    setOpen(true);
    setAt(NONE);
  }

  function hide(): void {
    setOpen(false);
    setAt(NONE);
  }

  function press(event: KeyboardEvent): boolean {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      setOpen(true);
      setAt(moved(active, event.key === "ArrowDown" ? 1 : -1, count));
    } else if (keys.includes(event.key) && active !== NONE) {
      take(active);
    } else if (event.key === "Escape" && shown) {
      event.stopPropagation();
      hide();
    } else {
      return false;
    }
    event.preventDefault(); // Escape would close the dialog around it, too
    return true;
  }

  return {
    active,
    shown,
    show,
    hide,
    press,
    input: {
      role: "combobox",
      "aria-expanded": shown,
      "aria-controls": list,
      "aria-autocomplete": "list",
      "aria-activedescendant": active === NONE ? undefined : `${list}-${active}`,
      spellCheck: false,
      autoComplete: "off",
      onFocus: () => setOpen(true),
      onBlur: () => setOpen(false),
    },
    list,
  };
}

interface SuggestionListProps<Option> {
  of: Suggestions;
  label: string;
  options: readonly Option[];
  textOf: (option: Option) => string;
  onTake: (index: number) => void;
  children: (option: Option) => ReactNode;
}

/** The list below the input. The active suggestion is kept in sight. */
export function SuggestionList<Option>({
  of,
  label,
  options,
  textOf,
  onTake,
  children,
}: SuggestionListProps<Option>) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    box.current?.children[of.active]?.scrollIntoView({ block: "nearest" }); // in some browsers this returns a promise
  }, [of.active]);
  return (
    <div
      ref={box}
      id={of.list}
      role="listbox"
      aria-label={label}
      className="combobox-list"
      hidden={!of.shown}
    >
      {options.map((option, index) => (
        // biome-ignore lint/a11y/useKeyWithClickEvents: the keyboard acts on the input, as ARIA's combobox says
        <div
          key={textOf(option)}
          id={`${of.list}-${index}`}
          role="option"
          tabIndex={-1}
          aria-selected={index === of.active}
          className="combobox-option"
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => onTake(index)}
        >
          {children(option)}
        </div>
      ))}
    </div>
  );
}
