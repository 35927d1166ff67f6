import type { InodeTable } from './inode-table.js';

/** Runs a piece of a merge as one transaction. `InodeTable.isMerging` marks its changes as the service's, not this machine's. */
export function asPieceOfMerge<T>(table: InodeTable, piece: () => T): T {
  table.isMerging = true;
  try {
    return table.transaction(piece);
  } finally {
    table.isMerging = false;
  }
}
