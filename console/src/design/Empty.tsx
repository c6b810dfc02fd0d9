import type { ReactNode } from "react";

/** What stands where there is nothing to show, with the way to get something. */
export function Empty({ children }: { children: ReactNode }) {
  return <div className="empty">{children}</div>;
}
