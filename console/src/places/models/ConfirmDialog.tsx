import type { ReactNode } from "react";
import { asProblem } from "../../api/problem";
import { Button } from "../../design/Button";
import { Command } from "../../design/Command";
import { Dialog } from "../../design/Dialog";
import { Problem } from "../../design/Problem";

interface ConfirmDialogProps {
  title: string;
  children: ReactNode;
  /** The command that does the same; undefined: there is nothing to do yet. */
  command: string | undefined;
  /** The text of the button that does it. */
  action: string;
  danger?: boolean;
  busy: boolean;
  /** Why it was not done. */
  error: unknown;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks before a model is changed, and shows the command that does the same. */
export function ConfirmDialog({
  title,
  children,
  command,
  action,
  danger = false,
  busy,
  error,
  onConfirm,
  onClose,
}: ConfirmDialogProps) {
  return (
    <Dialog
      title={title}
      onClose={onClose}
      actions={
        <Button
          kind={danger ? "danger" : "primary"}
          disabled={busy || command === undefined}
          onClick={onConfirm}
        >
          {busy ? "Working …" : action}
        </Button>
      }
    >
      {children}
      {command !== undefined && <Command>{command}</Command>}
      {error !== null && error !== undefined && <Problem problem={asProblem(error)} />}
    </Dialog>
  );
}
