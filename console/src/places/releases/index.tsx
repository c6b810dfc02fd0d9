import { Empty } from "../../design/Empty";
import { Page } from "../../design/Page";

export default function Releases() {
  return (
    <Page title="Releases">
      <Empty>Nothing yet.</Empty>
    </Page>
  );
}
