import { useEffect, useRef, useState } from "react";
import type { Json } from "../graph/graph";
import type { Read } from "./texts";

export interface Draft {
  readonly text: string;
  readonly error: string | undefined;
  readonly write: (text: string) => void;
}

/**
 * A text that is written while its value may be wrong for a moment. Each text that can be read is the field's new value. The
 * text follows the field where that changes by other means, such as undo.
 */
export function useDraft(
  value: Json | undefined,
  shown: (value: Json | undefined) => string,
  read: (text: string) => Read,
  onValue: (value: Json) => void,
): Draft {
  const [text, setText] = useState(() => shown(value));
  const [error, setError] = useState<string>();
  const own = useRef(value);
  const outside = JSON.stringify(value);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new value that equals the old one is none
  useEffect(() => {
    if (outside !== JSON.stringify(own.current)) {
      own.current = value;
      setText(shown(value));
      setError(undefined);
    }
  }, [outside]);
  return {
    text,
    error,
    write(next) {
      setText(next);
      const found = read(next);
      if (found.kind === "wrong") {
        setError(found.why);
        return;
      }
      setError(undefined);
      if (JSON.stringify(found.value) !== JSON.stringify(own.current)) {
        own.current = found.value;
        onValue(found.value);
      }
    },
  };
}
