// Server-sent events while a component is shown.

import { useEffect, useRef, useState } from "react";
import { followStream, type StreamState } from "./stream";

export type { StreamState } from "./stream";

/** Follows a stream while the component is shown. `undefined` as URL follows none. */
export function useEvents(
  url: string | undefined,
  onEvent: (event: string, data: unknown, id: string) => void,
  names: readonly string[],
): StreamState {
  const [state, setState] = useState<StreamState>("connecting");
  const latest = useRef(onEvent);
  latest.current = onEvent;
  const listed = names.join(" ");
  useEffect(() => {
    if (url === undefined) {
      return undefined;
    }
    setState("connecting");
    return followStream(url, listed.split(" "), {
      onEvent: (name, data, id) => latest.current(name, data, id),
      onState: setState,
    });
  }, [url, listed]);
  return state;
}
