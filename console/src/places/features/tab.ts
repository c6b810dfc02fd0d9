import type { ViewForm } from "./freshness";
import type { ViewState } from "./state";

/** What each tab of a view gets. */
export interface TabProps {
  view: ViewForm;
  state: ViewState;
  /** Changes a part of the state, which the address holds. */
  change: (part: Partial<ViewState>) => void;
}
