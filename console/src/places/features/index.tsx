import { useRoute } from "../../app/routes";
import "./features.css";
import { ANY_VIEW, LookPage } from "./LookPage";
import { ViewList } from "./ViewList";
import { ViewPage } from "./ViewPage";

/** Features of the store: the list of views, one view, or a look at features of several. */
export default function Features() {
  const { path, query } = useRoute();
  const [view] = path;
  if (view === undefined) {
    return <ViewList search={query.get("search") ?? ""} />;
  }
  return view === ANY_VIEW ? (
    <LookPage service={query.get("service") ?? undefined} />
  ) : (
    <ViewPage key={view} view={view} query={query} />
  );
}
