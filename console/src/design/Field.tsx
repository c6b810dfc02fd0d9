import { type ReactNode, useId } from "react";
import { inline } from "./text";

interface FieldProps {
  label: string;
  /** The label is read aloud, but not shown. */
  hideLabel?: boolean;
  hint?: string | undefined;
  error?: string | undefined;
}

interface Ids {
  id: string;
  describedBy: string | undefined;
  invalid: boolean;
}

/** A label, a control, a hint and an error that belong together. */
export function Field({
  label,
  hideLabel = false,
  hint,
  error,
  children,
}: FieldProps & { children: (ids: Ids) => ReactNode }) {
  const id = useId();
  const described = [hint === undefined ? "" : `${id}-hint`, error === undefined ? "" : `${id}-error`];
  return (
    <div className="field">
      <label htmlFor={id} className={hideLabel ? "visually-hidden" : "field-label"}>
        {label}
      </label>
      {children({
        id,
        describedBy: described.filter(Boolean).join(" ") || undefined,
        invalid: error !== undefined,
      })}
      {hint !== undefined && (
        <span id={`${id}-hint`} className="field-hint">
          {inline(hint)}
        </span>
      )}
      {error !== undefined && (
        <span id={`${id}-error`} className="field-error">
          {inline(error)}
        </span>
      )}
    </div>
  );
}

interface TextFieldProps extends FieldProps {
  value: string;
  onChange: (value: string) => void;
  type?: "text" | "password" | "search" | "date" | "datetime-local";
  placeholder?: string;
  disabled?: boolean;
  mono?: boolean;
}

export function TextField({
  value,
  onChange,
  type = "text",
  placeholder,
  disabled,
  mono,
  ...field
}: TextFieldProps) {
  return (
    <Field {...field}>
      {({ id, describedBy, invalid }) => (
        <input
          id={id}
          className={mono ? "input mono" : "input"}
          type={type}
          value={value}
          placeholder={placeholder}
          disabled={disabled}
          spellCheck={false}
          autoComplete="off"
          aria-describedby={describedBy}
          aria-invalid={invalid}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

interface SelectProps extends FieldProps {
  value: string;
  /** (value, text) of each choice. */
  options: readonly (readonly [string, string])[];
  onChange: (value: string) => void;
  disabled?: boolean;
}

export function Select({ value, options, onChange, disabled, ...field }: SelectProps) {
  return (
    <Field {...field}>
      {({ id, describedBy, invalid }) => (
        <select
          id={id}
          className="input"
          value={value}
          disabled={disabled}
          aria-describedby={describedBy}
          aria-invalid={invalid}
          onChange={(event) => onChange(event.target.value)}
        >
          {options.map(([one, text]) => (
            <option key={one} value={one}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

interface CheckboxProps {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
  disabled?: boolean;
}

export function Checkbox({ label, checked, onChange, disabled }: CheckboxProps) {
  return (
    <label className="checkbox">
      <input
        type="checkbox"
        checked={checked}
        disabled={disabled}
        onChange={(event) => onChange(event.target.checked)}
      />
      {label}
    </label>
  );
}
