// A stream of server-sent events that does not stay silent: it is opened again when the server has said nothing for too long,
// as after a laptop's sleep, and when it was refused.

export type StreamState = "connecting" | "open" | "lost" | "ended";

export interface StreamReader {
  onEvent: (name: string, data: unknown, id: string) => void;
  onState: (state: StreamState) => void;
}

/** The event that the server sends every 15 s while nothing else happens. */
const ALIVE = "alive";
/** A connection that was silent for so long is lost, although the browser has not noticed. */
export const SILENT_MS = 45_000;
/** How often a stream is looked at. A refused one is opened again at the next look. */
export const LOOK_MS = 5_000;

/** Follows a stream until the returned function is called. The browser itself resumes a stream whose end it notices. */
export function followStream(url: string, names: readonly string[], reader: StreamReader): () => void {
  let source = open();
  let last = Date.now();

  function open(): EventSource {
    const opened = new EventSource(url);
    opened.onopen = () => {
      last = Date.now();
      reader.onState("open");
    };
    opened.onerror = () => reader.onState(opened.readyState === EventSource.CLOSED ? "ended" : "lost");
    opened.addEventListener(ALIVE, () => {
      last = Date.now();
    });
    for (const name of names) {
      opened.addEventListener(name, (message) => {
        last = Date.now();
        reader.onEvent(name, JSON.parse(message.data), message.lastEventId);
      });
    }
    return opened;
  }

  function look(): void {
    const refused = source.readyState === EventSource.CLOSED;
    if (refused || Date.now() - last > SILENT_MS) {
      source.close();
      if (!refused) {
        reader.onState("lost");
      }
      last = Date.now();
      source = open();
    }
  }

  const timer = setInterval(look, LOOK_MS);
  window.addEventListener("online", look);
  return () => {
    clearInterval(timer);
    window.removeEventListener("online", look);
    source.close();
  };
}
