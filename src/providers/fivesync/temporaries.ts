/**
 * Temporary files that an upload stores beside its content: a copy of the content, or a probe. Its checkpoint names them before they
 * are stored. After a crash, the next attempt or `discardUpload` removes them.
 */
import { z } from 'zod';
import type { CallOptions } from '../http/client/call.js';
import type { UploadCheckpoint, UploadOptions } from '../provider.js';
import { type FiveSyncApi, isCode } from './api.js';
import type { Catalog } from './catalog.js';

const temporarySchema = z.union([z.object({ id: z.string() }), z.object({ folder: z.string(), name: z.string() })]);
const schema = z.object({ temporaries: z.array(temporarySchema) });

/** By id if that is known, because the server may have chosen the name of such a file. */
type Temporary = z.infer<typeof temporarySchema>;

export function temporariesOf(checkpoint: UploadCheckpoint | undefined): readonly Temporary[] {
  return schema.safeParse(checkpoint).data?.temporaries ?? [];
}

/** The same options, but each checkpoint names these files too. */
export function naming(temporaries: readonly Temporary[], options: UploadOptions): UploadOptions {
  const { onCheckpoint } = options;
  if (temporaries.length === 0 || onCheckpoint === undefined) return options;
  return {
    ...options,
    onCheckpoint: (checkpoint) =>
      onCheckpoint({ ...checkpoint, temporaries: [...temporariesOf(checkpoint), ...temporaries] }),
  };
}

/** Removes those that exist. Rejects if one cannot be removed. The catalog must know all files. */
export async function removeTemporaries(
  temporaries: readonly Temporary[],
  { api, catalog }: { readonly api: FiveSyncApi; readonly catalog: Catalog },
  options: CallOptions,
): Promise<void> {
  for (const temporary of temporaries) {
    const ids =
      'id' in temporary
        ? [temporary.id]
        : catalog.index.named(temporary.folder, temporary.name).map((record) => record.id);
    for (const id of ids) {
      await api.remove(id, options).catch((error: unknown) => {
        if (!isCode(error, 'not-found')) throw error;
      });
      catalog.removed(id);
    }
  }
}
