/** Files by which office programs tell each other that a document is open. */
import type { RemoteEntry } from '../../providers/provider.js';

/** `.~lock.report.ods#` of LibreOffice, `~$report.docx` of Microsoft Office. */
const lockName = /^(?:\.~lock\..+#|~\$.+)$/;

/** Bytes. LibreOffice writes about 100 into one, Microsoft Office 162 or 165; a file of somebody's own may be larger. */
const LARGEST_LOCK = 1024;

/** Is it a lock of a document? Nobody wants one back from the trash, and each document that is closed would leave one there. */
export function isLockFile(entry: RemoteEntry): boolean {
  return entry.kind === 'file' && entry.size <= LARGEST_LOCK && lockName.test(entry.name);
}
