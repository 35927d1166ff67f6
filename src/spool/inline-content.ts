/** A small content in the journal, beside its spool file. */
export interface InlineContent {
  /** Bytes. */
  readonly length: number;
  /** The id of the boot in which the same bytes were written to the spool file; null: unknown. */
  readonly boot: string | null;
}

/**
 * True if the spool file counts, and not the inline content in the journal. The spool file was not synced, so after a power cut it may
 * hold anything. Within the boot in which it was written it holds the inline bytes and all later writes. `onDisk`: the file's bytes,
 * null if it is missing; `size`: bytes of the content; `boot`: the present boot.
 */
export function isSpoolFileSound(
  inline: Pick<InlineContent, 'boot'>,
  spool: { readonly onDisk: number | null; readonly size: number },
  boot: string | null,
): boolean {
  return inline.boot !== null && inline.boot === boot && spool.onDisk !== null && spool.onDisk >= spool.size;
}
