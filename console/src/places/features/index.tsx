import { Empty } from "../../design/Empty";
import { Page } from "../../design/Page";

export default function Features() {
  return (
    <Page title="Features">
      <Empty>Nothing yet.</Empty>
    </Page>
  );
}
