// The command of a retraction with the reason that the user writes.

/** The command with a reason instead of TEXT, quoted for a shell. */
export function withReason(command: string, reason: string): string {
  return reason.trim() === ""
    ? command
    : command.replace("--reason TEXT", () => `--reason ${quoted(reason)}`);
}

function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}
