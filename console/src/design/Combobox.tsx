import type { KeyboardEvent } from "react";
import { Field } from "./Field";
import { SuggestionList, useSuggestions } from "./suggestions";

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

/** A text with suggestions. Any text may be written. */
export function Combobox({
  value,
  options,
  onChange,
  onChoose,
  placeholder,
  disabled,
  ...field
}: ComboboxProps) {
  const suggestions = useSuggestions(options.length, ["Enter"], (index) => choose(options[index] ?? value));

  function choose(option: string): void {
    onChange(option);
    onChoose?.(option);
    suggestions.hide();
  }

  function press(event: KeyboardEvent): void {
    if (!suggestions.press(event) && event.key === "Enter" && onChoose !== undefined) {
      event.preventDefault();
      choose(value);
    }
  }

  return (
    <Field {...field}>
      {({ id, describedBy, invalid }) => (
        <div className="combobox">
          <input
            id={id}
            className="input"
            {...suggestions.input}
            aria-describedby={describedBy}
            aria-invalid={invalid}
            value={value}
            placeholder={placeholder}
            disabled={disabled}
            onKeyDown={press}
            onChange={(event) => {
              onChange(event.target.value);
              suggestions.show();
            }}
          />
          <SuggestionList
            of={suggestions}
            label={field.label}
            options={options}
            textOf={(option) => option}
            onTake={(index) => choose(options[index] ?? value)}
          >
            {(option) => option}
          </SuggestionList>
        </div>
      )}
    </Field>
  );
}
