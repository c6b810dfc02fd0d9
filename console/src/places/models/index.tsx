import { Empty } from "../../design/Empty";
import { Page } from "../../design/Page";

export default function Models() {
  return (
    <Page title="Models">
      <Empty>Nothing yet.</Empty>
    </Page>
  );
}
