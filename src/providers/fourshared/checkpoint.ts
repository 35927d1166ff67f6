/** The state that an interrupted upload needs to resume. The caller writes it to the journal and cannot read it. */
import { z } from 'zod';
import type { UploadCheckpoint, UploadOptions } from '../provider.js';

const content = { v: z.literal(1), size: z.number(), md5: z.string() };

/** Written before the one request that stores everything: afterwards, a file with this name and content is ours. */
const simpleSchema = z.object({ ...content, kind: z.literal('simple'), parentId: z.string(), name: z.string() });

const chunkedSchema = z.object({
  ...content,
  kind: z.literal('chunked'),
  parentId: z.string(),
  /** The temporary name under which the file is uploaded. */
  uploadName: z.string(),
  /**
   * The step that comes next, in this order:
   * - `starting`   the upload is announced to the server
   * - `sending`    chunks go to `uploadId`; the server has those in `stored`
   * - `uploaded`   the file is complete and verified; it gets its final name
   * - `aside`      the replaced file `oldId` is renamed to `asideName`
   * - `naming`     the new file takes the final name
   * - `disposing`  the replaced file is disposed of
   */
  phase: z.enum(['starting', 'sending', 'uploaded', 'aside', 'naming', 'disposing']),
  uploadId: z.string().optional(),
  stored: z.array(z.object({ start: z.number(), end: z.number() })).default([]),
  /** The file as stored, from `uploaded` on. */
  newId: z.string().optional(),
  oldId: z.string().optional(),
  oldName: z.string().optional(),
  asideName: z.string().optional(),
});

const schema = z.discriminatedUnion('kind', [simpleSchema, chunkedSchema]);

export type SimpleCheckpoint = z.infer<typeof simpleSchema>;
export type ChunkedCheckpoint = z.infer<typeof chunkedSchema>;

/** The checkpoint if it is one of ours and about this content; undefined if there is nothing to resume. */
export function parseCheckpoint(
  checkpoint: UploadCheckpoint | undefined,
  about: { readonly size: number; readonly md5: string },
): SimpleCheckpoint | ChunkedCheckpoint | undefined {
  if (checkpoint === undefined) return undefined;
  const parsed = schema.safeParse(checkpoint);
  if (!parsed.success) return undefined;
  return parsed.data.size === about.size && parsed.data.md5 === about.md5 ? parsed.data : undefined;
}

/** The checkpoint of an upload that will not be resumed, if that may have left something at the server. */
export function parseAbandoned(checkpoint: UploadCheckpoint): ChunkedCheckpoint | undefined {
  const { data } = schema.safeParse(checkpoint);
  return data?.kind === 'chunked' ? data : undefined;
}

export async function announce(
  options: UploadOptions,
  checkpoint: SimpleCheckpoint | ChunkedCheckpoint,
): Promise<void> {
  await options.onCheckpoint?.(checkpoint);
}
