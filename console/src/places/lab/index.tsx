import { Empty } from "../../design/Empty";
import { Page } from "../../design/Page";

export default function Lab() {
  return (
    <Page title="Lab">
      <Empty>Nothing yet.</Empty>
    </Page>
  );
}
