import { type KeyboardEvent, useId, useState } from "react";
import { Field } from "./Field";

interface ComboboxProps {
  label: string;
  hideLabel?: boolean;
  hint?: string | undefined;
  error?: string | undefined;
  value: string;
  /** What is offered for the present text. The caller filters, and bounds their number. */
  options: readonly string[];
  /** The text has changed. */
  onChange: (value: string) => void;
  /** An option was chosen, or Enter was pressed. */
  onChoose?: (value: string) => void;
  placeholder?: string;
  disabled?: boolean;
}

/** A text with suggestions (ARIA combobox with a list). Any text may be written. */
export function Combobox({
  value,
  options,
  onChange,
  onChoose,
  placeholder,
  disabled,
  ...field
}: ComboboxProps) {
  const list = useId();
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const shown = open && options.length > 0;

  function choose(option: string): void {
    onChange(option);
    onChoose?.(option);
    setOpen(false);
    setActive(-1);
  }

  function press(event: KeyboardEvent): void {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      setOpen(true);
      setActive(
        (options.length + active + step + (active < 0 && step < 0 ? 1 : 0)) % Math.max(1, options.length),
      );
    } else if (event.key === "Enter") {
      const option = shown ? options[active] : undefined;
      if (option !== undefined || onChoose !== undefined) {
        event.preventDefault();
        choose(option ?? value);
      }
    } else if (event.key === "Escape" && open) {
      event.stopPropagation();
      setOpen(false);
    }
  }

  return (
    <Field {...field}>
      {({ id, describedBy, invalid }) => (
        <div className="combobox">
          <input
            id={id}
            className="input"
            role="combobox"
            aria-expanded={shown}
            aria-controls={list}
            aria-autocomplete="list"
            aria-activedescendant={shown && active >= 0 ? `${list}-${active}` : undefined}
            aria-describedby={describedBy}
            aria-invalid={invalid}
            value={value}
            placeholder={placeholder}
            disabled={disabled}
            spellCheck={false}
            autoComplete="off"
            onFocus={() => setOpen(true)}
            onBlur={() => setOpen(false)}
            onKeyDown={press}
            onChange={(event) => {
              onChange(event.target.value);
              setOpen(true);
              setActive(-1);
            }}
          />
          <div id={list} role="listbox" aria-label={field.label} className="combobox-list" hidden={!shown}>
            {options.map((option, index) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the keyboard acts on the input, as ARIA's combobox says
              <div
                key={option}
                id={`${list}-${index}`}
                role="option"
                tabIndex={-1}
                aria-selected={index === active}
                className="combobox-option"
                onMouseDown={(event) => event.preventDefault()}
                onClick={() => choose(option)}
              >
                {option}
              </div>
            ))}
          </div>
        </div>
      )}
    </Field>
  );
}
