import { hrefOf } from "../../app/routes";
import { Page } from "../../design/Page";
import { LookForm } from "./LookForm";

/** Stands for a view in the address of a look at several; no view has this name. */
export const ANY_VIEW = "-";

/** What a label at a moment saw, of any views, a service, or on-demand features. */
export function LookPage({ service }: { service: string | undefined }) {
  return (
    <Page
      title="At a moment"
      lead="What a label with this time would get: the values that were released by then, and nothing later."
      tools={<a href={hrefOf("features")}>All views</a>}
    >
      <LookForm key={service} refs={[]} service={service} keys={[]} moment={undefined} />
    </Page>
  );
}
