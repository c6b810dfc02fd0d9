import { type ReactNode, useEffect, useId, useRef } from "react";
import { Button } from "./Button";

interface DialogProps {
  title: string;
  children: ReactNode;
  /** The buttons beside "Cancel". */
  actions?: ReactNode;
  onClose: () => void;
  /** The text of the button that closes. */
  closeText?: string;
}

/** A modal dialog: the browser keeps the focus inside, and Escape closes it. */
export function Dialog({ title, children, actions, onClose, closeText = "Cancel" }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const before = document.activeElement;
    const shown = dialog.current;
    shown?.showModal();
    shown?.scrollTo?.(0, 0); // a long text is read from its beginning, though the focus is on the button below it
    return () => {
      shown?.close();
      // the dialog has left the page by now, so the browser does not go back by itself
      const opener = before instanceof HTMLElement && before.isConnected ? before : null;
      (opener ?? document.getElementById("main"))?.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby={heading}
      onClose={() => dialog.current?.open || onClose()}
    >
      <h2 id={heading}>{title}</h2>
      <div className="dialog-body">{children}</div>
      <div className="dialog-actions">
        <Button onClick={onClose}>{closeText}</Button>
        {actions}
      </div>
    </dialog>
  );
}
