import { CopyButton } from "./CopyButton";

/** The command that does the same. */
export function Command({ children, about = "The same as a command" }: { children: string; about?: string }) {
  return (
    <figure className="command">
      <figcaption>{about}</figcaption>
      <pre>
        <code>{children}</code>
      </pre>
      <CopyButton text={children} of={about} />
    </figure>
  );
}
