import type { ReactNode } from "react";

interface ButtonProps {
  children: ReactNode;
  onClick?: () => void;
  type?: "button" | "submit";
  /** primary: the one main action of a place; danger: what cannot be taken back; link: explains, within a text. */
  kind?: "plain" | "primary" | "danger" | "link";
  disabled?: boolean;
  /** Why a disabled button is disabled, or what the button does. */
  title?: string | undefined;
  /** The name, where the content is only a sign. */
  label?: string;
  pressed?: boolean;
}

export function Button({
  children,
  onClick,
  type = "button",
  kind = "plain",
  disabled,
  title,
  label,
  pressed,
}: ButtonProps) {
  return (
    <button
      type={type}
      className={`button button-${kind}`}
      onClick={onClick}
      disabled={disabled}
      title={title}
      aria-label={label}
      aria-pressed={pressed}
    >
      {children}
    </button>
  );
}
