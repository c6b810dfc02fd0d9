import { Empty } from "../../design/Empty";
import { Page } from "../../design/Page";

export default function Composer() {
  return (
    <Page title="Composer">
      <Empty>Nothing yet.</Empty>
    </Page>
  );
}
