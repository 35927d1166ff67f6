/** A text as one word of a command that somebody copies into a shell: in quotes where a shell would make something else of it. */
export function shellWord(text: string): string {
  if (/^[\p{L}\p{N}_@%+=:,./-]+$/u.test(text)) return text;
  // Double quotes read better within the single ones that messages put around commands.
  return /[$`"\\!]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : `"${text}"`;
}
