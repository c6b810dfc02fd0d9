import { type KeyboardEvent, useId, useLayoutEffect, useRef, useState } from "react";
import { Field } from "../../../design/Field";
import type { SourceColumn } from "../graph/sources";
import { completed, marked } from "./completed";
import { type Condition, useCondition } from "./useCondition";
import "./condition.css";

interface ConditionEditorProps {
  label: string;
  hint: string;
  value: string;
  /** An error of the whole definition, where the condition itself has none. */
  error: string | undefined;
  columns: readonly SourceColumn[];
  onChange: (value: string) => void;
}

const NONE = -1;

/** A condition with suggestions and errors as one types (ARIA combobox). Tab or Enter takes a suggestion. */
export function ConditionEditor({ label, hint, value, error, columns, onChange }: ConditionEditorProps) {
  const list = useId();
  const input = useRef<HTMLInputElement>(null);
  const [caret, setCaret] = useState(value.length);
  const [wanted, want] = useState<number | undefined>(undefined);
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(NONE);
  const { condition, isLate } = useCondition(value, Math.min(caret, value.length), columns);
  const options = open && !isLate ? (condition?.options ?? []) : [];
  const isWrong = condition !== undefined && !isLate && !condition.valid;

  useLayoutEffect(() => {
    if (wanted !== undefined) {
      input.current?.setSelectionRange(wanted, wanted);
      want(undefined);
    }
  }, [wanted]);

  function take(option: Condition["options"][number]): void {
    if (condition !== undefined) {
      const next = completed(value, condition, option);
      onChange(next.text);
      setCaret(next.caret);
      want(next.caret);
      setActive(NONE);
      input.current?.focus();
    }
  }

  function press(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && options.length > 0) {
      event.preventDefault();
      setActive(
        active === NONE && step < 0 ? options.length - 1 : (active + step + options.length) % options.length,
      );
    } else if (event.key === "Enter" || event.key === "Tab") {
      const option = options[active];
      if (option !== undefined) {
        event.preventDefault();
        take(option);
      }
    } else if (event.key === "Escape" && open) {
      event.stopPropagation();
      setOpen(false);
      setActive(NONE);
    } else if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      setOpen(true);
    }
  }

  const message = isWrong && value.trim() !== "" ? condition.message : error;
  const warning = condition?.warning === "" || isLate ? undefined : condition?.warning;
  return (
    <Field label={label} hint={warning === undefined ? hint : `${hint} Note: ${warning}.`} error={message}>
      {({ id, describedBy, invalid }) => (
        <div className="combobox condition">
          <input
            id={id}
            ref={input}
            className="input mono"
            role="combobox"
            aria-expanded={options.length > 0}
            aria-controls={list}
            aria-autocomplete="list"
            aria-activedescendant={options[active] === undefined ? undefined : `${list}-${active}`}
            aria-describedby={describedBy}
            aria-invalid={invalid}
            spellCheck={false}
            autoComplete="off"
            value={value}
            onFocus={() => setOpen(true)}
            onBlur={() => setOpen(false)}
            onKeyDown={press}
            onSelect={(event) => setCaret(event.currentTarget.selectionStart ?? value.length)}
            onChange={(event) => {
              onChange(event.target.value);
              setCaret(event.target.selectionStart ?? value.length);
              setOpen(true);
              setActive(NONE);
            }}
          />
          <div
            id={list}
            role="listbox"
            aria-label={`Suggestions for ${label}`}
            className="combobox-list"
            hidden={options.length === 0}
          >
            {options.map((option, index) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the keyboard acts on the input, as ARIA's combobox says
              <div
                key={option.text}
                id={`${list}-${index}`}
                role="option"
                tabIndex={-1}
                aria-selected={index === active}
                className="combobox-option condition-option"
                onMouseDown={(event) => event.preventDefault()}
                onClick={() => take(option)}
              >
                <code>{option.text}</code>
                <small>{option.hint === "" ? option.part : option.hint}</small>
              </div>
            ))}
          </div>
          {isWrong && condition.last > condition.first && <Mark where={value} condition={condition} />}
        </div>
      )}
    </Field>
  );
}

/** The condition with the characters marked that the error is about. */
function Mark({ where, condition }: { where: string; condition: Condition }) {
  const [before, about, after] = marked(where, condition);
  return (
    <p className="condition-mark mono" aria-hidden="true">
      {before}
      <mark>{about}</mark>
      {after}
    </p>
  );
}
