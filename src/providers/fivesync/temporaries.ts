/**
 * Temporary files that an upload stores beside its content: a copy of the content, or a probe. Its checkpoint names them before they
 * are stored. After a crash, the next attempt or `discardUpload` removes them.
 */
import { z } from 'zod';
import type { CallOptions } from '../http/client/call.js';
import type { UploadCheckpoint, UploadOptions } from '../provider.js';
import { type FiveSyncApi, isCode } from './api.js';
import type { Catalog } from './catalog.js';
import type { FileIndex } from './file-index.js';

const probe = /^\s*\.syncmount-[0-9a-f]{12}(?:\.probe$|-)/;

/** Is it a file of one byte that an upload stored to see what the server makes of a name or a folder? */
export function isProbeName(name: string): boolean {
  return probe.test(name);
}

const temporarySchema = z.union([
  z.object({ id: z.string() }),
  z.object({ folder: z.string(), name: z.string() }),
  z.object({ mark: z.string() }),
]);
const schema = z.object({ temporaries: z.array(temporarySchema) });

/** By id if that is known, because the server may have chosen the name of such a file. `mark`: a part of its name, in any folder. */
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
  for (const temporary of temporaries)
    for (const id of idsOf(temporary, catalog.index)) {
      await api.remove(id, options).catch((error: unknown) => {
        if (!isCode(error, 'not-found')) throw error;
      });
      // The folder may have been removed since.
      catalog.removed(id, false);
    }
}

function idsOf(temporary: Temporary, index: FileIndex): string[] {
  if ('id' in temporary) return [temporary.id];
  if ('name' in temporary) return index.named(temporary.folder, temporary.name).map(({ id }) => id);
  return [...index.ids()].filter((id) => index.file(id)?.name.includes(temporary.mark));
}
