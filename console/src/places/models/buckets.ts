// The buckets of a server's histogram, as the page writes them.

import { number } from "../../design/format";

/** Times above an end and up to another one, in ms; null: without an upper end. */
export interface Bucket {
  from_ms: number;
  to_ms: number | null;
}

/** `1 to 2.5`, or `above 2,500`. */
export function bucketText({ from_ms, to_ms }: Bucket): string {
  return to_ms === null ? `above ${number(from_ms)}` : `${number(from_ms)} to ${number(to_ms)}`;
}
