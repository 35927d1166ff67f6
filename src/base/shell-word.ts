/** A text as one word of a command that the user copies into a shell. It is quoted if a shell would change or split it. */
export function shellWord(text: string): string {
  if (/^[\p{L}\p{N}_@%+=:,./-]+$/u.test(text)) return text;
  // Double quotes read better within the single ones that messages put around commands.
  return /[$`"\\!]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : `"${text}"`;
}
