// Server-sent events. The browser resumes a lost stream by itself, with the id of the last event.

import { useEffect, useRef, useState } from "react";

export type StreamState = "connecting" | "open" | "lost" | "ended";

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
    const source = new EventSource(url);
    setState("connecting");
    source.onopen = () => setState("open");
    source.onerror = () => setState(source.readyState === EventSource.CLOSED ? "ended" : "lost");
    for (const name of listed.split(" ")) {
      source.addEventListener(name, (message) => {
        latest.current(name, JSON.parse(message.data), message.lastEventId);
      });
    }
    return () => source.close();
  }, [url, listed]);
  return state;
}
