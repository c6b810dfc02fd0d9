// The first code of the page: it asks for what the page will need, all at once, and then draws it.

import { askEarly } from "./app/firstRequests";
import { PAGES } from "./app/pages";
import { parseRoute } from "./app/routes";
import { applyTheme, keptTheme } from "./app/theme";
import { takeToken } from "./app/token";
import "./design/tokens.css";
import "./design/base.css";
import "./design/components.css";
import "./app/shell.css";

const root = document.getElementById("root");
if (root === null) {
  throw new Error("index.html has no #root");
}
applyTheme(keptTheme());
const credentials = takeToken();
const route = parseRoute(window.location.hash);
void askEarly(credentials, route);
const page = PAGES[route.place].load().catch(() => undefined); // the page says so, when it shows the place
void Promise.all([import("./app/start"), page]).then(([{ start }]) => start(root));
