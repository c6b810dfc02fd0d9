import { Empty } from "../../design/Empty";
import { Page } from "../../design/Page";

export default function Fleet() {
  return (
    <Page title="Fleet">
      <Empty>Nothing yet.</Empty>
    </Page>
  );
}
