/** A small content that is in the journal, beside its spool file. */
export interface InlineContent {
  /** Bytes. */
  readonly length: number;
  /** Id of the boot in which the spool file was given the same; null: unknown. */
  readonly boot: string | null;
}

/**
 * Is the spool file still to be believed rather than the journal? It was not synced: after a power cut it may hold
 * anything. In the boot in which it was written it has that, and what was written since. `onDisk`: its bytes, null where
 * it is missing; `size`: bytes of the content; `boot`: the present one.
 */
export function isSpoolFileSound(
  inline: Pick<InlineContent, 'boot'>,
  spool: { readonly onDisk: number | null; readonly size: number },
  boot: string | null,
): boolean {
  return inline.boot !== null && inline.boot === boot && spool.onDisk !== null && spool.onDisk >= spool.size;
}
