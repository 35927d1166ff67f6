/**
 * Files that an upload stores beside its content for a time: a copy of the content, or a probe. Its checkpoint names them before they
 * are stored, so that the next attempt, or whoever gives the upload up, removes what a crash has left.
 */
import { z } from 'zod';
import type { CallOptions } from '../http/client/call.js';
import type { UploadCheckpoint, UploadOptions } from '../provider.js';
import { type FiveSyncApi, isCode } from './api.js';
import type { Catalog } from './catalog.js';

const temporarySchema = z.union([z.object({ id: z.string() }), z.object({ folder: z.string(), name: z.string() })]);
const schema = z.object({ temporaries: z.array(temporarySchema) });

/** By id where that is known: such a file may have a name that the server has chosen. */
type Temporary = z.infer<typeof temporarySchema>;

export function temporariesOf(checkpoint: UploadCheckpoint | undefined): readonly Temporary[] {
  return schema.safeParse(checkpoint).data?.temporaries ?? [];
}

/** The same options; each checkpoint names these files too. */
export function naming(temporaries: readonly Temporary[], options: UploadOptions): UploadOptions {
  const { onCheckpoint } = options;
  if (temporaries.length === 0 || onCheckpoint === undefined) return options;
  return {
    ...options,
    onCheckpoint: (checkpoint) =>
      onCheckpoint({ ...checkpoint, temporaries: [...temporariesOf(checkpoint), ...temporaries] }),
  };
}

/** Removes those that are there. Rejects where one cannot be removed. The catalog must know of all files. */
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
