import { useState } from "react";
import { Button } from "./Button";

/** The command that does the same. */
export function Command({ children, about = "The same as a command" }: { children: string; about?: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <figure className="command">
      <figcaption>{about}</figcaption>
      <pre>
        <code>{children}</code>
      </pre>
      <Button
        onClick={() => {
          navigator.clipboard?.writeText(children).then(
            () => setCopied(true),
            () => setCopied(false),
          );
        }}
      >
        {copied ? "Copied" : "Copy"}
      </Button>
    </figure>
  );
}
