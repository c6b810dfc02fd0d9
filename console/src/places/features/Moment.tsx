import { LookForm } from "./LookForm";
import type { TabProps } from "./tab";

/** What a label at a moment saw of this view. */
export function Moment({ view, state }: TabProps) {
  const chosen = state.features.length > 0 ? state.features : [view.features[0]?.name ?? ""];
  const refs = chosen.map((feature) => {
    const [name = "", version] = feature.split("@", 2);
    return version === undefined ? `${state.view}:${name}` : `${view.name}@${version}:${name}`;
  });
  return <LookForm refs={refs} service={undefined} keys={state.keys} moment={view.newest_end ?? undefined} />;
}
