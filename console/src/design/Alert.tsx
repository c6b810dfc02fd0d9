import type { ReactNode } from "react";
import { inline } from "./text";

interface AlertProps {
  /** What is wrong, with `commands` between backticks. */
  children: string;
  mend?: string | undefined;
  code?: string | undefined;
  action?: ReactNode;
}

/** The box of an error, which a screen reader reads at once. */
export function Alert({ children, mend = "", code = "", action }: AlertProps) {
  return (
    <div className="problem" role="alert">
      <p>{inline(children)}</p>
      {mend !== "" && <p>{inline(mend)}</p>}
      {code !== "" && <p className="problem-code">{code}</p>}
      {action}
    </div>
  );
}
