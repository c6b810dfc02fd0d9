import { Badge, type Tone } from "../../design/Badge";
import type { State } from "./filters";

const TONES: Readonly<Record<State, Tone>> = { opened: "good", void: "warn", retracted: "bad" };

export function StateBadge({ state }: { state: State }) {
  return <Badge tone={TONES[state]}>{state}</Badge>;
}
