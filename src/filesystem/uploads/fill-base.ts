import type { SpoolFile } from '../../spool/spool-file.js';
import type { Contents } from '../content/contents.js';
import { orAborted } from '../core/abortable.js';
import type { Core } from '../core/core.js';
import type { FileState } from '../core/open-files.js';
import { writeRow } from './journal-row.js';
import { requireBudgetToStore } from './request-budget.js';

/**
 * Fetches the bytes that still come from the base, and makes them durable: during the upload the provider may replace the base with our
 * content, and then it cannot serve those bytes again.
 */
export async function fillBase(
  core: Core,
  contents: Contents,
  state: FileState,
  spool: SpoolFile,
  signal: AbortSignal,
): Promise<void> {
  requireBudgetToStore(core, state.ino, spool);
  await contents.fill(state, spool, signal);
  await orAborted(spool.sync(), signal);
  writeRow(core, state, spool, 'uploading');
  await orAborted(core.state.durable(), signal);
}
