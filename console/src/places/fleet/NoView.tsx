import { Empty } from "../../design/Empty";
import { inline } from "../../design/text";

/** What stands in place of the views of a store that has none. */
export function NoView() {
  return <Empty>{inline("No view is registered yet. `covey apply VIEWS.py` registers one.")}</Empty>;
}
