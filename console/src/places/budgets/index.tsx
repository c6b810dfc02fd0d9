import { Empty } from "../../design/Empty";
import { Page } from "../../design/Page";

export default function Budgets() {
  return (
    <Page title="Budgets">
      <Empty>Nothing yet.</Empty>
    </Page>
  );
}
