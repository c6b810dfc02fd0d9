// Writes openapi.json, from the server's code, and the page's types of it.
import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import openapiTypescript, { astToString } from "openapi-typescript";

const root = fileURLToPath(new URL("../..", import.meta.url));
const own = `${root}.venv/bin/python`;
const python = process.env.PYTHON ?? (existsSync(own) ? own : "python3");
const text = execFileSync(python, ["-m", "covey.console.openapi"], {
  cwd: root,
  encoding: "utf8",
  env: { ...process.env, PYTHONPATH: root },
  maxBuffer: 64 * 2 ** 20,
});
writeFileSync(new URL("../openapi.json", import.meta.url), text);
const types = await openapiTypescript(JSON.parse(text), { defaultNonNullable: false });
writeFileSync(
  new URL("../src/api/schema.d.ts", import.meta.url),
  `// Written by \`npm run api\` from openapi.json; do not edit.\n\n${astToString(types)}`,
);
