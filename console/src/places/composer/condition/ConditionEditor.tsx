import { type KeyboardEvent, useLayoutEffect, useRef, useState } from "react";
import { Field } from "../../../design/Field";
import { SuggestionList, useSuggestions } from "../../../design/suggestions";
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

/** A condition with suggestions and errors as one types (ARIA combobox). Tab or Enter takes a suggestion. A long one is wrapped. */
export function ConditionEditor({ label, hint, value, error, columns, onChange }: ConditionEditorProps) {
  const input = useRef<HTMLTextAreaElement>(null);
  const [caret, setCaret] = useState(value.length);
  const [wanted, want] = useState<number | undefined>(undefined);
  const { condition, isLate } = useCondition(value, Math.min(caret, value.length), columns);
  const options = isLate ? [] : (condition?.options ?? []);
  const suggestions = useSuggestions(options.length, ["Enter", "Tab"], take);
  const isWrong = condition !== undefined && !isLate && !condition.valid;

  useLayoutEffect(() => {
    if (wanted !== undefined) {
      input.current?.setSelectionRange(wanted, wanted);
      want(undefined);
    }
  }, [wanted]);

  function take(index: number): void {
    const option = options[index];
    if (condition !== undefined && option !== undefined) {
      const next = completed(value, condition, option);
      onChange(next.text);
      setCaret(next.caret);
      want(next.caret);
      suggestions.show(); // those that go on from here
      input.current?.focus();
    }
  }

  function press(event: KeyboardEvent): void {
    if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      suggestions.show();
    } else if ((options.length === 0 || !suggestions.press(event)) && event.key === "Enter") {
      event.preventDefault();
    }
  }

  const message = isWrong && value.trim() !== "" ? condition.message : error;
  const warning = condition?.warning === "" || isLate ? undefined : condition?.warning;
  return (
    <Field label={label} hint={warning === undefined ? hint : `${hint} Note: ${warning}.`} error={message}>
      {({ id, describedBy, invalid }) => (
        <div className="combobox condition">
          <textarea
            id={id}
            ref={input}
            className="input mono condition-text"
            rows={2}
            {...suggestions.input}
            aria-describedby={describedBy}
            aria-invalid={invalid}
            value={value}
            onKeyDown={press}
            onSelect={(event) => setCaret(event.currentTarget.selectionStart ?? value.length)}
            onChange={(event) => {
              onChange(event.target.value.replaceAll("\n", " ")); // a condition is one line, also one that was pasted
              setCaret(event.target.selectionStart ?? value.length);
              suggestions.show();
            }}
          />
          <SuggestionList
            of={suggestions}
            label={`Suggestions for ${label}`}
            options={options}
            textOf={(option) => option.text}
            onTake={take}
          >
            {(option) => (
              <>
                <code>{option.text}</code>
                <small>{option.hint === "" ? option.part : option.hint}</small>
              </>
            )}
          </SuggestionList>
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
