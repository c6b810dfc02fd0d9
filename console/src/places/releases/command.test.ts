import { expect, test } from "vitest";
import { withReason } from "./command";

const COMMAND = "covey release retract ab --reason TEXT --store 'a b'";

test("a reason is quoted for a shell, whatever it has", () => {
  expect(withReason(COMMAND, "wrong events")).toBe(
    "covey release retract ab --reason 'wrong events' --store 'a b'",
  );
  expect(withReason(COMMAND, "it's $& `x`")).toBe(
    `covey release retract ab --reason 'it'"'"'s $& \`x\`' --store 'a b'`,
  );
  expect(withReason(COMMAND, "ok")).toBe("covey release retract ab --reason ok --store 'a b'");
});

test("without a reason the command keeps its place", () => {
  expect(withReason(COMMAND, " ")).toBe(COMMAND);
});
